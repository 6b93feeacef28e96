import type { Capability } from '../contracts/routing.ts'
import type { JsonObject } from './admin-api.ts'

/** A name for weighted variants. */
export type AliasView = {
  readonly name: string
  readonly owner: 'api' | 'file'
  readonly variants: readonly { readonly model: string; readonly weight: number }[]
  readonly sticky: 'request' | 'key' | 'session' | 'round_robin'
  readonly enabled: boolean
  /** False: a model of it is not served any more, and the name is none. */
  readonly valid: boolean
  readonly updated_at: string | null
}

/** Why a request went where it went. */
export type RouteDecisionView = {
  readonly strategy: string
  readonly mode: string | null
  readonly alias: string | null
  readonly variant: string | null
  readonly reason: string
  /** Of `thompson`: where its arms lie. */
  readonly arm?: { readonly size: string; readonly tools: boolean }
  /** In the order of the attempts; the rejected ones last. */
  readonly candidates: readonly RouteCandidateView[]
}

/** A request that is not sent: as `request`, or by its needs and sizes. */
export type RouteSimulationBody = {
  /** May be left out where `request` names it. */
  readonly model?: string
  /** Id of a key, or a unique start of it. */
  readonly key?: string
  /** Instead of a key: the name of a policy, or one as written. */
  readonly policy?: string | JsonObject
  /** Default: `openai-chat`. */
  readonly protocol?: string
  readonly request?: JsonObject
  readonly needs?: Readonly<Partial<Record<Capability, boolean>>>
  /** Default: 1000. */
  readonly input_tokens?: number
  readonly max_tokens?: number
  readonly stream?: boolean
  readonly hints?: {
    readonly mode?: string
    /** US dollars. */
    readonly max_cost?: number
    readonly max_latency_ms?: number
    readonly min_weight?: number
  }
  readonly session?: string
  /** Takes the place of the request id. */
  readonly seed?: string
  /** How often the choice is made, each time under another seed. Default: 1. */
  readonly count?: number
}

export type RouteSimulation = {
  readonly model: string
  readonly seed: string
  /** For the seed itself. `model`: the public name that it answers under. */
  readonly order: readonly { readonly target: string; readonly model: string }[]
  readonly routing: RouteDecisionView | null
  /** What the client would get instead. */
  readonly error: {
    readonly code: string
    readonly status: number
    readonly message: string
  } | null
  readonly count: number
  /** Who came first; null: nobody, it was refused. */
  readonly distribution: readonly {
    readonly target: string | null
    readonly model: string | null
    readonly count: number
    readonly share: number
  }[]
}

/** What the strategy did not go by is left out. */
export type RouteCandidateView = {
  readonly target: string
  readonly rejected: string | null
  readonly detail?: string
  readonly cost_nanousd?: number | null
  readonly latency_ms?: number | null
  readonly failure_share?: number
  readonly weight?: number
  readonly in_flight?: number
  readonly score?: number
  /** Above 1: chosen to explore. */
  readonly draw?: number
  readonly alpha?: number
  readonly beta?: number
  /** What a warm prompt cache there saves, and what that added to the draw. */
  readonly saved_nanousd?: number
  readonly bonus?: number
  readonly propensity?: number
}

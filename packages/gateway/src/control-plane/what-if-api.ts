import type { Capability } from '../contracts/routing.ts'
import type { PolicyExplanation } from '../plan/explain-policy.ts'
import type { ExplainedLimit, JsonObject, KeyReference, SubjectBody } from './admin-api.ts'
import type { RouteDecisionView } from './routing-api.ts'

/** A request that is not sent, and who would send it under which policy. */
export type PolicySimulationBody = {
  /** Id of a key, or a unique start of it. Absent: a new key with what is said here. */
  readonly key?: string
  readonly subject?: SubjectBody
  /** In the place of the key's own policy. */
  readonly policy?: JsonObject
  /** True: `policy` is a merge patch of the key's own, as `PATCH /keys/{id}` takes it. */
  readonly merge?: boolean
  /** In the place of the policies that the key names. */
  readonly policies?: readonly string[]
  readonly scopes?: readonly string[]
  readonly metadata?: Readonly<Record<string, string>>
  /** A path such as `/v1/messages`, or the name of an endpoint. Default: `/v1/chat/completions`. */
  readonly endpoint?: string
  readonly headers?: Readonly<Record<string, string>>
  /** The client's address. Default: 127.0.0.1. */
  readonly ip?: string
  /** What the client would send. Without one: `model`, and what else is told of the request. */
  readonly body?: JsonObject
  readonly model?: string
  /** Default: 1000. */
  readonly input_tokens?: number
  readonly max_tokens?: number
  readonly stream?: boolean
  readonly needs?: Readonly<Partial<Record<Capability, boolean>>>
  /** RFC 3339. Default: now. */
  readonly at?: string
  /** Takes the place of the request id. */
  readonly seed?: string
}

/** One limit of the policy that holds. `not_reached`: the request was refused before its limits were asked. */
export type SimulatedLimit = Omit<ExplainedLimit, 'outcome'> & {
  readonly outcome: ExplainedLimit['outcome'] | 'not_reached'
  /** What would be held of it, in the limit's unit; null: nothing. */
  readonly held: number | null
}

export type SimulatedRefusal = {
  readonly status: number
  readonly code: string
  /** As the client would read it. */
  readonly message: string
  /** What the client is not told. */
  readonly detail: string | null
  /** As in the client's answer; with `request_exceeds_limit` and the like. */
  readonly limit: JsonObject | null
  /** Null: it does not pass by itself, or nobody knows when. */
  readonly retry_after_ms: number | null
  /** Only calls in flight stand in the way: a request would wait up to ten seconds for them. */
  readonly would_wait: boolean
}

export type PolicySimulation = {
  readonly admitted: boolean
  readonly refusal: SimulatedRefusal | null
  readonly at: string
  /** Null: no key was named. */
  readonly key: KeyReference | null
  readonly endpoint: string
  readonly protocol: string
  /** The public model that would answer. */
  readonly model: string | null
  readonly target: string | null
  readonly targets: readonly string[]
  readonly decision: RouteDecisionView | null
  /** The cap on one answer that would be put on the request; null: none. */
  readonly output_cap: number | null
  /** The worst case; `cost_usd` null: unpriced. Null: it was not reached. */
  readonly reserved: {
    readonly input_tokens: number
    readonly output_tokens: number
    readonly cost_usd: number | null
  } | null
  readonly limits: readonly SimulatedLimit[]
  readonly changes: {
    /** The provider's name of the model; null: as the client wrote it. */
    readonly model: string | null
    readonly max_output_tokens: number | null
    /** How many prompts of the policy would be put into the request. */
    readonly prompts: number
    readonly protocol: string | null
    readonly losses: readonly string[]
  } | null
  readonly explain: PolicyExplanation
}

/** Recorded requests once more, under what might be. */
export type ReplayBody = {
  /** RFC 3339, or how long ago, such as 24h. Default: 7d. */
  readonly since?: string
  readonly until?: string
  /** Whose policy is tried: one key's own; else a team's; else the global one. Only their requests are told of. */
  readonly key?: string
  readonly team?: string
  readonly policy?: JsonObject
  /** True: `policy` is a merge patch of the key's own. */
  readonly merge?: boolean
  /** Sections of the configuration: `models`, `aliases`, `routing`, `policy`, `policies`, `teams`. */
  readonly config?: JsonObject
}

/** What one of the two came to. `unknown_cost`: admitted, and nobody knows what it would have cost. */
export type ReplayTotals = {
  readonly admitted: number
  readonly refused: number
  readonly shrunk: number
  readonly cost_nanousd: number
  readonly unknown_cost: number
}

export type ReplayRowView = {
  readonly name: string
  readonly requests: number
  readonly before: ReplayTotals
  readonly after: ReplayTotals
}

type ReplayOutcomeView = {
  readonly admitted: boolean
  readonly target: string | null
  readonly model: string | null
  /** Of a refusal: the limit, else the code. */
  readonly refused_by: string | null
  readonly cost_nanousd: number | null
  readonly shrunk: boolean
}

export type ReplayExampleView = {
  readonly request_id: string
  readonly started_at: string
  readonly key_id: string
  readonly model: string
  readonly change: 'refused' | 'admitted' | 'shrunk' | 'not_shrunk' | 'target'
  readonly before: ReplayOutcomeView
  readonly after: ReplayOutcomeView
}

export type PolicyReplay = {
  readonly since: string | null
  readonly until: string | null
  readonly scope: { readonly kind: 'all' | 'key' | 'team'; readonly value: string | null }
  /** Read; those that no policy decides on are passed over. */
  readonly records: number
  readonly truncated: boolean
  readonly passed_over: Readonly<Record<string, number>>
  readonly requests: number
  readonly recorded: { readonly refused: number; readonly cost_nanousd: number }
  /** What is, replayed too, so that both are compared on equal terms. */
  readonly before: ReplayTotals
  readonly after: ReplayTotals
  readonly saved_nanousd: number
  readonly changes: Readonly<Record<ReplayExampleView['change'], number>>
  readonly refused_by: readonly {
    readonly name: string
    readonly before: number
    readonly after: number
  }[]
  readonly by_model: readonly ReplayRowView[]
  /** `name`: the id of the key. */
  readonly by_key: readonly ReplayRowView[]
  readonly targets: readonly {
    readonly from: string
    readonly to: string
    readonly requests: number
    readonly before_nanousd: number
    readonly after_nanousd: number
  }[]
  readonly examples: readonly ReplayExampleView[]
  /** Of a key or a team: what changes for everybody else. */
  readonly others: {
    readonly requests: number
    readonly changes: Readonly<Record<ReplayExampleView['change'], number>>
  } | null
  /** What a replay cannot know. */
  readonly notes: readonly string[]
  readonly duration_ms: number
}

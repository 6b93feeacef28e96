import type { FailureClass } from './provider.ts'

/**
 * How a request finds its target: what the selector is told, what it says, and what targets have shown so far.
 *
 * Times named `nowMs` are monotonic, so that tests and the simulator can run in virtual time.
 */

export const STRATEGIES = [
  'priority',
  'weighted',
  'round_robin',
  'least_busy',
  'latency',
  'score',
  'thompson',
] as const
export type Strategy = (typeof STRATEGIES)[number]

/** In the order in which they are asked; the first that holds is the one that is told. */
export type RejectionReason =
  | 'disabled'
  | 'not_allowed'
  | 'capability'
  | 'context_overflow'
  | 'below_min_weight'
  | 'over_max_cost'
  | 'over_max_latency'
  | 'unpriced'
  | 'credential_missing'
  | 'circuit_open'
  | 'cooldown'
  | 'limit'

/** What a client or its policy asks of the choice. Each can only tighten what the key allows. Null: nothing asked. */
export type RoutingHints = {
  /** Name of a mode of `routing.modes`, or a built-in one. */
  readonly mode: string | null
  readonly maxCostNanoUsd: number | null
  readonly maxLatencyMs: number | null
  readonly minWeight: number | null
}

export const NO_HINTS: RoutingHints = {
  mode: null,
  maxCostNanoUsd: null,
  maxLatencyMs: null,
  minWeight: null,
}

/** One target as the selector saw it. Absent terms were not needed by the strategy. */
export type CandidateView = {
  readonly target: string
  /** Null: it may be tried. */
  readonly rejected: RejectionReason | null
  /** What exactly, for people: `needs vision`. */
  readonly detail?: string
  /** Of the worst case. Null: unpriced. */
  readonly costNanoUsd?: number | null
  readonly latencyMs?: number | null
  /** 0 to 1. */
  readonly failureShare?: number
  readonly weight?: number
  readonly inFlight?: number
  /** Lowest first. */
  readonly score?: number
  /** The draw of a bandit. */
  readonly draw?: number
  /** Probability with which this target had come first. */
  readonly propensity?: number
}

/** Why a request went where it went: kept with its record, and what a simulation returns. */
export type RouteDecision = {
  readonly strategy: Strategy
  readonly mode: string | null
  /** The alias that was asked for and the variant that it came to; null: the name is no alias. */
  readonly alias: string | null
  readonly variant: string | null
  /** `wildcard`: any allowed model. `escalated`: a larger context was needed. */
  readonly reason: 'explicit' | 'model' | 'alias' | 'wildcard' | 'fallback' | 'escalated'
  /** In the order of the attempts; the rejected ones last. */
  readonly candidates: readonly CandidateView[]
}

export type CircuitState = 'closed' | 'open' | 'half_open'
export type HealthState = 'healthy' | 'degraded' | 'down'

/** What a target has shown. */
export type TargetSignals = {
  readonly state: HealthState
  readonly circuit: CircuitState
  /** Nothing is sent to it before then: what its vendor asked for. Monotonic; null: not set aside. */
  readonly setAsideUntilMs: number | null
  /** Peak-sensitive moving average of the time to the first byte; null: never seen. */
  readonly latencyMs: number | null
  /** Decays with time. 0 to 1. */
  readonly failureShare: number
  readonly consecutiveFailures: number
  readonly inFlight: number
}

/** How an attempt ended. `cancelled` and `client` are nobody's fault and change no health. */
export type AttemptOutcome = {
  /** Null: it succeeded. */
  readonly failure: FailureClass | 'cancelled' | null
  /** To the first byte of the answer; null: none came. */
  readonly latencyMs: number | null
  /** For how long its vendor asked to be left alone; null: it did not. */
  readonly setAsideMs: number | null
}

/** One attempt's entry. Belongs to the circuit's generation at its beginning; a late result of an older one changes nothing. */
export type AttemptTicket = {
  readonly target: string
  readonly generation: number
  readonly probe: boolean
}

/** What this process knows of its targets, by target id (`provider/model`). One per process; outlives plans. */
export type TargetBook = {
  signals(target: string, nowMs: number): TargetSignals
  /** Null: the circuit is open, or its one probe is under way, or it is set aside. */
  begin(target: string, nowMs: number): AttemptTicket | null
  /** Exactly once per ticket. */
  end(ticket: AttemptTicket, outcome: AttemptOutcome, nowMs: number): void
}

/** Where a bandit keeps what it learned of a target: by size of the input and whether tools are offered. */
export type ArmContext = { readonly size: 'small' | 'medium' | 'large'; readonly tools: boolean }

export type ArmDraw = {
  readonly target: string
  /** Beta posterior at the draw. */
  readonly alpha: number
  readonly beta: number
  readonly draw: number
}

/** Thompson sampling over targets. */
export type Bandit = {
  /** In the order of the targets given; the same seed and posteriors draw the same. */
  draw(
    targets: readonly string[],
    context: ArmContext,
    seed: string,
    nowMs: number,
  ): readonly ArmDraw[]
  /** Once per attempt, also failed ones. `reward` 0 to 1. */
  observe(target: string, context: ArmContext, reward: number, nowMs: number): void
}

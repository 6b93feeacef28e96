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
export const REJECTION_REASONS = [
  'disabled',
  'not_allowed',
  'capability',
  'context_overflow',
  'below_min_weight',
  'over_max_cost',
  'over_max_latency',
  'unpriced',
  'credential_missing',
  'circuit_open',
  'cooldown',
  'limit',
] as const
export type RejectionReason = (typeof REJECTION_REASONS)[number]

/** What a request may need of a target, besides its protocol and the room in its context. */
export const CAPABILITIES = [
  'tools',
  'vision',
  'audio',
  'documents',
  'json_schema',
  'streaming',
] as const
export type Capability = (typeof CAPABILITIES)[number]

/** What one request needs. */
export type Needs = Readonly<Record<Capability, boolean>>

export const NO_NEEDS: Needs = {
  tools: false,
  vision: false,
  audio: false,
  documents: false,
  json_schema: false,
  streaming: false,
}

/** How much each term of a score counts. 0 to 1 each. */
export type ModeWeights = {
  readonly cost: number
  readonly latency: number
  readonly failure: number
  readonly weight: number
}

/** The built-in modes; TokenHub's numbers. `thompson` is one too: the order is the bandit's then. */
export const BUILT_IN_MODES: Readonly<Record<string, ModeWeights>> = {
  cheap: { cost: 0.7, latency: 0.1, failure: 0.1, weight: 0.1 },
  normal: { cost: 0.25, latency: 0.25, failure: 0.25, weight: 0.25 },
  high_confidence: { cost: 0.05, latency: 0.1, failure: 0.15, weight: 0.7 },
  planning: { cost: 0.1, latency: 0.1, failure: 0.2, weight: 0.6 },
  adversarial: { cost: 0.1, latency: 0.1, failure: 0.2, weight: 0.6 },
}

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
  /** The draw of a bandit, and the posterior that it was drawn from. */
  readonly draw?: number
  readonly alpha?: number
  readonly beta?: number
  /** What a warm prompt cache there saves, and what that added to the draw. */
  readonly savedNanoUsd?: number
  readonly bonus?: number
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
  /** Of `thompson`: where its arms lie. */
  readonly arm?: ArmContext
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

/**
 * How an attempt ended. `cancelled`, `client`, `content_filter` and `context_overflow` are no fault of the target and change
 * no health.
 */
export type AttemptOutcome = {
  /** Null: it succeeded. */
  readonly failure: FailureClass | 'cancelled' | null
  /** To the first byte of the answer; null: none came, or `answered` has said it. */
  readonly latencyMs: number | null
  /** For how long its vendor asked to be left alone; null: it did not. */
  readonly setAsideMs: number | null
}

/** One attempt's entry. Belongs to the circuit's generation at its beginning; a late result of an older one changes nothing. */
export type AttemptTicket = {
  readonly target: string
  readonly generation: number
  /** A call that a circuit lets through to see whether the target is back. */
  readonly probe: boolean
  /** The target's last call failed, as far as is known. */
  readonly troubled: boolean
}

/** What a vendor says is left of its own rate limit. */
export type VendorRates = {
  /** Calls that it takes before `resetMs` has passed. */
  readonly remainingRequests: number
  /** From the answer on, until its count starts anew. */
  readonly resetMs: number
}

/** Why nothing is sent to a target now. */
export type TargetBlock = {
  readonly reason: 'circuit_open' | 'cooldown'
  /** Of a `cooldown`: what the vendor said. */
  readonly failure: 'rate_limited' | 'quota' | null
  /** Monotonic. The next call may go then. */
  readonly untilMs: number
}

/**
 * What this process knows of its targets, by `healthId` of the target: `provider/model`, and more where a policy brings a
 * credential or an address of its own. One per process; outlives plans.
 */
export type TargetBook = {
  signals(target: string, nowMs: number): TargetSignals
  /** Null: it may be tried. Changes nothing. */
  blocked(target: string, nowMs: number): TargetBlock | null
  /** Null: the circuit is open, or its one probe is under way, or it is set aside. */
  begin(target: string, nowMs: number): AttemptTicket | null
  /** The same where no other target is left, so that the circuit does not stand in the way. */
  beginAnyway(target: string, nowMs: number): AttemptTicket | null
  /** The first byte of an answer came, though it may yet fail. At most once per ticket, before `end`. */
  answered(ticket: AttemptTicket, latencyMs: number, nowMs: number): void
  /** What the answer said of its vendor's limits. */
  noteRates(ticket: AttemptTicket, rates: VendorRates, nowMs: number): void
  /** Exactly once per ticket. */
  end(ticket: AttemptTicket, outcome: AttemptOutcome, nowMs: number): void
  /** 95th percentile of the times to the first byte seen lately; null: too few. */
  slowLatencyMs(target: string): number | null
}

/** Where a bandit keeps what it learned of a target: by size of the input and whether tools are offered. */
export type ArmContext = { readonly size: 'small' | 'medium' | 'large'; readonly tools: boolean }

export type ArmDraw = {
  readonly target: string
  /** Beta posterior at the draw. */
  readonly alpha: number
  readonly beta: number
  /** The largest comes first. Above 1: chosen to explore. */
  readonly draw: number
}

/** One attempt, and what it was worth. */
export type ArmObservation = {
  readonly target: string
  /** The targets that were drawn for the request; what is known of them ages by this one observation. */
  readonly among: readonly string[]
  readonly context: ArmContext
  /** 0 to 1; see data-plane/routing/reward.ts. */
  readonly reward: number
}

/** Thompson sampling over targets. Its times are of the wall clock, because what it learned outlives the process. */
export type Bandit = {
  /** In the order of the targets given. The same seed and posteriors draw the same; nothing changes. */
  draw(
    targets: readonly string[],
    context: ArmContext,
    seed: string,
    nowMs: number,
  ): readonly ArmDraw[]
  /** Once per attempt, also failed ones. */
  observe(observation: ArmObservation, nowMs: number): void
}

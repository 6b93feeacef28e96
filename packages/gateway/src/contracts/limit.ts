import type { SharedReading } from './shared-counters.ts'

export const LIMIT_UNITS = [
  'requests',
  'tokens',
  'input_tokens',
  'output_tokens',
  'usd',
  'concurrent',
] as const
export type LimitUnit = (typeof LIMIT_UNITS)[number]

export const LIMIT_SCOPES = [
  'global',
  'team',
  'rolegroup',
  'role',
  'user',
  'key',
  'provider',
  'target',
  'ip',
] as const
/** Whose counter a limit charges. `tag:NAME` is a value of the key's metadata. */
export type LimitScope = (typeof LIMIT_SCOPES)[number] | `tag:${string}`

/** A window of a limit. A month or a year has no fixed length, so it is kept as calendar months. */
export type Window =
  | { readonly kind: 'duration'; readonly ms: number; readonly text: string }
  | { readonly kind: 'months'; readonly months: number; readonly text: string }

/** Amounts: tokens and requests as integers, `usd` as integer nano-US-dollars. */
export type LimitAlgorithm =
  | { readonly kind: 'bucket'; readonly capacity: number; readonly refillPerSec: number }
  | { readonly kind: 'sliding'; readonly amount: number; readonly window: Window }
  | {
      readonly kind: 'fixed'
      readonly amount: number
      readonly window: Window
      readonly align: 'clock' | 'first_use'
    }
  | { readonly kind: 'lifetime'; readonly amount: number }
  | { readonly kind: 'concurrent'; readonly amount: number }

/** One limit, compiled. See docs/guides/limits.md for the meaning of each field. */
export type LimitPlan = {
  readonly id: string
  readonly scope: LimitScope
  readonly unit: LimitUnit
  readonly algorithm: LimitAlgorithm
  /** `null`: the limit applies to every request of its scope. */
  readonly match: LimitMatch | null
  readonly mode: 'enforce' | 'warn' | 'shadow'
  /** `lease`: a small part of the output of a stream that is extended while it runs, and `max` of everything else. */
  readonly reserve: 'max' | 'expected' | 'lease'
  readonly whenShort: 'shrink' | 'refuse'
  /** Smallest output cap that `shrink` may put on a request. Tokens. */
  readonly minOutputTokens: number
  /** Fractions of the amount, ascending, at which `budget.alert` is emitted once per window. */
  readonly alerts: readonly number[]
  /** With a shared gate whose server is away. Absent: `local`, the process spends what it has leased. */
  readonly onBackendFailure?: 'deny' | 'allow'
  /** Amounts of their own for some of the scope's values; absent: all have the same. */
  readonly values?: LimitValues
}

/** The same limit with other amounts, by the scope's value. `only`: it does not apply to anybody else. */
export type LimitValues = {
  readonly plans: ReadonlyMap<string, LimitPlan>
  readonly only: boolean
}

export type LimitMatch = {
  readonly models: ((name: string) => boolean) | null
  readonly providers: ((name: string) => boolean) | null
  readonly endpoints: ((name: string) => boolean) | null
}

/** A limit together with whose counter it charges for this caller: the scope's value, `''` for `global`. */
export type LimitCharge = {
  readonly limit: LimitPlan
  readonly value: string
  /** Identity of the counter: limit id, scope and value. */
  readonly counterKey: string
}

/**
 * What a request may use at worst, or what it did use.
 *
 * Cost is linear in the output: `fixedCostPicoUsd + outputTokens × outputPicoUsd`. `null` cost: unpriced.
 */
export type Demand = {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly fixedCostPicoUsd: number | null
  readonly outputPicoUsd: number
  /** False: no cap can be put on the output, so that less of it is no way to fit; absent: it can. */
  readonly mayShrink?: boolean
  /** The answer is a stream that can be ended early in its own protocol, so that less than all of it may be held. */
  readonly mayLease?: boolean
  /** The public model that was asked for: what is expected of the output is learnt for each. */
  readonly model?: string
}

/** What was really used. `costNanoUsd` is what the usage record says, so that ledger and counters agree. */
export type Actual = {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly costNanoUsd: number
}

export type Refusal = {
  readonly limit: LimitPlan
  readonly value: string
  /** Settled and reserved, in the limit's unit (`usd`: nano-US-dollars). */
  readonly used: number
  /** The part of `used` that requests in flight hold; some of it may come back. */
  readonly reserved: number
  /** The amount, or a bucket's capacity. */
  readonly amount: number
  /** Wall clock, ms since 1970, when the window ends or the bucket is full; `null` for lifetime and concurrent. */
  readonly resetsAtMs: number | null
  /** Ms until the same request would pass if nothing else changed; `null` when waiting does not help or is unknown. */
  readonly retryAfterMs: number | null
  /** The request is larger than the whole capacity and can never pass. */
  readonly neverFits: boolean
  /** The server of the shared gate is away, and what this process may spend without it is used up. */
  readonly backendAway?: boolean
}

/** State of one limit right after a reservation or settlement, for the RateLimit response fields. */
export type LimitState = {
  readonly limit: LimitPlan
  readonly value: string
  readonly used: number
  readonly reserved: number
  readonly amount: number
  readonly resetsAtMs: number | null
}

export type LimitAlert = {
  readonly limit: LimitPlan
  readonly value: string
  readonly fraction: number
  readonly used: number
  readonly amount: number
}

/** An open reservation. Opaque to callers but for these fields; settle or release it exactly once. */
export type Reservation = {
  readonly id: number
  /** Output tokens granted: the demanded ones, or fewer after `shrink`. */
  readonly outputTokens: number
  readonly shrunk: boolean
  /** Output tokens held so far, where that is fewer than granted: see `Gate.extend`. Absent: all of them are held. */
  readonly heldTokens?: number
  /** Limits in `warn` or `shadow` mode that would have refused. */
  readonly excused: readonly Refusal[]
}

export type ReserveResult =
  | { readonly ok: true; readonly reservation: Reservation }
  | { readonly ok: false; readonly refusal: Refusal }

/** A counter as it is stored and restored. `state` is the backend's own JSON. */
export type CounterState = { readonly counterKey: string; readonly state: string }

export type CounterView = {
  readonly id: string
  readonly scope: LimitScope
  readonly value: string
  readonly unit: LimitUnit
  readonly used: number
  readonly reserved: number
  readonly amount: number
  readonly resetsAtMs: number | null
}

type Eventually<Value> = Value | Promise<Value>

/** What a request needs of a gate; the rest is for the store and the operator. */
export type RequestGate = Pick<
  Gate,
  'reserve' | 'fits' | 'extend' | 'settle' | 'release' | 'statesOf' | 'openReservations'
>

/**
 * The gate: all limits of a request, taken in one atomic step or not at all.
 *
 * `reserve` takes the worst case. `settle` replaces it by the truth (more than reserved is charged in full, as debt).
 * `release` gives everything back. A second settle or release of one reservation does nothing.
 */
export type Gate = {
  /** A gate of one process answers at once. */
  reserve(charges: readonly LimitCharge[], demand: Demand): Eventually<ReserveResult>
  /** Whether the whole demand would be granted now. Takes nothing. */
  fits(charges: readonly LimitCharge[], demand: Demand): boolean
  /**
   * Holds output up to so many tokens in all, and more where there is plenty, or as far as all limits allow. Returns the
   * tokens held now; that is never fewer than before. For reservations that hold less than was granted.
   */
  extend(reservation: Reservation, outputTokens: number): number | Promise<number>
  settle(reservation: Reservation, actual: Actual): void
  release(reservation: Reservation): void
  /** For response headers: the state of each enforced limit that the reservation charged. */
  statesOf(reservation: Reservation): readonly LimitState[]
  /** Counters with a window of an hour or more, or none, that changed since this was last asked: for the ledger's next transaction. */
  takeChanged(): readonly CounterState[]
  restore(states: readonly CounterState[]): void
  list(): Eventually<readonly CounterView[]>
  /**
   * Durable counters that other processes count too, and those of these keys besides. Absent: nobody else counts, and the
   * store has them. Throws `ServerAway`.
   */
  readDurable?(besides: readonly string[]): Promise<SharedReading>
  /** Reservations that are neither settled nor released. */
  openReservations(): number
  /** Sets the used amount to zero. `value` null: every counter of the limit. Returns the counters changed. */
  reset(limitId: string, value: string | null): Eventually<readonly CounterState[]>
  /** Adds an extra allowance (in the limit's unit) to the current window. Returns the counters changed. */
  grant(limitId: string, value: string, extra: number): Eventually<readonly CounterState[]>
  /**
   * A gate of its own that begins where this one stands, so much later: what is tried on it changes nothing here. Looking
   * ahead, what is open now has ended by then and used all that it holds.
   */
  fork(aheadMs: number): Eventually<ProcessGate>
}

/** A gate that never has to ask anybody. */
export type ProcessGate = Omit<Gate, 'reserve' | 'list' | 'reset' | 'grant' | 'fork'> & {
  reserve(charges: readonly LimitCharge[], demand: Demand): ReserveResult
  list(): readonly CounterView[]
  reset(limitId: string, value: string | null): readonly CounterState[]
  grant(limitId: string, value: string, extra: number): readonly CounterState[]
  fork(aheadMs: number): ProcessGate
}

import type { KeyChange, KeyRecord, PolicyRecord } from '../contracts/key.ts'
import type { EventType } from '../contracts/event.ts'
import type { TargetSignals } from '../contracts/routing.ts'
import type { StoredAlias } from '../plan/compile-routing.ts'
import type { Readiness } from '../lib/readiness.ts'

/**
 * A line is one letter and what it needs. Those of each request are JSON arrays of numbers, because they are most of
 * what a worker costs; those of rare things are JSON objects.
 *
 * From a worker:
 *
 * | letter | what follows |
 * |---|---|
 * | `L` | a limit that has not been named before, as JSON; it gets the next number |
 * | `C` | a counter that has not been named before: `[limit, value, key]`; it gets the next number |
 * | `X` | the numbers of limits and counters begin anew |
 * | `R` | reserve: `[reservation, input, output, fixed cost or null, output cost, flags, model or null]`, then the counters, with commas between |
 * | `K` | reserve, in room that the worker has: as `R`, and nothing is answered |
 * | `H` | room that is not needed: `[counter, amount]` |
 * | `E` | extend: `[question, reservation, output]` |
 * | `S` | settle: `[reservation, input, output, cost]` |
 * | `U` | release: `[reservation]` |
 * | `D` | a record, with tabs between: its number, flags, its `RecordFacts` as JSON, itself as JSON. What was settled since the last record belongs to it |
 * | `Q` | a question to the store: its number, a tab, a question of store-calls.ts |
 * | `G` | a whole line for the log |
 * | `J` | a `WorkerNews` |
 *
 * To a worker:
 *
 * | letter | what follows |
 * |---|---|
 * | `r` | reserved: `[reservation, output, held, states, holds, excused]` |
 * | `o` | room: how often numbers began anew, then counter, amount more, ticket, era or -1, ms that these hold or null; again for the next |
 * | `c` | room of the counter is asked back, all of it |
 * | `f` | refused: `[reservation, ...refusal]` |
 * | `b` | the gate failed: `[reservation, message]` |
 * | `e` | extended: `[question, held, holds]` |
 * | `a` | records are committed: `[[record, ...], [[reservation, ...], states], ...]` |
 * | `x` | a record cannot be written: `[record, message, [[reservation, ...], states], ...]` |
 * | `q`, `w` | the store's answer, or what is wrong with it: the question's number, a tab, JSON |
 * | `J` | an `OwnerNews` |
 */
export const MAY_NOT_SHRINK = 1
export const MAY_LEASE = 2

/** Flags of a record. */
export const WAS_SENT = 1
export const HAS_FAILED = 2

/** Of reservations of the same charges, at one moment. */
export type SettledStates = readonly [reservations: readonly number[], states: States]

/** Position among the charges that were named, used, reserved, amount, end (wall clock) or null; again for the next. */
export type States = readonly (number | null)[]

/**
 * What the server of shared counters knows the reservation by, or null; then position, amount, ticket, era of each counter
 * that the journal of open calls must name.
 */
export type Holds = readonly [name: string | null, ...numbers: number[]]

/** Position, used, reserved, amount, end or null, wait or null, never fits, backend away (0 or 1). */
export type RefusalNumbers = readonly [
  at: number,
  used: number,
  reserved: number,
  amount: number,
  resetsAtMs: number | null,
  retryAfterMs: number | null,
  neverFits: number,
  backendAway: number,
]

export type ReserveLine = readonly [
  reservation: number,
  inputTokens: number,
  outputTokens: number,
  fixedCostPicoUsd: number | null,
  outputPicoUsd: number,
  flags: number,
  model: string | null,
]

export type ReservedLine = readonly [
  reservation: number,
  outputTokens: number,
  heldTokens: number,
  states: States,
  holds: Holds,
  excused: readonly RefusalNumbers[],
]

/** What a worker makes its plan of: the same text, policies and environment as the owner, so it comes to the same. */
export type PlanSource = {
  readonly file: string | null
  readonly text: string | null
  readonly storedPolicies: readonly PolicyRecord[]
  readonly storedAliases: readonly StoredAlias[]
  readonly revision: number
}

export type WorkerStart = PlanSource & {
  readonly kind: 'start'
  readonly slot: number
  readonly load: {
    readonly configPath: string | null
    readonly overrides: Readonly<Record<string, unknown>>
    readonly env: Readonly<Record<string, string | undefined>>
    readonly cwd: string
  }
  readonly port: number
  /** The current one first. */
  readonly hashKeys: readonly string[]
  readonly adminToken: string
  /** Where the built-in sandbox listens; null: it does not run. */
  readonly sandboxUrl: string | null
  readonly keys: readonly KeyRecord[]
  /** Where calls under way are noted; null: they are not. */
  readonly journal: string | null
  /** Of claims on answers; see `AnswerStore`. */
  readonly leaseMs: number
  /** The name of this gateway among those that share its store; null: it is the only one. */
  readonly instance: string | null
  readonly logFormat: 'json' | 'pretty'
  readonly readiness: Readiness
}

/** Numbered: the worker says when it holds. */
export type Change =
  | ({ readonly kind: 'plan' } & PlanSource)
  | KeyChange
  /** Null: every target. */
  | { readonly kind: 'reset-targets'; readonly target: string | null }

export type OwnerNews =
  | WorkerStart
  | { readonly kind: 'change'; readonly number: number; readonly change: Change }
  | { readonly kind: 'readiness'; readonly readiness: Readiness }
  | { readonly kind: 'report' }
  | { readonly kind: 'drain'; readonly graceMs: number }

export type WorkerReport = {
  readonly inFlight: number
  readonly cpuSeconds: number
  readonly residentBytes: number
  readonly targets: readonly SentTarget[]
}

/** Clocks of two processes begin at different times. */
export type SentTarget = Omit<TargetSignals, 'setAsideUntilMs'> & {
  readonly target: string
  readonly setAsideForMs: number | null
}

export type WorkerNews =
  | { readonly kind: 'listening' }
  | { readonly kind: 'failed'; readonly error: SentError }
  | { readonly kind: 'applied'; readonly number: number }
  /** `isAnswer`: it was asked for. */
  | ({ readonly kind: 'report'; readonly isAnswer: boolean } & WorkerReport)
  | { readonly kind: 'drained' }
  | {
      readonly kind: 'event'
      readonly type: EventType
      readonly data: Readonly<Record<string, unknown>>
    }
  | {
      readonly kind: 'touched'
      readonly keys: readonly { readonly id: string; readonly atMs: number }[]
    }

/** An error of the start, with what the operating system says about a listener. */
export type SentError = {
  readonly message: string
  readonly code: string | null
  readonly syscall: string | null
  readonly address: string | null
  readonly port: number | null
}

/** What follows the letter. The other end is this program, in the same version. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller knows what the letter means
export function readLine<T>(text: string): T {
  const value: unknown = JSON.parse(text)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by our own other end
  return value as T
}

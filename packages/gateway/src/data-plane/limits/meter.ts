import type { LimitAlgorithm } from '../../contracts/limit.ts'

/**
 * How one algorithm counts. Pure: time comes in as `nowMs`, gate time (see gate-clock.ts), integer, never going back.
 *
 * Amounts are integers in the limit's unit. A meter does not refuse: `take` also takes what is not free, because limits
 * in `warn` mode count too. The gate asks `freeAt` first.
 */
export type Meter = {
  readonly kind: LimitAlgorithm['kind']
  /** Takes over an edited algorithm and keeps what was counted. False: of another kind or window, nothing was done. */
  adopt(algorithm: LimitAlgorithm): boolean
  /** The amount, or a bucket's capacity, with any extra allowance. */
  amountAt(nowMs: number): number
  /** What can still be taken; negative in debt. */
  freeAt(nowMs: number): number
  settledAt(nowMs: number): number
  /** Taken and still open. */
  reservedAt(nowMs: number): number
  /** Returns a ticket that `close` needs: where in time the amount was taken. */
  take(amount: number, nowMs: number): number
  /** Replaces what `take` took by what was used; exactly once per ticket. */
  close(taken: Taken, usedAmount: number, nowMs: number): void
  /** Counts as used what a former process took with this ticket. Returns the ticket of the window that it was counted in. */
  chargeAt(ticket: number, amount: number, nowMs: number): number
  /** Ms until `need` is free if nothing else changes; null when waiting does not help or the wait is unknown. */
  waitMs(need: number, nowMs: number): number | null
  /** Gate time at which nothing that is counted now counts any more; null: never. */
  endsAtMs(nowMs: number): number | null
  /** Gate time until which an alert that was given now is not repeated. */
  alertUntilMs(nowMs: number): number
  /** Nothing is counted and nothing is open: a new meter would be the same. */
  idleAt(nowMs: number): boolean
  /** Forgets what was settled and any extra allowance. Open reservations stay. */
  reset(nowMs: number): void
  /** Adds an allowance to the current window. */
  grant(extra: number, nowMs: number): void
  /** How long a window lasts at least, in ms; `Infinity`: for life. */
  windowMs(): number
  /** JSON from which the algorithm's `restore…` builds an equal meter. */
  save(nowMs: number): Readonly<Record<string, unknown>>
}

export type Taken = { readonly ticket: number; readonly amount: number }

export type SavedMeter = {
  readonly state: Readonly<Record<string, unknown>>
  /** Whether what was open when the state was saved counts as used. */
  readonly chargeOpen: boolean
  readonly nowMs: number
}

/** A number of a stored state. Throws when it is not one. */
export function savedNumber(state: Readonly<Record<string, unknown>>, name: string): number {
  const value = state[name]
  if (typeof value === 'number' && Number.isFinite(value)) return value
  throw new TypeError(`"${name}" is not a number.`)
}

import type { LimitAlgorithm } from '../../contracts/limit.ts'
import { longestMs, sameWindow } from './calendar.ts'
import { type Meter, type SavedMeter, savedNumber, type Taken } from './meter.ts'
import { isRecord } from '../../lib/is-record.ts'

export type SlidingAlgorithm = Extract<LimitAlgorithm, { kind: 'sliding' }>

/** Parts of a window. More would refuse less early and cost more memory. */
const SLOTS = 60

/**
 * An amount in any window of the given length, counted in slots of 1/60 of it.
 *
 * A slot counts until all of it is older than the window: the current one and 60 before it. So no window ever holds more
 * than the amount, and a slot's oldest part is given back at most 1/60 of the window (and 1 ms) too late. Only slots
 * that were used exist, at most 61, so an idle caller costs next to nothing.
 *
 * Slots are numbered `floor(nowMs × 60 / windowMs)`; all terms are integers below 2^53, so the numbers are exact.
 */
export class SlidingMeter implements Meter {
  readonly kind = 'sliding'
  #algorithm: SlidingAlgorithm
  readonly #windowMs: number
  /** Ascending; the three arrays belong together. */
  readonly #slots: number[] = []
  readonly #settledIn: number[] = []
  readonly #reservedIn: number[] = []
  #settled = 0
  #reserved = 0
  #open = 0
  #extra = 0
  #extraUntilMs = Number.NEGATIVE_INFINITY

  constructor(algorithm: SlidingAlgorithm) {
    this.#algorithm = algorithm
    this.#windowMs = longestMs(algorithm.window)
  }

  /** Slots that lie ahead were saved under a clock that has gone back since; they count as taken now. */
  static restore(algorithm: SlidingAlgorithm, saved: SavedMeter): SlidingMeter {
    const meter = new SlidingMeter(algorithm)
    const slots = saved.state['slots']
    if (!Array.isArray(slots)) throw new TypeError('"slots" is not a list.')
    for (const slot of slots) {
      if (!isRecord(slot)) throw new TypeError('A slot is not an object.')
      const amount =
        savedNumber(slot, 'settled') + (saved.chargeOpen ? savedNumber(slot, 'open') : 0)
      const at = Math.min(savedNumber(slot, 'at'), meter.#slotAt(saved.nowMs))
      if (amount > 0) meter.#settle(at, amount)
    }
    meter.#extra = savedNumber(saved.state, 'extra')
    meter.#extraUntilMs = Math.min(
      savedNumber(saved.state, 'extra_until_ms'),
      saved.nowMs + meter.#windowMs,
    )
    return meter
  }

  adopt(algorithm: LimitAlgorithm): boolean {
    if (algorithm.kind !== 'sliding') return false
    if (!sameWindow(algorithm.window, this.#algorithm.window)) return false
    this.#algorithm = algorithm
    return true
  }

  amountAt(nowMs: number): number {
    return this.#algorithm.amount + (nowMs < this.#extraUntilMs ? this.#extra : 0)
  }

  freeAt(nowMs: number): number {
    this.#advance(nowMs)
    return this.amountAt(nowMs) - this.#settled - this.#reserved
  }

  settledAt(nowMs: number): number {
    this.#advance(nowMs)
    return this.#settled
  }

  reservedAt(nowMs: number): number {
    this.#advance(nowMs)
    return this.#reserved
  }

  take(amount: number, nowMs: number): number {
    this.#advance(nowMs)
    const slot = this.#slotAt(nowMs)
    this.#open += 1
    if (amount === 0) return slot
    const index = this.#indexFor(slot)
    this.#reservedIn[index] = (this.#reservedIn[index] ?? 0) + amount
    this.#reserved += amount
    return slot
  }

  close(taken: Taken, usedAmount: number, nowMs: number): void {
    this.#advance(nowMs)
    this.#open -= 1
    if (taken.ticket < this.#slotAt(nowMs) - SLOTS) return
    if (taken.amount > 0) {
      const index = this.#indexFor(taken.ticket)
      this.#reservedIn[index] = (this.#reservedIn[index] ?? 0) - taken.amount
      this.#reserved -= taken.amount
    }
    if (usedAmount > 0) this.#settle(taken.ticket, usedAmount)
    this.#dropIfEmpty(taken.ticket)
  }

  chargeAt(ticket: number, amount: number, nowMs: number): number {
    this.#advance(nowMs)
    const slot = Math.min(ticket, this.#slotAt(nowMs))
    if (amount > 0 && slot >= this.#slotAt(nowMs) - SLOTS) this.#settle(slot, amount)
    return slot
  }

  waitMs(need: number, nowMs: number): number | null {
    const short = need - this.freeAt(nowMs)
    if (short <= 0) return 0
    const extra = this.amountAt(nowMs) - this.#algorithm.amount
    const freedMs = this.#freedAtMs(short)
    if (freedMs !== null && (extra === 0 || freedMs < this.#extraUntilMs)) return freedMs - nowMs
    if (need > this.#algorithm.amount) return null
    // The allowance will be over by then.
    const laterMs = this.#freedAtMs(short + extra)
    return laterMs === null ? null : laterMs - nowMs
  }

  endsAtMs(nowMs: number): number | null {
    this.#advance(nowMs)
    const newest = this.#slots.at(-1)
    return newest === undefined ? nowMs : this.#expiryMs(newest)
  }

  alertUntilMs(nowMs: number): number {
    return nowMs + this.#windowMs
  }

  idleAt(nowMs: number): boolean {
    this.#advance(nowMs)
    return this.#open === 0 && this.#slots.length === 0 && nowMs >= this.#extraUntilMs
  }

  reset(): void {
    this.#settledIn.fill(0)
    this.#settled = 0
    this.#extra = 0
    this.#extraUntilMs = Number.NEGATIVE_INFINITY
  }

  /** An allowance lasts for one window; a second one prolongs what is left of the first. */
  grant(extra: number, nowMs: number): void {
    this.#extra = this.amountAt(nowMs) - this.#algorithm.amount + extra
    this.#extraUntilMs = nowMs + this.#windowMs
  }

  windowMs(): number {
    return this.#windowMs
  }

  save(nowMs: number): Readonly<Record<string, unknown>> {
    this.#advance(nowMs)
    const slots = this.#slots.map((at, i) => ({
      at,
      settled: this.#settledIn[i],
      open: this.#reservedIn[i],
    }))
    const granted = nowMs < this.#extraUntilMs
    return {
      slots,
      extra: granted ? this.#extra : 0,
      extra_until_ms: granted ? this.#extraUntilMs : 0,
    }
  }

  #slotAt(nowMs: number): number {
    return Math.floor((nowMs * SLOTS) / this.#windowMs)
  }

  /** First whole millisecond at which the slot is no longer counted. */
  #expiryMs(slot: number): number {
    return Math.ceil(((slot + SLOTS + 1) * this.#windowMs) / SLOTS)
  }

  /** When slots that hold `amount` together, oldest first, no longer count. Null: all of them hold less. */
  #freedAtMs(amount: number): number | null {
    let left = amount
    for (let i = 0; i < this.#slots.length; i++) {
      left -= (this.#settledIn[i] ?? 0) + (this.#reservedIn[i] ?? 0)
      if (left <= 0) return this.#expiryMs(this.#slots[i] ?? 0)
    }
    return null
  }

  #advance(nowMs: number): void {
    const oldest = this.#slotAt(nowMs) - SLOTS
    while ((this.#slots[0] ?? oldest) < oldest) {
      this.#slots.shift()
      this.#settled -= this.#settledIn.shift() ?? 0
      this.#reserved -= this.#reservedIn.shift() ?? 0
    }
  }

  #settle(slot: number, amount: number): void {
    const index = this.#indexFor(slot)
    this.#settledIn[index] = (this.#settledIn[index] ?? 0) + amount
    this.#settled += amount
  }

  /** Where the slot stands, made when it is missing. Most calls are for one of the newest. */
  #indexFor(slot: number): number {
    let index = this.#slots.length
    while (index > 0 && (this.#slots[index - 1] ?? slot) > slot) index -= 1
    if (this.#slots[index - 1] === slot) return index - 1
    this.#slots.splice(index, 0, slot)
    this.#settledIn.splice(index, 0, 0)
    this.#reservedIn.splice(index, 0, 0)
    return index
  }

  #dropIfEmpty(slot: number): void {
    const index = this.#slots.lastIndexOf(slot)
    if (index < 0 || this.#settledIn[index] !== 0 || this.#reservedIn[index] !== 0) return
    this.#slots.splice(index, 1)
    this.#settledIn.splice(index, 1)
    this.#reservedIn.splice(index, 1)
  }
}

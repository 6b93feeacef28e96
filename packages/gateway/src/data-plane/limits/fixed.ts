import type { LimitAlgorithm } from '../../contracts/limit.ts'
import { calendarStartMs, longestMs, sameWindow, windowEndMs } from './calendar.ts'
import { type Meter, type SavedMeter, savedNumber, type Taken } from './meter.ts'

export type FixedAlgorithm = Extract<LimitAlgorithm, { kind: 'fixed' }>

/** No window is open: nothing is counted. */
const NO_WINDOW = Number.NEGATIVE_INFINITY

/**
 * An amount per window, all of it back at the window's end.
 *
 * A window is opened by the first take and named by its start. Gate time never goes back, so an earlier window is never
 * opened again. What is settled after its window ended belongs to that window and changes nothing in this one.
 */
export class FixedMeter implements Meter {
  readonly kind = 'fixed'
  #algorithm: FixedAlgorithm
  #startMs = NO_WINDOW
  #endMs = NO_WINDOW
  /** No window that ended before this is opened again by a start under a clock that went back. */
  #notBeforeMs = NO_WINDOW
  #extra = 0
  #settled = 0
  #reserved = 0
  #open = 0

  constructor(algorithm: FixedAlgorithm) {
    this.#algorithm = algorithm
  }

  /**
   * A window that lies ahead was saved under a clock that has gone back since. It goes on; when its start is more than a
   * window away, so that the clock was plainly wrong, what it counted counts for one whole window from now.
   */
  static restore(algorithm: FixedAlgorithm, saved: SavedMeter): FixedMeter {
    const meter = new FixedMeter(algorithm)
    const startMs = savedNumber(saved.state, 'start_ms')
    const endMs = savedNumber(saved.state, 'end_ms')
    if (saved.nowMs >= endMs) return meter
    const far = startMs - saved.nowMs > longestMs(algorithm.window)
    // Without a window it was saved with one of no length, at the time of saving.
    if (endMs <= startMs) {
      if (!far) meter.#notBeforeMs = startMs
      return meter
    }
    meter.#startMs = far ? saved.nowMs : startMs
    meter.#endMs = far ? windowEndMs(algorithm.window, saved.nowMs) : endMs
    meter.#extra = savedNumber(saved.state, 'extra')
    meter.#settled = savedNumber(saved.state, 'settled')
    if (saved.chargeOpen) meter.#settled += savedNumber(saved.state, 'open')
    return meter
  }

  adopt(algorithm: LimitAlgorithm): boolean {
    if (algorithm.kind !== 'fixed' || algorithm.align !== this.#algorithm.align) return false
    if (!sameWindow(algorithm.window, this.#algorithm.window)) return false
    this.#algorithm = algorithm
    return true
  }

  amountAt(nowMs: number): number {
    this.#advance(nowMs)
    return this.#algorithm.amount + this.#extra
  }

  freeAt(nowMs: number): number {
    this.#advance(nowMs)
    return this.#algorithm.amount + this.#extra - this.#settled - this.#reserved
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
    if (this.#startMs === NO_WINDOW) this.#openWindow(nowMs)
    this.#open += 1
    this.#reserved += amount
    return this.#startMs
  }

  close(taken: Taken, usedAmount: number, nowMs: number): void {
    this.#advance(nowMs)
    this.#open -= 1
    if (taken.ticket !== this.#startMs) return
    this.#reserved -= taken.amount
    this.#settled += usedAmount
  }

  chargeAt(ticket: number, amount: number, nowMs: number): number {
    this.#advance(nowMs)
    if (this.#startMs === NO_WINDOW) {
      if (ticket > nowMs) this.#openWindow(nowMs)
      else if (windowEndMs(this.#algorithm.window, ticket) > nowMs) this.#openWindow(ticket)
    }
    const at = ticket > this.#startMs ? this.#startMs : ticket
    if (at === NO_WINDOW) return ticket
    if (at === this.#startMs) this.#settled += amount
    return at
  }

  waitMs(need: number, nowMs: number): number | null {
    this.#advance(nowMs)
    if (need <= this.freeAt(nowMs)) return 0
    if (need > this.#algorithm.amount || this.#startMs === NO_WINDOW) return null
    return this.#endMs - nowMs
  }

  endsAtMs(nowMs: number): number | null {
    this.#advance(nowMs)
    if (this.#startMs !== NO_WINDOW) return this.#endMs
    if (this.#algorithm.align === 'first_use') return null
    return windowEndMs(this.#algorithm.window, calendarStartMs(this.#algorithm.window, nowMs))
  }

  alertUntilMs(nowMs: number): number {
    return this.endsAtMs(nowMs) ?? nowMs
  }

  idleAt(nowMs: number): boolean {
    this.#advance(nowMs)
    return this.#open === 0 && this.#settled === 0 && this.#extra === 0
  }

  reset(): void {
    this.#settled = 0
    this.#extra = 0
  }

  grant(extra: number, nowMs: number): void {
    this.#advance(nowMs)
    if (this.#startMs === NO_WINDOW) this.#openWindow(nowMs)
    this.#extra += extra
  }

  windowMs(): number {
    return longestMs(this.#algorithm.window)
  }

  save(nowMs: number): Readonly<Record<string, unknown>> {
    this.#advance(nowMs)
    const blank = this.#startMs === NO_WINDOW
    return {
      start_ms: blank ? Math.max(nowMs, this.#notBeforeMs) : this.#startMs,
      end_ms: blank ? Math.max(nowMs, this.#notBeforeMs) : this.#endMs,
      settled: this.#settled,
      open: this.#reserved,
      extra: this.#extra,
    }
  }

  #advance(nowMs: number): void {
    if (nowMs < this.#endMs || this.#startMs === NO_WINDOW) return
    this.#startMs = NO_WINDOW
    this.#endMs = NO_WINDOW
    this.#extra = 0
    this.#settled = 0
    this.#reserved = 0
  }

  #openWindow(nowMs: number): void {
    const { window, align } = this.#algorithm
    const atMs = Math.max(nowMs, this.#notBeforeMs)
    this.#startMs = align === 'clock' ? calendarStartMs(window, atMs) : atMs
    this.#endMs = windowEndMs(window, this.#startMs)
  }
}

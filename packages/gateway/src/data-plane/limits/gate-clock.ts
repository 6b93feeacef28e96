import { aheadOf, type Clock } from '../../lib/clock.ts'

/**
 * Gate time: ms since 1970 as the wall clock said at start, and from then on only what the monotonic clock adds.
 *
 * The rule for clock jumps. All windows are laid out in gate time, so a wall clock that jumps, back or forth, opens no
 * window early, reopens none and ends none: it admits nothing extra. The price is that after a real correction of the
 * wall clock, windows that are aligned to it stay off by the correction until the process starts again. A start believes
 * the wall clock, because there is nothing else to believe. Time shown to clients is translated back to the wall clock.
 */
export class GateClock {
  readonly #clock: Clock
  readonly #offsetMs: number
  #latestMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, offsetMs: number = clock.wallMs() - clock.monotonicMs()) {
    this.#clock = clock
    this.#offsetMs = offsetMs
  }

  /** The same time, so much later, for a gate that looks ahead. */
  ahead(ms: number): GateClock {
    return new GateClock(aheadOf(this.#clock, ms), this.#offsetMs)
  }

  /** Whole milliseconds, never going back. */
  nowMs(): number {
    const nowMs = Math.floor(this.#clock.monotonicMs() + this.#offsetMs)
    if (nowMs > this.#latestMs) this.#latestMs = nowMs
    return this.#latestMs
  }

  /** The wall clock's name for a moment of gate time. `nowMs`: this moment, for callers that have just asked. */
  toWallMs(gateMs: number, nowMs: number = this.nowMs()): number {
    return Math.round(this.#clock.wallMs() + gateMs - nowMs)
  }
}

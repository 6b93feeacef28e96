import type { Clock } from '../../../lib/clock.ts'
import { GateClock } from '../gate-clock.ts'

/** The server's time, as its last answer told it and this process's monotonic clock carries it on. */
export class ServerTime {
  readonly #clock: Clock
  /** Tests: the server is told the time. */
  readonly #virtual: GateClock | null
  #toldMs: number
  #toldAtMs: number

  constructor(clock: Clock, virtual: boolean) {
    this.#clock = clock
    this.#virtual = virtual ? new GateClock(clock) : null
    this.#toldMs = clock.wallMs()
    this.#toldAtMs = clock.monotonicMs()
  }

  learn(nowMs: number): void {
    this.#toldMs = nowMs
    this.#toldAtMs = this.#clock.monotonicMs()
  }

  /** Whole milliseconds since 1970. */
  nowMs(): number {
    if (this.#virtual !== null) return this.#virtual.nowMs()
    return Math.floor(this.#toldMs + this.#clock.monotonicMs() - this.#toldAtMs)
  }

  /** For the script: empty where it asks its own clock. */
  argument(): string {
    return this.#virtual === null ? '' : String(this.#virtual.nowMs())
  }

  /** This machine's name for a moment of the server's time. */
  readonly toWallMs = (gateMs: number): number =>
    Math.round(this.#clock.wallMs() + gateMs - this.nowMs())

  /** A clock whose wall time is the server's. */
  asClock(): Clock {
    return { monotonicMs: () => this.#clock.monotonicMs(), wallMs: () => this.nowMs() }
  }
}

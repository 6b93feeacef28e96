import type { Clock } from '../lib/clock.ts'

/** 2026-03-10T10:00:00Z, a Tuesday. */
export const TEST_START_MS: number = Date.UTC(2026, 2, 10, 10)

/** A clock that moves when it is told to. */
export class VirtualClock implements Clock {
  #monotonicMs = 5_000
  #wallMs: number

  constructor(wallMs: number = TEST_START_MS) {
    this.#wallMs = wallMs
  }

  monotonicMs(): number {
    return this.#monotonicMs
  }

  wallMs(): number {
    return this.#wallMs
  }

  /** Time passes, on both clocks. */
  advance(ms: number): void {
    this.#monotonicMs += ms
    this.#wallMs += ms
  }

  /** Somebody sets the wall clock; no time passes. */
  jumpWall(ms: number): void {
    this.#wallMs += ms
  }
}

/** Time as a parameter, so that limits and retries can be tested in virtual time. */
export type Clock = {
  /** Never goes back; for elapsed time. Milliseconds. */
  monotonicMs(): number
  /** Milliseconds since 1970; may jump. */
  wallMs(): number
}

export const SYSTEM_CLOCK: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
}

/** A clock that runs so much before another. */
export function aheadOf(clock: Clock, ms: number): Clock {
  if (ms === 0) return clock
  return {
    monotonicMs: () => clock.monotonicMs() + ms,
    wallMs: () => clock.wallMs() + ms,
  }
}

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

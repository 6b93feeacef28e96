export type Signals = {
  /** The first signal that asks to stop. */
  readonly first: Promise<NodeJS.Signals>
  readonly release: () => void
}

/**
 * One press of Ctrl-C arrives several times when npm or a wrapper passes it on to a process that got it from the
 * terminal already. Signals this close together are one.
 */
const SAME_PRESS_MS = 200
const INTERRUPTED = 130

/** The second signal ends the process at once. */
export function nextSignal(exit: (code: number) => never): Signals {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>()
  let firstAtMs: number | null = null
  const onSignal = (signal: NodeJS.Signals): void => {
    const nowMs = performance.now()
    if (firstAtMs !== null && nowMs - firstAtMs > SAME_PRESS_MS) exit(INTERRUPTED)
    firstAtMs ??= nowMs
    resolve(signal)
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return {
    first: promise,
    release() {
      process.off('SIGINT', onSignal)
      process.off('SIGTERM', onSignal)
    },
  }
}

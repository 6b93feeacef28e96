let ending: PromiseWithResolvers<void> | null = null

function end(): void {
  const ended = ending
  ending = null
  ended?.resolve()
}

/**
 * Resolves when this turn of the event loop has read what there was to read from all connections. Null: the request is the only
 * one, and has nobody to wait for.
 *
 * Requests of one turn then take their next steps one right after the other. A step finds its code in the processor's caches
 * but for the first of them, where each request by itself would load all of it again. docs/performance.md
 */
export function turnEnd(load: { readonly inFlight: number }): Promise<void> | null {
  if (load.inFlight < 2) return null
  if (ending === null) {
    ending = Promise.withResolvers<void>()
    setImmediate(end)
  }
  return ending.promise
}

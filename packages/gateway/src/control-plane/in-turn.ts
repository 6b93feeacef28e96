import type { Store } from '../contracts/store.ts'

const TAILS = new WeakMap<Store, Promise<unknown>>()

/**
 * Runs changes of one store one after the other, so that what a change has read is still true when it writes.
 *
 * Holds within this process; two processes never serve the same embedded store.
 */
export function inTurn<T>(store: Store, change: () => Promise<T>): Promise<T> {
  const before = TAILS.get(store) ?? Promise.resolve()
  const result = before.then(change)
  TAILS.set(
    store,
    result.catch(() => undefined),
  )
  return result
}

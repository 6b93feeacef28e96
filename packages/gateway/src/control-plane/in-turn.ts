import type { Store } from '../contracts/store.ts'

const TAILS = new WeakMap<Store, Promise<unknown>>()

/**
 * Runs changes of one store one after the other, so that what a change has read is still true when it writes. Of a store
 * that several gateways share, one of them at a time runs a change.
 */
export function inTurn<T>(store: Store, change: () => Promise<T>): Promise<T> {
  return inOrder(store, () => store.exclusively?.(change) ?? change())
}

/** As `inTurn`, within this process only: for work that writes nothing. */
export function inOrder<T>(store: Store, work: () => Promise<T>): Promise<T> {
  const before = TAILS.get(store) ?? Promise.resolve()
  const result = before.then(work)
  TAILS.set(
    store,
    result.catch(() => undefined),
  )
  return result
}

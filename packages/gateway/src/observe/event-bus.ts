import type { Clock } from '../lib/clock.ts'
import type { EventBus, GatewayEvent } from '../contracts/event.ts'

/** Events kept for a listener that comes back. */
const KEPT = 1000

type Listener = (event: GatewayEvent) => void

/**
 * In-memory bus. A listener is called on the emitter's stack and must be quick; one that throws is dropped, so that it
 * cannot hurt requests. Slow readers are the SSE endpoint's matter.
 */
export function createEventBus(clock: Pick<Clock, 'wallMs'>): EventBus {
  const kept: GatewayEvent[] = []
  const listeners = new Set<Listener>()
  let lastId = 0

  function deliver(listener: Listener, event: GatewayEvent): void {
    try {
      listener(event)
    } catch {
      listeners.delete(listener)
    }
  }

  return {
    emit(type, data) {
      const event: GatewayEvent = { id: ++lastId, type, atMs: clock.wallMs(), data }
      kept[event.id % KEPT] = event
      for (const listener of listeners) deliver(listener, event)
    },
    subscribe(afterId, listener) {
      // A private function, so that one function subscribed twice is two subscriptions.
      const own: Listener = (event) => listener(event)
      listeners.add(own)
      if (afterId !== null) {
        // An id from before a restart is larger than any of ours: everything kept is news.
        const from = afterId > lastId ? 0 : afterId
        for (let id = Math.max(from + 1, lastId - KEPT + 1); id <= lastId; id++) {
          const event = kept[id % KEPT]
          if (event !== undefined) deliver(own, event)
        }
      }
      return () => void listeners.delete(own)
    },
  }
}

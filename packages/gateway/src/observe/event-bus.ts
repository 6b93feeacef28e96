import type { Clock } from '../lib/clock.ts'
import type { EventBus, EventType, GatewayEvent } from '../contracts/event.ts'

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

  function tell(event: GatewayEvent): void {
    kept[event.id % KEPT] = event
    for (const listener of listeners) deliver(listener, event)
  }

  return {
    emit(type, data) {
      tell({ id: ++lastId, type, atMs: clock.wallMs(), data })
    },
    emitUnread(type, read) {
      tell(new UnreadEvent({ id: ++lastId, type, atMs: clock.wallMs() }, read))
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

class UnreadEvent implements GatewayEvent {
  readonly id: number
  readonly type: EventType
  readonly atMs: number
  readonly #read: () => GatewayEvent['data']

  constructor({ id, type, atMs }: Omit<GatewayEvent, 'data'>, read: () => GatewayEvent['data']) {
    this.id = id
    this.type = type
    this.atMs = atMs
    this.#read = read
  }

  get data(): GatewayEvent['data'] {
    return this.#read()
  }
}

import type { EventBus, GatewayEvent } from '../contracts/event.ts'
import type { EventView } from './admin-api.ts'
import { timeText } from './written-times.ts'

/** More than the bus keeps, so that a whole replay fits. */
const MOST_WAITING = 4096
const DEFAULT_HEARTBEAT_MS = 15_000
/** What browsers wait before they connect again. */
const RETRY_MS = 2000
const HEARTBEAT = 'event: heartbeat\ndata: {}\n\n'

export type EventStreamOptions = {
  /** Replays what is kept after this id; null: only what happens from now on. */
  readonly afterId: number | null
  /** Null: every type. */
  readonly types: ReadonlySet<string> | null
  readonly heartbeatMs: number | undefined
  /** Ends the stream. */
  readonly closing: AbortSignal | undefined
  /** Called once, however the stream ends. */
  readonly onEnd: () => void
}

/**
 * Events as server-sent events.
 *
 * A listener that does not read is cut off once `MOST_WAITING` frames wait for it; it can come back with `Last-Event-ID`.
 */
export function eventStream(
  bus: EventBus,
  options: EventStreamOptions,
): ReadableStream<Uint8Array> {
  const listener = new Listener(options)
  return new ReadableStream<Uint8Array>(
    {
      start: (controller) => listener.start(controller, bus),
      cancel: () => listener.end(),
    },
    { highWaterMark: MOST_WAITING },
  )
}

class Listener {
  readonly #options: EventStreamOptions
  readonly #encoder = new TextEncoder()
  readonly #undo: (() => void)[] = []
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null

  constructor(options: EventStreamOptions) {
    this.#options = options
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>, bus: EventBus): void {
    const { afterId, types, closing, heartbeatMs } = this.#options
    this.#controller = controller
    this.#undo.push(this.#options.onEnd)
    const heartbeat = setInterval(() => this.#send(HEARTBEAT), heartbeatMs ?? DEFAULT_HEARTBEAT_MS)
    heartbeat.unref()
    this.#undo.push(() => clearInterval(heartbeat))
    this.#send(`retry: ${RETRY_MS}\n\n`)
    this.#undo.push(
      bus.subscribe(afterId, (event) => {
        if (types === null || types.has(event.type)) this.#send(frameOf(event))
      }),
    )
    const close = (): void => this.#close()
    closing?.addEventListener('abort', close)
    this.#undo.push(() => closing?.removeEventListener('abort', close))
    if (closing?.aborted === true) close()
  }

  /** The reader left, or is sent away. */
  end(): void {
    this.#controller = null
    for (const undo of this.#undo.splice(0)) undo()
  }

  #close(): void {
    const controller = this.#controller
    this.end()
    controller?.close()
  }

  #send(frame: string): void {
    const controller = this.#controller
    if (controller === null) return
    if ((controller.desiredSize ?? 0) > 0) {
      controller.enqueue(this.#encoder.encode(frame))
      return
    }
    this.end()
    // An error drops what waits; closing would keep it for somebody who does not read.
    controller.error(new Error('The listener is too slow.'))
  }
}

function frameOf(event: GatewayEvent): string {
  const view: EventView = {
    id: event.id,
    type: event.type,
    at: timeText(event.atMs),
    data: event.data,
  }
  return `id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(view)}\n\n`
}

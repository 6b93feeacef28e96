import { AsyncLocalStorage } from 'node:async_hooks'
import { onClose } from '../harness/cleanup.ts'
import type { WireAnswer } from './wire/check-wire.ts'

export type Exchange = WireAnswer & {
  readonly requestId: string
  /** What the translation could not carry. */
  readonly loss: readonly string[]
}

/** What one cell has said to the gateway. */
export class Log {
  private readonly pending: Promise<Exchange>[] = []

  add(exchange: Promise<Exchange>): void {
    exchange.catch(() => {})
    this.pending.push(exchange)
  }

  /** In the order asked; waits for the ends of bodies. */
  exchanges(): Promise<readonly Exchange[]> {
    return Promise.all(this.pending)
  }
}

const current = new AsyncLocalStorage<Log>()

/** Whatever the work fetches is written into the log, whole and as it came. */
export function watched<T>(log: Log, work: () => Promise<T>): Promise<T> {
  return current.run(log, work)
}

/** For the time of the file, `fetch` reaches nothing but loopback, and answers of the gateway are logged. */
export function watchFetch(gatewayUrl: string): void {
  const { fetch: own } = globalThis
  globalThis.fetch = async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input)
    if (url.hostname !== '127.0.0.1') throw new Error(`a call to ${url.hostname}`)
    const response = await own(input, init)
    if (url.href.startsWith(gatewayUrl)) current.getStore()?.add(read(response.clone()))
    return response
  }
  onClose(() => {
    globalThis.fetch = own
  })
}

async function read(response: Response): Promise<Exchange> {
  const { headers, status } = response
  const loss = headers.get('x-tollgate-loss')
  return {
    status,
    contentType: headers.get('content-type') ?? '',
    // A client that throws over a stream leaves it; then there is no whole body.
    body: await response.text().catch(() => ''),
    requestId: headers.get('x-request-id') ?? '',
    loss: loss === null || loss === '' ? [] : loss.split(', '),
  }
}

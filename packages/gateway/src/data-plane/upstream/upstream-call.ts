import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici'
import { GatewayError, toGatewayError } from '../../errors/gateway-error.ts'
import { isRecord } from '../../lib/is-record.ts'
import type { ProviderPlan } from '../../plan/gateway-plan.ts'
import { GuardRefusal, refused, type UpstreamPools } from './pools.ts'
import { UNWATCHED, type Watchdog, type Watched } from './watchdog.ts'

/** Who reads the body. Called synchronously, in order; exactly one of `onEnd` and `onFailure` is last. */
export type BodyReader = {
  /** `idle`: nothing but what keeps the connection open. */
  onChunk(chunk: Buffer): 'progress' | 'idle'
  onEnd(): void
  onFailure(error: GatewayError): void
}

export type UpstreamRequest = {
  readonly method: 'POST' | 'GET'
  readonly path: string
  /** Names and values in turn. */
  readonly headers: string[]
  readonly body: Buffer | null
}

/** Who wants to know how far a request is. */
export type Sending = {
  /** There is no connection for it yet, some 50 ms after it was asked for. May be said again. */
  waits(): void
  /** The next thing is its first byte. Throws to have nothing sent. */
  sends(): void
}

export type CallTools = { readonly pools: UpstreamPools; readonly watchdog: Watchdog }

/**
 * One request to an upstream, from dispatch to the last byte.
 *
 * Timeouts: connect (in the pool), first byte, idle between chunks, total. Each ends the call with `upstream_timeout`.
 * Of a stream the first byte is that of its first event: a head and keep-alives are none, and no progress later.
 * Hot: `onResponseData` runs for every chunk.
 */
export class UpstreamCall implements Dispatcher.DispatchHandler, Watched {
  status = 0
  headers: IncomingHttpHeaders = {}
  watchedAt: number = UNWATCHED
  /** It failed on a connection that had served before and was closed by the upstream meanwhile. */
  metClosedConnection: boolean = false
  /** When the request that it is for must be over. Monotonic. */
  deadlineMs: number = Infinity
  /** Resolves when the head of the answer is in. Rejects with a GatewayError. */
  readonly head: Promise<void>

  private readonly provider: ProviderPlan
  private readonly watchdog: Watchdog
  private readonly sending: Sending | null
  private readonly startedMs: number
  private lastByteMs: number
  private waiting = true
  private controller: Dispatcher.DispatchController | null = null
  private reader: BodyReader | null = null
  private readonly early: Buffer[] = []
  private outcome: 'open' | 'ended' | GatewayError = 'open'
  private settleHead: { resolve: () => void; reject: (error: GatewayError) => void } | null = null

  constructor(
    provider: ProviderPlan,
    request: UpstreamRequest,
    tools: CallTools,
    sending: Sending | null = null,
  ) {
    this.provider = provider
    this.watchdog = tools.watchdog
    this.sending = sending
    this.head = new Promise((resolve, reject) => {
      this.settleHead = { resolve, reject }
    })
    const pool = tools.pools.poolFor(provider)
    this.watchdog.add(this)
    this.startedMs = performance.now()
    this.lastByteMs = this.startedMs
    try {
      pool.dispatch({ ...request }, this)
    } catch (thrown) {
      this.watchdog.remove(this)
      throw thrown
    }
  }

  /** Hands over what came so far and everything that follows. */
  read(reader: BodyReader): void {
    this.reader = reader
    for (const chunk of this.early) if (reader.onChunk(chunk) === 'progress') this.noteProgress()
    this.early.length = 0
    if (this.outcome === 'ended') reader.onEnd()
    else if (this.outcome !== 'open') reader.onFailure(this.outcome)
  }

  /** Closes the connection to the upstream at once. Whoever waits for the call learns that it is `cancelled`. */
  abort(): void {
    if (this.outcome !== 'open') return
    this.finish(new GatewayError('cancelled', 'The call was given up.'))
    this.controller?.abort(new Error('cancelled'))
  }

  pause(): void {
    this.controller?.pause()
  }

  resume(): void {
    this.lastByteMs = this.watchdog.nowMs
    this.controller?.resume()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller
    if (this.outcome === 'open') this.tellSender()
    if (this.outcome !== 'open') controller.abort(new Error('cancelled'))
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    statusCode: number,
    headers: IncomingHttpHeaders,
  ): void {
    if (statusCode < 200) return
    this.controller = controller
    this.status = statusCode
    this.headers = headers
    this.settleHead?.resolve()
    this.settleHead = null
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.outcome !== 'open') return
    if (this.reader === null) this.early.push(chunk)
    else if (this.reader.onChunk(chunk) === 'progress') this.noteProgress()
  }

  onResponseEnd(): void {
    if (this.outcome !== 'open') return
    this.outcome = 'ended'
    this.watchdog.remove(this)
    this.reader?.onEnd()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.finish(this.describe(error))
  }

  onTick(nowMs: number): void {
    if (this.controller === null) this.sending?.waits()
    const { timeouts, name } = this.provider
    const { waiting } = this
    const silentMs = nowMs - this.lastByteMs
    const allowedMs = waiting ? timeouts.firstByteMs : timeouts.idleMs
    const tooLong = nowMs - this.startedMs > timeouts.totalMs || nowMs > this.deadlineMs
    const paused = this.controller?.paused === true
    if (!tooLong && (paused || silentMs <= allowedMs)) return
    const givenMs = Math.min(timeouts.totalMs, Math.ceil(this.deadlineMs - this.startedMs))
    const what = tooLong ? `within ${givenMs} ms` : `for ${allowedMs} ms`
    const problem = tooLong || waiting ? 'did not answer' : 'sent nothing more'
    this.finish(new GatewayError('upstream_timeout', `The provider ${name} ${problem} ${what}.`))
    this.controller?.abort(new Error('timeout'))
  }

  private tellSender(): void {
    try {
      this.sending?.sends()
    } catch (thrown) {
      this.finish(toGatewayError(thrown))
    }
  }

  private noteProgress(): void {
    this.waiting = false
    this.lastByteMs = this.watchdog.nowMs
  }

  private finish(error: GatewayError): void {
    if (this.outcome !== 'open') return
    this.outcome = error
    this.watchdog.remove(this)
    this.settleHead?.reject(error)
    this.settleHead = null
    this.reader?.onFailure(error)
  }

  private describe(error: Error): GatewayError {
    const { name } = this.provider
    const code = 'code' in error ? error.code : undefined
    if (
      error instanceof GuardRefusal ||
      error.cause instanceof GuardRefusal ||
      code === 'EGRESS_REFUSED'
    ) {
      return refused(this.provider)
    }
    if (code === 'UND_ERR_CONNECT_TIMEOUT') {
      const problem = `The provider ${name} could not be connected to in time.`
      return new GatewayError('upstream_timeout', problem, { cause: error })
    }
    if (code === 'UND_ERR_HEADERS_OVERFLOW') {
      const problem = `The provider ${name} sent too many header bytes.`
      return new GatewayError('upstream_invalid', problem, { cause: error })
    }
    this.metClosedConnection = this.status === 0 && hadServed(error)
    const problem =
      this.status === 0
        ? `The provider ${name} could not be reached.`
        : `The provider ${name} cut its answer short.`
    const kind = this.status === 0 ? 'upstream_unreachable' : 'upstream_truncated'
    return new GatewayError(kind, problem, { cause: error })
  }
}

/** The HTTP client tells of a closed connection what had been read from it. */
function hadServed(error: Error): boolean {
  if (!('code' in error) || error.code !== 'UND_ERR_SOCKET' || !('socket' in error)) return false
  const { socket } = error
  return isRecord(socket) && typeof socket['bytesRead'] === 'number' && socket['bytesRead'] > 0
}

/** The whole body, or the failure. More than `maxBytes` is `upstream_invalid`, and the call is aborted. */
export function collectBody(call: UpstreamCall, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    call.read(new Collector(call, maxBytes, { resolve, reject }))
  })
}

class Collector implements BodyReader {
  private readonly call: UpstreamCall
  private readonly maxBytes: number
  private readonly promise: { resolve: (body: Buffer) => void; reject: (error: Error) => void }
  private readonly chunks: Buffer[] = []
  private sizeBytes = 0

  constructor(
    call: UpstreamCall,
    maxBytes: number,
    promise: { resolve: (body: Buffer) => void; reject: (error: Error) => void },
  ) {
    this.call = call
    this.maxBytes = maxBytes
    this.promise = promise
  }

  onChunk(chunk: Buffer): 'progress' {
    this.sizeBytes += chunk.length
    if (this.sizeBytes <= this.maxBytes) this.chunks.push(chunk)
    else {
      const problem = `The provider's answer is larger than ${this.maxBytes} bytes.`
      this.promise.reject(new GatewayError('upstream_invalid', problem))
      this.call.abort()
    }
    return 'progress'
  }

  onEnd(): void {
    const [first] = this.chunks
    this.promise.resolve(this.chunks.length === 1 && first ? first : Buffer.concat(this.chunks))
  }

  onFailure(error: GatewayError): void {
    this.promise.reject(error)
  }
}

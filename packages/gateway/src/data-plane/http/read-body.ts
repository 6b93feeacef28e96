import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../../errors/gateway-error.ts'
import { UNWATCHED, type Watchdog, type Watched } from '../upstream/watchdog.ts'

/** After this a body must keep up a minimum rate. */
const GRACE_MS = 5000
const MIN_BYTES_PER_SEC = 1000

export type BodyLimits = {
  readonly maxBytes: number
  /** The longest gap, also before the first byte. */
  readonly idleMs: number
  readonly watchdog: Watchdog
}

/**
 * Reads the whole body before anything goes upstream.
 *
 * Throws `body_too_large`, `request_timeout` for a body that stops or trickles, or `cancelled` when the client leaves.
 */
export function readBody(req: IncomingMessage, limits: BodyLimits): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    new BodyReader(req, limits, { resolve, reject }).start()
  })
}

type Settle = {
  readonly resolve: (body: Buffer) => void
  readonly reject: (error: GatewayError) => void
}

class BodyReader implements Watched {
  watchedAt: number = UNWATCHED
  private readonly req: IncomingMessage
  private readonly limits: BodyLimits
  private readonly settle: Settle
  private readonly chunks: Buffer[] = []
  private readonly startedMs = performance.now()
  private lastByteMs = this.startedMs
  private sizeBytes = 0
  private done = false

  constructor(req: IncomingMessage, limits: BodyLimits, settle: Settle) {
    this.req = req
    this.limits = limits
    this.settle = settle
  }

  start(): void {
    this.limits.watchdog.add(this)
    this.req.on('data', this.onData)
    this.req.on('end', this.onEnd)
    this.req.on('error', this.onGone)
    this.req.on('close', this.onGone)
  }

  onTick(nowMs: number): void {
    const idle = nowMs - this.lastByteMs > this.limits.idleMs
    if (!idle && !this.trickles(nowMs - this.startedMs)) return
    this.fail(new GatewayError('request_timeout', 'The request body arrives too slowly.'))
  }

  private trickles(elapsedMs: number): boolean {
    return elapsedMs > GRACE_MS && this.sizeBytes < (elapsedMs / 1000) * MIN_BYTES_PER_SEC
  }

  private readonly onData = (chunk: Buffer): void => {
    if (this.done) return
    const { maxBytes, watchdog } = this.limits
    this.sizeBytes += chunk.length
    this.lastByteMs = watchdog.nowMs
    this.chunks.push(chunk)
    if (this.sizeBytes > maxBytes) this.fail(tooLarge(maxBytes))
  }

  private readonly onEnd = (): void => {
    if (this.done) return
    this.stop()
    const [first] = this.chunks
    this.settle.resolve(
      this.chunks.length === 1 && first ? first : Buffer.concat(this.chunks, this.sizeBytes),
    )
  }

  private readonly onGone = (): void => {
    if (this.done) return
    this.fail(new GatewayError('cancelled', 'The client left before its request was whole.'))
  }

  private fail(error: GatewayError): void {
    this.stop()
    this.settle.reject(error)
  }

  /** The listeners stay: taking them off costs more than a call that does nothing. */
  private stop(): void {
    this.done = true
    this.limits.watchdog.remove(this)
  }
}

export function tooLarge(maxBytes: number): GatewayError {
  return new GatewayError('body_too_large', `The body is larger than ${maxBytes} bytes.`)
}

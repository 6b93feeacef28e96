import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../../errors/gateway-error.ts'

/** After this a body must keep up a minimum rate. */
const GRACE_MS = 5000
const CHECK_EVERY_MS = 1000
const MIN_BYTES_PER_SEC = 1000

/**
 * Reads the whole body before anything goes upstream.
 *
 * Throws `body_too_large`, `request_timeout` for a body that trickles, or `cancelled` when the client leaves.
 */
export function readBody(req: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    new BodyReader(req, maxBytes, resolve, reject).start()
  })
}

class BodyReader {
  private readonly req: IncomingMessage
  private readonly maxBytes: number
  private readonly resolve: (body: Buffer) => void
  private readonly reject: (error: GatewayError) => void
  private readonly chunks: Buffer[] = []
  private sizeBytes = 0
  private elapsedMs = 0
  private timer: NodeJS.Timeout | null = null

  constructor(
    req: IncomingMessage,
    maxBytes: number,
    resolve: (body: Buffer) => void,
    reject: (error: GatewayError) => void,
  ) {
    this.req = req
    this.maxBytes = maxBytes
    this.resolve = resolve
    this.reject = reject
  }

  start(): void {
    this.req.on('data', this.onData)
    this.req.on('end', this.onEnd)
    this.req.on('error', this.onGone)
    this.req.on('close', this.onGone)
  }

  private readonly onData = (chunk: Buffer): void => {
    this.sizeBytes += chunk.length
    this.chunks.push(chunk)
    if (this.sizeBytes > this.maxBytes) return this.fail(tooLarge(this.maxBytes))
    this.timer ??= setInterval(this.onCheck, CHECK_EVERY_MS)
  }

  private readonly onEnd = (): void => {
    this.stop()
    const [first] = this.chunks
    this.resolve(this.chunks.length === 1 && first ? first : Buffer.concat(this.chunks))
  }

  private readonly onGone = (): void => {
    this.fail(new GatewayError('cancelled', 'The client left before its request was whole.'))
  }

  private readonly onCheck = (): void => {
    this.elapsedMs += CHECK_EVERY_MS
    if (this.elapsedMs <= GRACE_MS) return
    if (this.sizeBytes >= (this.elapsedMs / 1000) * MIN_BYTES_PER_SEC) return
    this.fail(new GatewayError('request_timeout', 'The request body arrives too slowly.'))
  }

  private fail(error: GatewayError): void {
    this.stop()
    this.reject(error)
  }

  private stop(): void {
    if (this.timer !== null) clearInterval(this.timer)
    this.req.off('data', this.onData)
    this.req.off('end', this.onEnd)
    this.req.off('error', this.onGone)
    this.req.off('close', this.onGone)
  }
}

export function tooLarge(maxBytes: number): GatewayError {
  return new GatewayError('body_too_large', `The body is larger than ${maxBytes} bytes.`)
}

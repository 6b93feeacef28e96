import type { ServerResponse } from 'node:http'
import type { SseFrame, StreamTap } from '../../contracts/protocol.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { SseFrameSplitter } from '../../lib/sse-frames.ts'
import type { BodyReader, UpstreamCall } from '../upstream/upstream-call.ts'
import type { Watchdog, Watched } from '../upstream/watchdog.ts'

/** The largest SSE frame that is relayed. */
const MAX_FRAME_BYTES = 16 * 1024 * 1024
/** A silent gap of this length gets a keep-alive frame: below the idle limits of common proxies. */
const KEEP_ALIVE_MS = 15_000
/** A client that takes nothing for this long is cut. */
const STALLED_READER_MS = 60_000

/** How the upstream's stream ended. `null`: whole, by the protocol's own evidence. */
export type StreamEnd = GatewayError | null

export type RelayOptions = {
  readonly response: ServerResponse
  readonly call: UpstreamCall
  readonly tap: StreamTap
  readonly watchdog: Watchdog
  readonly keepAliveFrame: string
  /** Writes the head; called once, when the first event is in. */
  readonly onFirstFrame: () => void
  /** Called once, when no more can come from the upstream. The terminal frame is still held back. */
  readonly onEnd: (end: StreamEnd) => void
}

/**
 * Passes frames from an upstream to a client as they come, unchanged, and watches them.
 *
 * Only whole frames are written, so that nothing is ever put inside one. The terminal frame waits for `finish`, which the
 * owner calls once the call is settled. Hot: `onChunk` runs for every chunk.
 */
export class StreamRelay implements BodyReader, Watched {
  /** False until the first event: the answer's status is still open. */
  started = false
  private readonly options: RelayOptions
  private readonly splitter = new SseFrameSplitter(MAX_FRAME_BYTES)
  private readonly terminal: Buffer[] = []
  private ended = false
  private discarding = false
  private lastWriteMs: number
  private pausedAtMs: number | null = null
  private runBytes: Buffer | null = null
  private runStart = 0
  private runEnd = 0

  constructor(options: RelayOptions) {
    this.options = options
    this.lastWriteMs = options.watchdog.nowMs
    options.watchdog.add(this)
  }

  onChunk(chunk: Buffer): void {
    if (this.ended) return
    const fits = this.splitter.push(chunk, this.onFrame)
    if (this.ended) return
    this.flushRun()
    if (fits) return
    this.options.call.abort()
    const problem = `The provider sent an event larger than ${MAX_FRAME_BYTES} bytes.`
    this.end(new GatewayError('upstream_invalid', problem))
  }

  onEnd(): void {
    if (this.ended) return
    const rest = this.splitter.rest()
    if (rest.length > 0) this.onFrame(rest, 0, rest.length)
    if (this.ended) return
    const { tap } = this.options
    if (tap.complete()) {
      this.flushRun()
      return this.end(null)
    }
    if (rest.length === 0 || tap.failed()) this.flushRun()
    else this.runBytes = null
    const problem = 'The provider ended its answer before it was whole.'
    this.end(new GatewayError('upstream_truncated', problem))
  }

  onFailure(error: GatewayError): void {
    this.end(error)
  }

  onTick(nowMs: number): void {
    if (this.pausedAtMs !== null) {
      if (nowMs - this.pausedAtMs > STALLED_READER_MS) this.options.response.destroy()
      return
    }
    if (!this.started || this.discarding || nowMs - this.lastWriteMs < KEEP_ALIVE_MS) return
    this.write(Buffer.from(this.options.keepAliveFrame))
  }

  /** The client left, but the upstream is still read for its usage. */
  discard(): void {
    this.discarding = true
    this.pausedAtMs = null
    this.options.call.resume()
  }

  /** Nothing more is wanted of the upstream. Reported as `cancelled`. */
  giveUp(): void {
    this.options.call.abort()
    this.end(new GatewayError('cancelled', 'The client left.'))
  }

  /** Ends the client's stream: with the terminal frame after a whole answer, else with an error frame (or nothing). */
  finish(errorFrame: string | null): void {
    const { response } = this.options
    if (this.discarding || response.destroyed) return
    if (errorFrame !== null) this.terminal.splice(0, this.terminal.length, Buffer.from(errorFrame))
    response.end(this.terminal.length === 1 ? this.terminal[0] : Buffer.concat(this.terminal))
  }

  private readonly onFrame = (bytes: Buffer, start: number, end: number): void => {
    if (this.ended) return
    const frame: SseFrame = { bytes, start, end }
    const verdict = this.options.tap.readFrame(frame)
    if (!this.started && !this.start()) return
    if (verdict === 'drop') return
    if (verdict === 'end' || this.terminal.length > 0) {
      this.terminal.push(bytes.subarray(start, end))
      return
    }
    if (this.runBytes === bytes && this.runEnd === start) {
      this.runEnd = end
      return
    }
    this.flushRun()
    this.runBytes = bytes
    this.runStart = start
    this.runEnd = end
  }

  /** False when the very first event is an error: the call has failed before its status was given away. */
  private start(): boolean {
    if (this.options.tap.failed()) {
      this.options.call.abort()
      this.end(new GatewayError('upstream_failed', 'The provider answered with an error event.'))
      return false
    }
    this.started = true
    this.options.onFirstFrame()
    return true
  }

  private flushRun(): void {
    const bytes = this.runBytes
    if (bytes === null) return
    this.runBytes = null
    const whole = this.runStart === 0 && this.runEnd === bytes.length
    this.write(whole ? bytes : bytes.subarray(this.runStart, this.runEnd))
  }

  private write(bytes: Buffer): void {
    const { response, call, watchdog } = this.options
    if (this.discarding) return
    this.lastWriteMs = watchdog.nowMs
    if (response.write(bytes) || this.pausedAtMs !== null) return
    this.pausedAtMs = watchdog.nowMs
    call.pause()
    response.once('drain', this.onDrain)
  }

  private readonly onDrain = (): void => {
    if (this.pausedAtMs === null) return
    this.pausedAtMs = null
    this.options.call.resume()
  }

  private end(end: StreamEnd): void {
    if (this.ended) return
    this.ended = true
    this.options.watchdog.remove(this)
    this.options.onEnd(end)
  }
}

import type { FrameVerdict, ProtocolEndpoint, StreamTap } from '../../contracts/protocol.ts'
import type { Usage } from '../../contracts/usage.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { AwsEventSplitter } from '../../lib/aws-event-stream.ts'
import { type FrameHandler, parseSseFrame, SseFrameSplitter } from '../../lib/sse-frames.ts'
import type { ClientAnswer } from '../http/client-answer.ts'
import { cutWhenStalled } from '../http/send.ts'
import type { TranslatedStream } from '../translation/translation.ts'
import type { BodyReader, UpstreamCall } from '../upstream/upstream-call.ts'
import type { OutputLease } from './output-lease.ts'
import { UNWATCHED, type Watchdog, type Watched } from '../upstream/watchdog.ts'

/** The largest SSE frame that is relayed. */
const MAX_FRAME_BYTES = 16 * 1024 * 1024
/** "d" of `data:` and "e" of `event:`. */
const EVENT_STARTS: ReadonlySet<number> = new Set([0x64, 0x65])
/** Comments that are held back while the answer's status is still open. */
const MAX_LEAD_BYTES = 64 * 1024
/** After its terminal frame an upstream may leave its connection open; nobody waits for that. */
const AFTER_END_MS = 500

/** How the upstream's stream ended. `null`: whole, by the protocol's own evidence. */
export type StreamEnd = GatewayError | null

export type RelayOptions = {
  readonly response: ClientAnswer
  readonly call: UpstreamCall
  readonly tap: StreamTap
  /** The client speaks another protocol; null: bytes pass. */
  readonly translated: TranslatedStream | null
  readonly framing: ProtocolEndpoint['framing']
  readonly watchdog: Watchdog
  readonly keepAliveFrame: string
  /** What the stream may write is held bit by bit; null: all of it is. */
  readonly lease: OutputLease | null
  /** Writes the head; called once, when the first event is in, or none came for a while. */
  readonly onStart: () => void
  /** Called once, with the first event; keep-alives are none. */
  readonly onFirstEvent: () => void
  /** Called once, when no more can come from the upstream. The terminal frame is still held back. */
  readonly onEnd: (end: StreamEnd) => void
}

/** Cuts an upstream's bytes into frames. `push` is false when one is broken or too large. */
type FrameSplitter = {
  push(chunk: Buffer, onFrame: FrameHandler): boolean
  rest(): Buffer
  /** A frame has begun that is not whole yet. */
  readonly holdsPart: boolean
}

/** Bytes without frames: every chunk is one. */
const WHOLE_CHUNKS: FrameSplitter = {
  push(chunk, onFrame) {
    onFrame(chunk, 0, chunk.length)
    return true
  },
  rest: () => Buffer.alloc(0),
  holdsPart: false,
}

const SPLITTERS: Readonly<Record<ProtocolEndpoint['framing'], () => FrameSplitter>> = {
  sse: () => new SseFrameSplitter(MAX_FRAME_BYTES),
  'aws-event-stream': () => new AwsEventSplitter(MAX_FRAME_BYTES),
  raw: () => WHOLE_CHUNKS,
}

/**
 * Passes frames from an upstream to a client as they come, unchanged, and watches them.
 *
 * Only whole frames are written, so that nothing is ever put inside one. The terminal frame waits for `finish`, which the
 * owner calls once the call is settled. Hot: `onChunk` runs for every chunk.
 */
export class StreamRelay implements BodyReader, Watched {
  /** No more output could be held, so the gateway ended the answer at its length. */
  stoppedAtLength = false
  /** False until the first event: the answer's status is still open. */
  started = false
  watchedAt: number = UNWATCHED
  private readonly options: RelayOptions
  private readonly splitter: FrameSplitter
  private sawEvent = false
  /** The chunk at hand held more than keep-alives. */
  private progressed = false
  /** Comments before the first event: no evidence yet that the call succeeds. */
  private readonly lead: Buffer[] = []
  private leadBytes = 0
  private readonly terminal: Buffer[] = []
  private sawEnd = false
  /** When the upstream's last word was first noticed; null: not yet. */
  private lastWordAtMs: number | null = null
  private ended = false
  private discarding = false
  private lastWriteMs: number
  private pausedAtMs: number | null = null
  private runBytes: Buffer | null = null
  private runStart = 0
  private runEnd = 0
  /** Translated frames that are not written yet. */
  private text = ''

  constructor(options: RelayOptions) {
    this.options = options
    this.splitter = SPLITTERS[options.framing]()
    this.lastWriteMs = options.watchdog.nowMs
    options.watchdog.add(this)
  }

  onChunk(chunk: Buffer): 'progress' | 'idle' {
    this.progressed = false
    if (!this.ended) this.cut(chunk)
    return this.progressed || this.splitter.holdsPart ? 'progress' : 'idle'
  }

  private cut(chunk: Buffer): void {
    const fits = this.splitter.push(chunk, this.onFrame)
    if (this.ended) return
    this.flushRun()
    if (fits) return
    const problem = `The provider sent a broken event, or one larger than ${MAX_FRAME_BYTES} bytes.`
    this.end(new GatewayError('upstream_invalid', problem))
    this.options.call.abort()
  }

  onEnd(): void {
    if (this.ended) return
    this.readRest()
    if (!this.ended) this.end(this.verdictOfEnd())
  }

  onFailure(error: GatewayError): void {
    if (this.ended) return
    const cancelled = error.code === 'cancelled'
    this.end(this.options.tap.complete() && !cancelled ? null : error)
  }

  onTick(nowMs: number): void {
    const { watchdog, response, tap } = this.options
    if (this.pausedAtMs !== null) {
      if (nowMs - this.pausedAtMs > watchdog.silence.stalledReaderMs) response.destroy()
      return
    }
    if (this.sawEnd || tap.failed()) return this.onTickAfterEnd(nowMs)
    if (this.discarding || nowMs - this.lastWriteMs < watchdog.silence.keepAliveMs) return
    if (this.options.framing === 'raw') return
    // The provider has answered, if only with a head: a longer silence would be cut by some proxy on the way.
    if (!this.started && !this.start()) return
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
    this.end(new GatewayError('cancelled', 'The client left.'))
    this.options.call.abort()
  }

  /**
   * Ends the client's stream: with the terminal frame after a whole answer, else with an error frame (or nothing).
   * `usage`: as settled.
   */
  finish(errorFrame: string | null, usage: Usage): void {
    const { response, watchdog, translated, tap } = this.options
    if (this.discarding || response.destroyed) return
    // Bytes without frames have no place for an error: only an answer that stops short tells of it.
    if (errorFrame !== null && this.options.framing === 'raw') return void response.destroy()
    if (errorFrame !== null) this.terminal.splice(0, this.terminal.length, Buffer.from(errorFrame))
    else if (translated !== null && !tap.failed())
      this.terminal.push(Buffer.from(translated.end(usage)))
    response.end(this.terminal.length === 1 ? this.terminal[0] : Buffer.concat(this.terminal))
    cutWhenStalled(response, watchdog.silence.stalledReaderMs)
  }

  /** The terminal frames of an answer that ended at its length. */
  lengthStop(usage: Usage): string | null {
    const { translated, lease } = this.options
    return translated?.endAtLength(usage) ?? lease?.lengthStop?.render(usage) ?? null
  }

  private readonly onFrame = (bytes: Buffer, start: number, end: number): void => {
    const { tap, lease } = this.options
    // What came along with the frame that was too much was produced too.
    if (this.stoppedAtLength) tap.readFrame({ bytes, start, end })
    if (this.ended) return
    const verdict = tap.readFrame({ bytes, start, end })
    if (lease !== null && this.started && verdict !== 'end') {
      if (lease.isSpent(tap)) return this.stopAtLength()
      if (verdict !== 'drop') lease.follow({ bytes, start, end })
    }
    this.pass(verdict, bytes, start, end)
  }

  /** What came before this frame reaches the client; the upstream is told to stop. */
  private stopAtLength(): void {
    this.flushRun()
    this.stoppedAtLength = true
    this.end(new GatewayError('budget_exceeded', 'No more output could be had.'))
    this.options.call.abort()
  }

  private pass(verdict: FrameVerdict, bytes: Buffer, start: number, end: number): void {
    if (verdict !== 'idle' && this.isEvent(bytes, start, end)) {
      this.progressed = true
      if (!this.started && !this.start()) return
      if (!this.sawEvent) this.noteFirstEvent()
    } else if (!this.started) return this.holdLead(bytes.subarray(start, end))
    if (verdict === 'end') this.sawEnd = true
    const { translated } = this.options
    if (translated !== null) {
      this.text += translated.frame({ bytes, start, end })
      return
    }
    if (verdict === 'drop') return
    if (this.sawEnd) {
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

  /** A frame without its blank line counts only as the last piece of evidence; else it was cut, and half of it is no use. */
  private readRest(): void {
    const rest = this.splitter.rest()
    if (rest.length === 0) return
    const { tap } = this.options
    const verdict = tap.readFrame({ bytes: rest, start: 0, end: rest.length })
    if (!tap.complete() && !tap.failed()) return
    this.pass(verdict, rest, 0, rest.length)
    this.flushRun()
  }

  private verdictOfEnd(): StreamEnd {
    const { tap } = this.options
    if (tap.complete() || this.options.framing === 'raw') return null
    if (tap.failed()) return failedInside()
    const problem = 'The provider ended its answer before it was whole.'
    return new GatewayError('upstream_truncated', problem)
  }

  /** Most frames begin with their data or its name; only what begins otherwise must be read. */
  private isEvent(bytes: Buffer, start: number, end: number): boolean {
    if (this.options.framing !== 'sse') return true
    if (this.sawEvent && EVENT_STARTS.has(bytes[start] ?? 0)) return true
    return parseSseFrame(bytes, start, end) !== null
  }

  private noteFirstEvent(): void {
    this.sawEvent = true
    this.options.onFirstEvent()
  }

  /** A client of another protocol gets keep-alives of its own. */
  private holdLead(frame: Buffer): void {
    this.leadBytes += frame.length
    if (this.options.translated === null) this.lead.push(frame)
    if (this.leadBytes > MAX_LEAD_BYTES) this.start()
  }

  /** False when the very first event is an error: the call has failed before its status was given away. */
  private start(): boolean {
    if (this.options.tap.failed()) {
      this.end(failedInside())
      this.options.call.abort()
      return false
    }
    this.started = true
    this.options.onStart()
    for (const frame of this.lead) this.write(frame)
    this.lead.length = 0
    return true
  }

  /** The answer is whole, or the upstream said that it is not; its connection may linger. */
  private onTickAfterEnd(nowMs: number): void {
    this.lastWordAtMs ??= nowMs
    if (nowMs - this.lastWordAtMs < AFTER_END_MS) return
    this.end(this.verdictOfEnd())
    this.options.call.abort()
  }

  private flushRun(): void {
    if (this.text !== '') {
      const { text } = this
      this.text = ''
      this.write(Buffer.from(text))
    }
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

function failedInside(): GatewayError {
  return new GatewayError('upstream_failed', 'The provider answered with an error event.')
}

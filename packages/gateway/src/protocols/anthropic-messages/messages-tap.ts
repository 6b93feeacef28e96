import type { FrameVerdict, SseFrame, StreamTap } from '../../contracts/protocol.ts'
import type { Usage } from '../../contracts/usage.ts'
import { isRecord } from '../../lib/is-record.ts'
import { parseSseFrame } from '../../lib/sse-frames.ts'
import { KeptFrames, parseJson } from '../kept-frames.ts'
import { laterUsage, readUsage } from './usage.ts'

/** The frame's event line, wherever it stands; a BOM comes as latin1. */
const EVENT_LINE = /(?:^(?:ï»¿)?|[\n\r])event: ?([^\n\r]*)/

type Reader = (tap: MessagesTap, data: Record<string, unknown>) => void

/** Events that are parsed. Deltas are kept unparsed; all others go by. */
const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['message_start', (tap, data) => tap.start(data)],
  ['message_delta', (tap, data) => tap.delta(data)],
  ['error', (tap) => tap.fail()],
])

/** Watches an Anthropic stream. Evidence of a whole answer is `message_stop`. */
export class MessagesTap implements StreamTap {
  private readonly kept = new KeptFrames()
  /** As the provider wrote it, the latest statement of each member. */
  private stated: Readonly<Record<string, unknown>> = {}
  /** The output count of `message_start` is a placeholder; only `message_delta` has the real one. */
  private sawDelta = false
  private model: string | null = null
  private stopped = false
  private sawError = false

  readFrame({ bytes, start, end }: SseFrame): FrameVerdict {
    const text = bytes.toString('latin1', start, end)
    const name = eventName(text)
    if (name === 'content_block_delta') {
      this.kept.add(text)
      return 'pass'
    }
    if (name === 'ping') return 'idle'
    if (name === 'message_stop') {
      this.stopped = true
      return 'end'
    }
    const read = READERS.get(name)
    if (read === undefined) return 'pass'
    const event = parseSseFrame(bytes, start, end)
    const data = event === null ? null : parseJson(event.data)
    read(this, isRecord(data) ? data : {})
    return 'pass'
  }

  start(data: Record<string, unknown>): void {
    const message = isRecord(data['message']) ? data['message'] : {}
    if (typeof message['model'] === 'string') this.model = message['model']
    if (isRecord(message['usage'])) this.stated = message['usage']
  }

  delta(data: Record<string, unknown>): void {
    if (!isRecord(data['usage'])) return
    this.stated = laterUsage(this.stated, data['usage'])
    this.sawDelta = true
  }

  fail(): void {
    this.sawError = true
  }

  complete(): boolean {
    return this.stopped && !this.sawError
  }

  failed(): boolean {
    return this.sawError
  }

  usage(): Usage {
    const usage = readUsage(this.stated)
    return this.sawDelta ? usage : { ...usage, outputTokens: null }
  }

  servedModel(): string | null {
    return this.model
  }

  outputFrames(): number {
    return this.kept.count
  }

  outputText(): string {
    return this.kept.text(({ data }) => readDeltaText(parseJson(data)))
  }
}

function eventName(text: string): string {
  if (text.startsWith('event: ')) {
    const end = text.indexOf('\n', 7)
    const name = text.slice(7, end === -1 ? text.length : end)
    const carriageReturn = name.indexOf('\r')
    return carriageReturn === -1 ? name : name.slice(0, carriageReturn)
  }
  return EVENT_LINE.exec(text)?.[1] ?? ''
}

/** Text, thinking or tool input of one delta. Signatures are not billed output. */
function readDeltaText(event: unknown): string {
  if (!isRecord(event) || !isRecord(event['delta'])) return ''
  for (const name of ['text', 'thinking', 'partial_json']) {
    const value = event['delta'][name]
    if (typeof value === 'string') return value
  }
  return ''
}

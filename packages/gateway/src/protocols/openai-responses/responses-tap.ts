import type { FrameVerdict, SseFrame, StreamTap } from '../../contracts/protocol.ts'
import { NO_USAGE, type Usage } from '../../contracts/usage.ts'
import { isRecord } from '../../lib/is-record.ts'
import { parseSseFrame } from '../../lib/sse-frames.ts'
import { KeptFrames, parseJson } from '../kept-frames.ts'
import type { Members } from '../openai-wire/values.ts'
import { textOrNull } from '../read-answer.ts'
import { readUsage } from './usage.ts'

/** The frame's event line, wherever it stands; a BOM comes as latin1. */
const EVENT_LINE = /(?:^(?:ï»¿)?|[\n\r])event: ?([^\n\r]*)/
const DELTA = '.delta'

type Reader = (tap: ResponsesTap, event: Members) => FrameVerdict

/** Events that are parsed. Deltas are kept unparsed; all others go by. */
const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['response.created', (tap, event) => tap.start(event)],
  ['response.completed', (tap, event) => tap.finish(event)],
  ['response.incomplete', (tap, event) => tap.finish(event)],
  ['response.failed', (tap, event) => tap.finishFailed(event)],
  ['error', (tap) => tap.fail()],
  ['keepalive', () => 'idle'],
])

/** Watches a Responses stream. Evidence of a whole answer is its last event, which holds all of it and the usage. */
export class ResponsesTap implements StreamTap {
  private readonly kept = new KeptFrames()
  private lastUsage: Usage = NO_USAGE
  private model: string | null = null
  private finished = false
  private sawError = false

  readFrame({ bytes, start, end }: SseFrame): FrameVerdict {
    const text = bytes.toString('latin1', start, end)
    const named = EVENT_LINE.exec(text)?.[1] ?? null
    if (named !== null) {
      if (named.endsWith(DELTA)) {
        this.kept.add(text)
        return 'pass'
      }
      if (!READERS.has(named)) return 'pass'
    }
    const event = parseSseFrame(bytes, start, end)
    const data = event === null ? null : parseJson(event.data)
    if (!isRecord(data)) return named === 'error' ? this.fail() : 'pass'
    // Some servers leave the event line out; the type stands in the data as well.
    const name = named ?? textOrNull(data['type']) ?? ''
    if (name.endsWith(DELTA)) this.kept.add(text)
    return READERS.get(name)?.(this, data) ?? 'pass'
  }

  start(event: Members): FrameVerdict {
    const { response } = event
    if (isRecord(response)) this.model = textOrNull(response['model']) ?? this.model
    return 'pass'
  }

  finish(event: Members): FrameVerdict {
    this.finished = true
    this.start(event)
    if (isRecord(event['response'])) this.lastUsage = readUsage(event['response'])
    return 'end'
  }

  finishFailed(event: Members): FrameVerdict {
    this.sawError = true
    return this.finish(event)
  }

  fail(): FrameVerdict {
    this.sawError = true
    return 'pass'
  }

  complete(): boolean {
    return this.finished && !this.sawError
  }

  failed(): boolean {
    return this.sawError
  }

  usage(): Usage {
    return this.lastUsage
  }

  servedModel(): string | null {
    return this.model
  }

  outputFrames(): number {
    return this.kept.count
  }

  outputText(): string {
    return this.kept.text(({ data }) => {
      const event = parseJson(data)
      return isRecord(event) && typeof event['delta'] === 'string' ? event['delta'] : ''
    })
  }
}

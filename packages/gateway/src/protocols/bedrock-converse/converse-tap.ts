import type { FrameVerdict, SseFrame, StreamTap } from '../../contracts/protocol.ts'
import { NO_USAGE, type Usage } from '../../contracts/usage.ts'
import { parseAwsEvent } from '../../lib/aws-event-stream.ts'
import { isRecord } from '../../lib/is-record.ts'
import { parseJson } from '../kept-frames.ts'
import { readUsage } from './usage.ts'

/** Enough for a long answer; a longer one is counted by its frames beyond this. Characters. */
const MAX_KEPT_CHARS = 256 * 1024

/** Watches a Converse stream. Evidence of a whole answer are `messageStop` and, behind it, `metadata` with the usage. */
export class ConverseTap implements StreamTap {
  private readonly deltas: string[] = []
  private keptChars = 0
  private count = 0
  private stopped = false
  private sawMetadata = false
  private sawError = false
  private stated: Usage = NO_USAGE

  readFrame({ bytes, start, end }: SseFrame): FrameVerdict {
    const event = parseAwsEvent(bytes, start, end)
    if (event === null) return 'pass'
    if (event.kind === 'exception') {
      this.sawError = true
      return 'pass'
    }
    switch (event.name) {
      case 'contentBlockDelta':
        this.keep(event.data)
        return 'pass'
      case 'messageStop':
        this.stopped = true
        return 'pass'
      case 'metadata':
        return this.readMetadata(event.data)
      default:
        return 'pass'
    }
  }

  complete(): boolean {
    return this.stopped && this.sawMetadata && !this.sawError
  }

  failed(): boolean {
    return this.sawError
  }

  usage(): Usage {
    return this.stated
  }

  /** The stream does not say. */
  servedModel(): string | null {
    return null
  }

  outputFrames(): number {
    return this.count
  }

  outputText(): string {
    return this.deltas.map(deltaText).join('')
  }

  private keep(data: string): void {
    this.count++
    if (this.keptChars > MAX_KEPT_CHARS) return
    this.deltas.push(data)
    this.keptChars += data.length
  }

  private readMetadata(data: string): FrameVerdict {
    const metadata = parseJson(data)
    if (isRecord(metadata)) this.stated = readUsage(metadata['usage'])
    this.sawMetadata = true
    return this.stopped ? 'end' : 'pass'
  }
}

/** Text, reasoning or a piece of a call's arguments. Signatures are not billed output. */
function deltaText(data: string): string {
  const event = parseJson(data)
  const delta = isRecord(event) && isRecord(event['delta']) ? event['delta'] : {}
  const { text, toolUse, reasoningContent } = delta
  if (typeof text === 'string') return text
  const value = isRecord(toolUse) ? toolUse['input'] : null
  if (typeof value === 'string') return value
  const reasoning = isRecord(reasoningContent) ? reasoningContent['text'] : null
  return typeof reasoning === 'string' ? reasoning : ''
}

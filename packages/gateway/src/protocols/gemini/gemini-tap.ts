import type { FrameVerdict, SseFrame, StreamTap } from '../../contracts/protocol.ts'
import type { Usage } from '../../contracts/usage.ts'
import { isRecord } from '../../lib/is-record.ts'
import { parseSseFrame } from '../../lib/sse-frames.ts'
import { KeptFrames, parseJson } from '../kept-frames.ts'
import { textOrNull } from '../read-answer.ts'
import { readCandidateText } from './answer-text.ts'
import { isFinish } from './finish-reasons.ts'
import { readUsage } from './usage.ts'

type Chunk = Readonly<Record<string, unknown>>

/**
 * Watches a Gemini stream. Evidence of a whole answer is the finish reason of every candidate, or that the prompt was
 * blocked, which leaves none. What follows may still state usage.
 *
 * Quotes inside texts are escaped, so that a quoted name in the bytes is a member's name (or a whole string, which is
 * found out by parsing). Each statement of usage replaces the one before; only the last is read.
 */
export class GeminiTap implements StreamTap {
  private readonly kept = new KeptFrames()
  private lastUsage: string | null = null
  private model: string | null = null
  private readonly open = new Set<unknown>()
  private ended = false
  private sawError = false

  readFrame({ bytes, start, end }: SseFrame): FrameVerdict {
    const text = bytes.toString('latin1', start, end)
    const writes = text.includes('"parts"')
    if (writes) this.kept.add(text)
    if (text.includes('"usageMetadata"')) this.lastUsage = text
    const decides =
      text.includes('"finishReason"') ||
      text.includes('"blockReason"') ||
      text.includes('"error"') ||
      (writes && this.open.size === 0 && !this.ended)
    return decides ? this.decide(text) : 'pass'
  }

  complete(): boolean {
    return this.ended && !this.sawError
  }

  failed(): boolean {
    return this.sawError
  }

  usage(): Usage {
    return readUsage(this.lastUsage === null ? null : chunkOf(this.lastUsage)['usageMetadata'])
  }

  servedModel(): string | null {
    return this.model
  }

  outputFrames(): number {
    return this.kept.count
  }

  outputText(): string {
    return this.kept.text(({ data }) => {
      const chunk = parseJson(data)
      return isRecord(chunk) ? readCandidateText(chunk) : ''
    })
  }

  private decide(text: string): FrameVerdict {
    const chunk = chunkOf(text)
    this.model = textOrNull(chunk['modelVersion']) ?? this.model
    if (isRecord(chunk['error'])) {
      this.sawError = true
      return 'pass'
    }
    const feedback = chunk['promptFeedback']
    let finished = isRecord(feedback) && isFinish(feedback['blockReason'])
    for (const candidate of listOf(chunk['candidates'])) {
      if (!isRecord(candidate)) continue
      const index = candidate['index'] ?? 0
      if (isFinish(candidate['finishReason'])) {
        this.open.delete(index)
        finished = true
      } else if (!this.ended) this.open.add(index)
    }
    if (!finished || this.open.size > 0) return 'pass'
    this.ended = true
    return 'end'
  }
}

function chunkOf(text: string): Chunk {
  const bytes = Buffer.from(text, 'latin1')
  const event = parseSseFrame(bytes, 0, bytes.length)
  const chunk = event === null ? null : parseJson(event.data)
  return isRecord(chunk) ? chunk : {}
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

import type { ConversationEvent, OpenBlock, Signature } from '../../contracts/conversation.ts'
import type { StreamReader } from '../../contracts/dialect.ts'
import type { SseFrame } from '../../contracts/protocol.ts'
import { isRecord } from '../../lib/is-record.ts'
import { parseSseFrame } from '../../lib/sse-frames.ts'
import { parseJson } from '../kept-frames.ts'
import { textOrNull } from '../read-answer.ts'
import { readCitations } from './citations.ts'
import { codeText, resultText } from './code-parts.ts'
import { isFinish, stopOf } from './finish-reasons.ts'
import type { Members } from './members.ts'
import { PartialArgs } from './partial-args.ts'
import { callId, signatureOf } from './read-answer.ts'
import { refusalOf } from './refusals.ts'
import { readUsage } from './usage.ts'

/** Text that is kept to tell where citations stand, which come at the end. UTF-16 units. */
const MAX_KEPT_TEXT = 1 << 20
const NOTHING: readonly ConversationEvent[] = []

/** A call whose arguments come value by value. */
type PartialCall = {
  readonly id: string
  readonly name: string
  signature: Signature | null
  readonly args: PartialArgs
}

/** Reads a Gemini stream: every chunk is an answer of its own that goes on where the one before ended. */
export class GeminiReader implements StreamReader {
  private events: ConversationEvent[] = []
  private started = false
  private stopped = false
  private id = ''
  private next = 0
  private open: 'text' | 'thinking' | null = null
  /** The signature of the text that is open; told behind it. */
  private textSignature: Signature | null = null
  private calls = 0
  private partial: PartialCall | null = null
  private text = ''
  private texts = 0

  read({ bytes, start, end }: SseFrame): readonly ConversationEvent[] {
    const event = parseSseFrame(bytes, start, end)
    const chunk = event === null ? null : parseJson(event.data)
    if (!isRecord(chunk)) return NOTHING
    this.events = []
    if (isRecord(chunk['error'])) {
      this.events.push({ type: 'error', refusal: refusalOf(chunk['error'], null) })
      return this.events
    }
    this.start(chunk)
    const { candidates } = chunk
    const candidate: unknown = Array.isArray(candidates) ? candidates.find(isFirst) : null
    if (isRecord(candidate)) this.readCandidate(candidate)
    const feedback = chunk['promptFeedback']
    if (isRecord(feedback) && isFinish(feedback['blockReason'])) this.stop('content_filter')
    if (this.stopped && isRecord(chunk['usageMetadata'])) {
      this.events.push({ type: 'usage', usage: readUsage(chunk['usageMetadata']) })
    }
    return this.events
  }

  private start(chunk: Members): void {
    if (this.started) return
    this.started = true
    this.id = textOrNull(chunk['responseId']) ?? ''
    const model = textOrNull(chunk['modelVersion']) ?? ''
    const usage = readUsage(chunk['usageMetadata'])
    // Output that is counted so far is no forecast of the whole.
    this.events.push({ type: 'start', id: this.id, model, usage: { ...usage, outputTokens: null } })
  }

  private readCandidate(candidate: Members): void {
    const { content, finishReason } = candidate
    const parts = isRecord(content) ? content['parts'] : null
    if (Array.isArray(parts)) {
      for (const part of parts) if (isRecord(part)) this.readPart(part)
    }
    this.cite(candidate)
    if (!isFinish(finishReason)) return
    this.endCall()
    this.stop(stopOf(finishReason, this.calls > 0))
  }

  private readPart(part: Members): void {
    const { text, functionCall } = part
    if (typeof text === 'string' || part['thought'] === true) this.readText(part)
    else if (isRecord(functionCall)) this.readCall(functionCall, part)
    else if (isRecord(part['inlineData'])) this.readMedia(part['inlineData'])
    else if (isRecord(part['executableCode'])) this.say('text', codeText(part['executableCode']))
    else if (isRecord(part['codeExecutionResult'])) {
      this.say('text', resultText(part['codeExecutionResult']))
    }
  }

  private readText(part: Members): void {
    const text = textOrNull(part['text']) ?? ''
    const signature = signatureOf(part)
    if (part['thought'] !== true) {
      if (text !== '') this.say('text', text)
      if (signature === null) return
      if (this.open === 'text') this.textSignature = signature
      else this.sign(signature)
      return
    }
    if (text !== '') this.say('thinking', text)
    if (signature !== null) this.sign(signature)
  }

  private say(kind: 'text' | 'thinking', text: string): void {
    if (this.open !== kind || this.textSignature !== null) {
      this.close()
      this.openBlock(kind === 'text' ? { type: 'text' } : { type: 'thinking', redacted: false })
      this.open = kind
      if (kind === 'text') {
        this.texts++
        this.text = ''
      }
    }
    if (kind === 'text' && this.text.length < MAX_KEPT_TEXT) this.text += text
    this.events.push({ type: 'delta', at: this.next - 1, text })
  }

  /** Signs the thought that is open, or one without words. */
  private sign(signature: Signature): void {
    if (this.open !== 'thinking') {
      this.close()
      this.openBlock({ type: 'thinking', redacted: false })
      this.open = 'thinking'
    }
    this.events.push({ type: 'signature', at: this.next - 1, signature })
    this.close()
  }

  private openBlock(block: OpenBlock): void {
    this.events.push({ type: 'open', at: this.next, block })
    this.next++
  }

  private close(): void {
    if (this.open === null) return
    this.events.push({ type: 'close', at: this.next - 1 })
    this.open = null
    const signature = this.textSignature
    this.textSignature = null
    if (signature !== null) this.sign(signature)
  }

  /** Whole in one part, or begun with a name and gone on with until a part does not say that it continues. */
  private readCall(call: Members, part: Members): void {
    const name = textOrNull(call['name']) ?? ''
    if (name !== '') this.endCall()
    const goesOn = call['willContinue'] === true
    const isPartial = goesOn || call['partialArgs'] !== undefined || name === ''
    if (!isPartial) {
      const id = textOrNull(call['id']) || callId(this.id, this.next)
      return this.addCall(
        { id, name, signature: signatureOf(part) },
        JSON.stringify(call['args'] ?? {}),
      )
    }
    this.partial ??= {
      id: textOrNull(call['id']) || callId(this.id, this.next),
      name,
      signature: null,
      args: new PartialArgs(),
    }
    this.partial.signature ??= signatureOf(part)
    this.partial.args.add(call['partialArgs'])
    if (!goesOn) this.endCall()
  }

  private endCall(): void {
    const { partial } = this
    this.partial = null
    if (partial !== null && partial.name !== '') this.addCall(partial, partial.args.json())
  }

  private addCall(call: Pick<PartialCall, 'id' | 'name' | 'signature'>, input: string): void {
    this.close()
    const { id, name, signature } = call
    this.calls++
    this.openBlock({ type: 'tool_call', id, name, custom: false, signature })
    const at = this.next - 1
    this.events.push({ type: 'delta', at, text: input }, { type: 'close', at })
  }

  private readMedia(data: Members): void {
    const mediaType = textOrNull(data['mimeType']) ?? ''
    const bytes = textOrNull(data['data'])
    if (bytes === null || !mediaType.startsWith('image/')) return
    this.close()
    const source = { kind: 'base64', mediaType, data: bytes } as const
    this.openBlock({ type: 'image', source })
    this.events.push({ type: 'close', at: this.next - 1 })
  }

  /** Offsets count over the whole text, which is one block unless something stood between. */
  private cite(candidate: Members): void {
    if (
      candidate['groundingMetadata'] === undefined &&
      candidate['citationMetadata'] === undefined
    ) {
      return
    }
    if (this.open !== 'text' || this.texts > 1) return
    for (const { citation } of readCitations(candidate, () => this.text)) {
      this.events.push({ type: 'citation', at: this.next - 1, citation })
    }
  }

  private stop(stop: Extract<ConversationEvent, { type: 'stop' }>['stop']): void {
    this.close()
    if (this.stopped) return
    this.stopped = true
    this.events.push({ type: 'stop', stop, stopSequence: null })
  }
}

function isFirst(candidate: unknown): boolean {
  return isRecord(candidate) && (candidate['index'] ?? 0) === 0
}

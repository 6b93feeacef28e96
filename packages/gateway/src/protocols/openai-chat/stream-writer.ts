import type {
  ConversationEvent,
  MediaSource,
  OpenBlock,
  StopReason,
} from '../../contracts/conversation.ts'
import type { AnswerOptions, StreamWriter } from '../../contracts/dialect.ts'
import { NO_USAGE, type Usage } from '../../contracts/usage.ts'
import { urlOf } from '../openai-wire/media.ts'
import { sayRefusal } from '../openai-wire/refusals.ts'
import { sealCallId, sealSignature } from '../translation/seal.ts'
import { LEGACY_MARK } from './read-request.ts'
import { detailOf } from './reasoning.ts'
import { writeStopReason } from './stop-reasons.ts'
import { answerId, writeCitation, writeImage } from './write-answer.ts'
import { writeUsage } from './write-usage.ts'

/** What a block's deltas are written into. `before` and `after` stand around the JSON of the text. */
type Place = {
  readonly type: OpenBlock['type']
  readonly before: string
  readonly after: string
  /** Thinking: its text, repeated beside its signature so that clients give back both. */
  text: string
  readonly redacted: boolean
  /** Text: where it begins in the whole content. */
  readonly from: number
  length: number
}

/**
 * Chunks of one answer: the role first, calls by index with their names once, then at the end the reason, the usage when it
 * was asked for, and `[DONE]`. Hot: `write` runs for every event.
 */
class ChatWriter implements StreamWriter {
  private readonly head: string
  private readonly tail: string
  private readonly streamUsage: boolean
  private readonly legacy: boolean
  private readonly places: Map<number, Place> = new Map()
  private started = false
  private failed = false
  /** Told once, at the end: clients put lists of a vendor in place of those before, or behind them. */
  private readonly details: Readonly<Record<string, unknown>>[] = []
  private readonly annotations: Readonly<Record<string, unknown>>[] = []
  private calls = 0
  private refused = false
  private contentLength = 0
  private stop: StopReason = 'end'
  private usage: Usage = NO_USAGE

  constructor({ conversation, requestId, createdAtMs, streamUsage }: AnswerOptions) {
    this.head =
      `data: {"id":${JSON.stringify(answerId(requestId))},"object":"chat.completion.chunk"` +
      `,"created":${Math.floor(createdAtMs / 1000)},"model":${JSON.stringify(conversation.model)},"choices":[`
    this.tail = streamUsage ? '],"usage":null}\n\n' : ']}\n\n'
    this.streamUsage = streamUsage
    this.legacy = conversation.clientMark === LEGACY_MARK
  }

  write(event: ConversationEvent): string {
    switch (event.type) {
      case 'start':
        this.usage = event.usage
        return this.begin()
      case 'open':
        return this.begin() + this.open(event.at, event.block)
      case 'delta':
        return this.delta(event.at, event.text)
      case 'signature': {
        const place = this.places.get(event.at)
        if (place === undefined || place.type !== 'thinking') return ''
        const detail = detailOf(place, sealSignature(event.signature))
        this.details.push({ ...detail, index: this.details.length })
        return ''
      }
      case 'citation': {
        const place = this.places.get(event.at)
        if (place === undefined) return ''
        const { from, length } = place
        this.annotations.push(writeCitation(event.citation, { from, to: from + length }))
        return ''
      }
      case 'close':
        return this.close(event.at)
      case 'stop':
        this.stop = event.stop
        return ''
      case 'usage':
        this.usage = event.usage
        return ''
      case 'error':
        this.failed = true
        return `data: ${JSON.stringify({ error: sayRefusal(event.refusal).error })}\n\n`
    }
  }

  end(): string {
    if (this.failed) return ''
    const reason = writeStopReason(this.stop, { calls: this.calls > 0, refusal: this.refused })
    const said = this.legacy && reason === 'tool_calls' ? 'function_call' : reason
    const finish = `${this.head}{"index":0,"delta":{},"logprobs":null,"finish_reason":"${said}"}${this.tail}`
    const usage = this.streamUsage ? writeUsage(this.usage) : null
    const last = usage === null ? '' : `${this.head}],"usage":${JSON.stringify(usage)}}\n\n`
    return `${this.begin()}${this.lists()}${finish}${last}data: [DONE]\n\n`
  }

  private lists(): string {
    const { details, annotations } = this
    if (details.length === 0 && annotations.length === 0) return ''
    return this.chunk(
      JSON.stringify({
        ...(details.length === 0 ? {} : { reasoning_details: details }),
        ...(annotations.length === 0 ? {} : { annotations }),
      }),
    )
  }

  /** Once; a provider whose stream has no start still makes one. */
  private begin(): string {
    if (this.started) return ''
    this.started = true
    return this.chunk('{"role":"assistant","content":"","refusal":null}')
  }

  private chunk(delta: string): string {
    return `${this.head}{"index":0,"delta":${delta},"logprobs":null,"finish_reason":null}${this.tail}`
  }

  private open(at: number, block: OpenBlock): string {
    switch (block.type) {
      case 'text':
        this.place(at, block.type, '{"content":')
        return ''
      case 'refusal':
        this.refused = true
        this.place(at, block.type, '{"refusal":')
        return ''
      case 'thinking':
        this.place(at, block.type, '{"reasoning_content":', block.redacted)
        return ''
      case 'image':
        return this.image(block.source)
      case 'tool_call':
        return this.openCall(at, block)
    }
  }

  private place(at: number, type: OpenBlock['type'], before: string, redacted = false): void {
    const from = this.contentLength
    this.places.set(at, { type, before, after: '}', text: '', redacted, from, length: 0 })
  }

  private openCall(at: number, block: Extract<OpenBlock, { type: 'tool_call' }>): string {
    const index = this.calls++
    // The older form has room for one call.
    if (this.legacy && index > 0) return ''
    const name = JSON.stringify(block.name)
    const id = JSON.stringify(sealCallId(block.id, block.signature))
    const [kind, text] = block.custom ? ['custom', 'input'] : ['function', 'arguments']
    const [before, after] = this.legacy
      ? ['{"function_call":{"arguments":', '}}']
      : [`{"tool_calls":[{"index":${index},"${kind}":{"${text}":`, '}}]}']
    this.places.set(at, {
      type: block.type,
      before,
      after,
      text: '',
      redacted: false,
      from: 0,
      length: 0,
    })
    return this.chunk(
      this.legacy
        ? `{"function_call":{"name":${name},"arguments":""}}`
        : `{"tool_calls":[{"index":${index},"id":${id},"type":"${kind}","${kind}":{"name":${name},"${text}":""}}]}`,
    )
  }

  private delta(at: number, text: string): string {
    const place = this.places.get(at)
    if (place === undefined || text === '') return ''
    place.length += text.length
    if (place.type === 'text') this.contentLength += text.length
    else if (place.type === 'thinking') place.text += text
    return this.chunk(place.before + JSON.stringify(text) + place.after)
  }

  /** A call without arguments has an empty object of them, not nothing. */
  private close(at: number): string {
    const place = this.places.get(at)
    this.places.delete(at)
    const bare = place?.type === 'tool_call' && place.length === 0
    return bare && place.before.includes('"arguments"')
      ? this.chunk(`${place.before}"{}"${place.after}`)
      : ''
  }

  private image(source: MediaSource): string {
    return this.chunk(`{"images":[${JSON.stringify(writeImage(urlOf(source)))}]}`)
  }
}

export function streamWriter(options: AnswerOptions): StreamWriter {
  return new ChatWriter(options)
}

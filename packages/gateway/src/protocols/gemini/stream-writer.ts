import type {
  Citation,
  ConversationEvent,
  OpenBlock,
  StopReason,
} from '../../contracts/conversation.ts'
import type { AnswerOptions, StreamWriter } from '../../contracts/dialect.ts'
import { NO_USAGE, type Usage } from '../../contracts/usage.ts'
import { sealSignature } from '../translation/seal.ts'
import { groundingJson } from './citations.ts'
import { finishJson } from './finish-reasons.ts'
import { mediaJson } from './media.ts'
import { refusalJson } from './refusals.ts'
import { usageJson } from './usage.ts'
import { identityJson } from './write-answer.ts'
import { callJson, textJson, thoughtJson } from './write-parts.ts'

const HEAD = 'data: {"candidates":[{"content":{"parts":['
const CONTENT_END = '],"role":"model"}'
/** Text that is kept to tell where citations stand. UTF-16 units. */
const MAX_KEPT_TEXT = 1 << 20

/** A block that is being written. `from`: where its text begins in the whole text. */
type OpenPart = {
  readonly block: OpenBlock
  readonly from: number
  text: string
  signature: string | null
}

/** Events that are told later. */
type Told = Extract<ConversationEvent, { type: 'signature' | 'citation' | 'stop' | 'usage' }>

/**
 * Writes a stream for a Gemini client: texts as they come, calls whole.
 *
 * A part that came whole is held until the next one, because the last chunk, which says why the answer ended, needs a
 * part: the official client forgets an answer of which any chunk has none.
 */
export class GeminiWriter implements StreamWriter {
  private readonly options: AnswerOptions
  private readonly open = new Map<number, OpenPart>()
  private readonly citations: Citation[] = []
  private said = ''
  private held: string | null = null
  private usage: Usage = NO_USAGE
  private stop: StopReason = 'other'
  /** The end of the last frame, and of all others. */
  private identity: string
  private tail: string

  constructor(options: AnswerOptions) {
    this.options = options
    this.identity = `,${identityJson(options, '')}}\n\n`
    this.tail = `${CONTENT_END},"index":0}]${this.identity}`
  }

  write(event: ConversationEvent): string {
    switch (event.type) {
      case 'delta':
        return this.delta(event.at, event.text)
      case 'start':
        this.usage = event.usage
        this.identity = `,${identityJson(this.options, event.id)}}\n\n`
        this.tail = `${CONTENT_END},"index":0}]${this.identity}`
        return ''
      case 'open': {
        const from = this.said.length
        this.open.set(event.at, { block: event.block, from, text: '', signature: null })
        return ''
      }
      case 'close':
        return this.close(event.at)
      case 'error':
        return `data: ${refusalJson(event.refusal, this.options.requestId)}\n\n`
      case 'signature':
      case 'citation':
      case 'stop':
      case 'usage':
        this.note(event)
        return ''
    }
  }

  end(): string {
    let text = ''
    for (const at of this.open.keys()) text += this.close(at)
    const usage = usageJson(this.usage)
    const used = usage === null ? '' : `,"usageMetadata":${usage}`
    const { said, citations } = this
    const grounding = groundingJson(new Map([[0, { text: said, citations }]]))
    const cited = grounding === null ? '' : `,"groundingMetadata":${grounding}`
    const part = this.held ?? textJson('')
    const why = `,${finishJson(this.stop)},"index":0${cited}}]`
    return text + HEAD + part + CONTENT_END + why + used + this.identity
  }

  private delta(at: number, text: string): string {
    const part = this.open.get(at)
    if (part === undefined) return ''
    switch (part.block.type) {
      case 'text':
      case 'refusal':
        if (this.said.length < MAX_KEPT_TEXT) this.said += text
        return `${this.flush()}${HEAD}{"text":${JSON.stringify(text)}}${this.tail}`
      case 'thinking':
        return this.flush() + HEAD + thoughtJson(text, null) + this.tail
      case 'tool_call':
        part.text += text
        return ''
      case 'image':
        return ''
    }
  }

  private close(at: number): string {
    const part = this.open.get(at)
    if (part === undefined) return ''
    this.open.delete(at)
    const { block, signature, text } = part
    switch (block.type) {
      case 'tool_call': {
        const sealed = block.signature === null ? null : sealSignature(block.signature)
        return this.hold(
          callJson({ id: block.id, name: block.name, input: text }, sealed ?? signature),
        )
      }
      case 'thinking':
        return signature === null
          ? ''
          : this.hold(thoughtJson(block.redacted ? null : '', signature))
      case 'image': {
        const image = { ...block, detail: null, cache: null }
        return block.source.kind === 'file' ? '' : this.hold(`{${mediaJson(image)}}`)
      }
      case 'text':
      case 'refusal':
        return ''
    }
  }

  private note(event: Told): void {
    if (event.type === 'usage') this.usage = event.usage
    else if (event.type === 'stop') this.stop = event.stop
    else if (event.type === 'signature') {
      const part = this.open.get(event.at)
      if (part !== undefined) part.signature = sealSignature(event.signature)
    } else if (event.type === 'citation')
      this.cite(event.citation, this.open.get(event.at)?.from ?? 0)
  }

  /** Offsets of a block, as offsets of the whole text. */
  private cite(citation: Citation, from: number): void {
    const { start, end } = citation
    this.citations.push({
      ...citation,
      start: start === null ? null : start + from,
      end: end === null ? null : end + from,
    })
  }

  private hold(part: string): string {
    const before = this.flush()
    this.held = part
    return before
  }

  private flush(): string {
    if (this.held === null) return ''
    const frame = HEAD + this.held + this.tail
    this.held = null
    return frame
  }
}

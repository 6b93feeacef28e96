import type {
  Citation,
  ConversationEvent,
  MediaSource,
  OpenBlock,
  ProviderRefusal,
  Signature,
  StopReason,
} from '../../contracts/conversation.ts'
import type { AnswerOptions, StreamWriter } from '../../contracts/dialect.ts'
import { NO_USAGE, type Usage } from '../../contracts/usage.ts'
import { sayRefusal } from '../openai-wire/refusals.ts'
import {
  annotationJson,
  callJson,
  callTextJson,
  imageJson,
  messageJson,
  type OpenCall,
  reasoningJson,
  refusalPartJson,
  textPartJson,
} from './output-items.ts'
import { incompleteReason, ResponseObject } from './response-object.ts'
import { itemId } from './write-answer.ts'

/** A message item. It takes further parts until another item is opened behind it. */
type Message = {
  readonly id: string
  readonly outputIndex: number
  readonly parts: string[]
  openParts: number
  takesMore: boolean
}

/** A part of a message: the message is begun with its first text. `place`: JSON of where it stands. */
type Part = {
  readonly kind: 'output_text' | 'refusal'
  message: Message | null
  index: number
  place: string
  text: string
  readonly annotations: string[]
}

type Call = {
  readonly kind: 'call'
  readonly call: OpenCall
  readonly id: string
  readonly outputIndex: number
  readonly place: string
  /** The events of its text begin so. */
  readonly event: string
  text: string
}

type Thinking = {
  readonly kind: 'thinking'
  readonly id: string
  readonly outputIndex: number
  readonly place: string
  readonly redacted: boolean
  text: string
  signature: Signature | null
}

type Running = Part | Call | Thinking

/**
 * Events of one response, complete and in order; nothing follows the last one. Items are numbered as they are begun and
 * may run beside each other. Hot: `write` runs for every event.
 */
class ResponsesWriter implements StreamWriter {
  private readonly object: ResponseObject
  private readonly requestId: string
  private readonly running: Map<number, Running> = new Map()
  /** JSON of the items that are done, by their output index. */
  private readonly done: string[] = []
  private message: Message | null = null
  private sequence = 0
  private items = 0
  private started = false
  private ended = false
  private refused = false
  private stop: StopReason = 'end'
  private usage: Usage = NO_USAGE

  constructor(options: AnswerOptions) {
    this.object = new ResponseObject(options)
    this.requestId = options.requestId
  }

  write(event: ConversationEvent): string {
    if (this.ended) return ''
    switch (event.type) {
      case 'start':
        this.usage = event.usage
        return this.begin()
      case 'open':
        return this.begin() + this.open(event.at, event.block)
      case 'delta':
        return this.delta(event.at, event.text)
      case 'signature': {
        const block = this.running.get(event.at)
        if (block?.kind === 'thinking') block.signature = event.signature
        return ''
      }
      case 'citation':
        return this.cite(event.at, event.citation)
      case 'close':
        return this.close(event.at, 'completed')
      case 'stop':
        this.stop = event.stop
        return ''
      case 'usage':
        this.usage = event.usage
        return ''
      case 'error':
        return this.fail(event.refusal)
    }
  }

  end(): string {
    if (this.ended) return ''
    const reason = incompleteReason(this.stop, this.refused)
    const status = reason === null ? 'completed' : 'incomplete'
    let text = this.begin()
    for (const at of this.running.keys()) text += this.close(at, status)
    text += this.endMessage(status)
    this.ended = true
    return text + this.state(`response.${status}`, { status, reason, error: null })
  }

  /** Some clients throw at the error only, others look at the last event only. */
  private fail(refusal: ProviderRefusal): string {
    const { error } = sayRefusal(refusal)
    const text = this.begin()
    this.ended = true
    const said = { code: error.code ?? 'server_error', message: error.message }
    const { code, message } = said
    const event = this.frame(
      'error',
      `"code":${JSON.stringify(code)},"message":${JSON.stringify(message)},"param":null`,
    )
    const state = { status: 'failed', reason: null, error: said } as const
    return text + event + this.state('response.failed', state)
  }

  /** Once; a provider whose stream has no start still makes one. */
  private begin(): string {
    if (this.started) return ''
    this.started = true
    const state = { status: 'in_progress', reason: null, error: null } as const
    return this.state('response.created', state) + this.state('response.in_progress', state)
  }

  private state(
    type: string,
    state: Pick<Parameters<ResponseObject['json']>[0], 'status' | 'reason' | 'error'>,
  ): string {
    const isOver = state.status !== 'in_progress'
    const output = this.done.filter((item) => item !== undefined)
    const response = this.object.json({ ...state, output, usage: isOver ? this.usage : null })
    return this.frame(type, `"response":${response}`)
  }

  private frame(type: string, members: string): string {
    return `event: ${type}\ndata: {"type":"${type}","sequence_number":${this.sequence++},${members}}\n\n`
  }

  private open(at: number, block: OpenBlock): string {
    switch (block.type) {
      case 'text':
        this.running.set(at, newPart('output_text'))
        return ''
      case 'refusal':
        this.refused = true
        this.running.set(at, newPart('refusal'))
        return ''
      case 'thinking':
        return this.openThinking(at, block.redacted)
      case 'tool_call':
        return this.openCall(at, block)
      case 'image':
        return this.image(block.source)
    }
  }

  /** A new item of another kind ends the message before it, as soon as all of its parts are whole. */
  private nextItem(prefix: string): { text: string; id: string; outputIndex: number } {
    const { message } = this
    if (message !== null) message.takesMore = false
    const text = message?.openParts === 0 ? this.endMessage('completed') : ''
    const outputIndex = this.items++
    return { text, id: itemId(prefix, this.requestId, outputIndex), outputIndex }
  }

  private added(outputIndex: number, item: string): string {
    return this.frame('response.output_item.added', `"output_index":${outputIndex},"item":${item}`)
  }

  private finished(outputIndex: number, item: string): string {
    this.done[outputIndex] = item
    return this.frame('response.output_item.done', `"output_index":${outputIndex},"item":${item}`)
  }

  private openThinking(at: number, redacted: boolean): string {
    const { text, id, outputIndex } = this.nextItem('rs')
    const place = `"item_id":"${id}","output_index":${outputIndex},"summary_index":0`
    this.running.set(at, {
      kind: 'thinking',
      id,
      outputIndex,
      place,
      redacted,
      text: '',
      signature: null,
    })
    const bare = { text: '', signature: null, redacted: false }
    return text + this.added(outputIndex, reasoningJson(id, bare))
  }

  private openCall(at: number, call: OpenCall): string {
    const { text, id, outputIndex } = this.nextItem(call.custom ? 'ctc' : 'fc')
    this.running.set(at, {
      kind: 'call',
      call,
      id,
      outputIndex,
      place: `"item_id":"${id}","output_index":${outputIndex}`,
      event: call.custom ? 'response.custom_tool_call_input' : 'response.function_call_arguments',
      text: '',
    })
    return text + this.added(outputIndex, callJson(id, 'in_progress', { call, text: '""' }))
  }

  private image(source: MediaSource): string {
    const { text, id, outputIndex } = this.nextItem('ig')
    const item = imageJson(id, source)
    return text + this.added(outputIndex, item) + this.finished(outputIndex, item)
  }

  private delta(at: number, text: string): string {
    const block = this.running.get(at)
    if (block === undefined || text === '') return ''
    const json = JSON.stringify(text)
    switch (block.kind) {
      case 'output_text': {
        const before = this.beginPart(block)
        block.text += text
        return (
          before +
          this.frame('response.output_text.delta', `${block.place},"delta":${json},"logprobs":[]`)
        )
      }
      case 'refusal': {
        const before = this.beginPart(block)
        block.text += text
        return before + this.frame('response.refusal.delta', `${block.place},"delta":${json}`)
      }
      case 'thinking': {
        const before = block.text === '' ? this.beginSummary(block) : ''
        block.text += text
        return (
          before +
          this.frame('response.reasoning_summary_text.delta', `${block.place},"delta":${json}`)
        )
      }
      case 'call':
        block.text += text
        return this.frame(`${block.event}.delta`, `${block.place},"delta":${json}`)
    }
  }

  private beginSummary({ place }: Thinking): string {
    const part = '{"type":"summary_text","text":""}'
    return this.frame('response.reasoning_summary_part.added', `${place},"part":${part}`)
  }

  private beginPart(part: Part): string {
    if (part.message !== null) return ''
    let text = ''
    let { message } = this
    if (message === null || !message.takesMore) {
      const next = this.nextItem('msg')
      const { id, outputIndex } = next
      message = { id, outputIndex, parts: [], openParts: 0, takesMore: true }
      this.message = message
      text = next.text + this.added(outputIndex, messageJson(id, 'in_progress', []))
    }
    part.message = message
    part.index = message.parts.push('') - 1
    message.openParts++
    part.place = `"item_id":"${message.id}","output_index":${message.outputIndex},"content_index":${part.index}`
    const empty = part.kind === 'refusal' ? refusalPartJson('""') : textPartJson('""', [])
    return text + this.frame('response.content_part.added', `${part.place},"part":${empty}`)
  }

  private cite(at: number, citation: Citation): string {
    const block = this.running.get(at)
    if (block === undefined || block.kind !== 'output_text') return ''
    const before = this.beginPart(block)
    const json = annotationJson(citation, block.text.length)
    const index = block.annotations.push(json) - 1
    return (
      before +
      this.frame(
        'response.output_text.annotation.added',
        `${block.place},"annotation_index":${index},"annotation":${json}`,
      )
    )
  }

  private close(at: number, status: 'completed' | 'incomplete'): string {
    const block = this.running.get(at)
    if (block === undefined) return ''
    this.running.delete(at)
    if (block.kind === 'thinking') return this.closeThinking(block)
    return block.kind === 'call' ? this.closeCall(block, status) : this.closePart(block)
  }

  private closeThinking(block: Thinking): string {
    const { id, outputIndex, place, text } = block
    const json = JSON.stringify(text)
    const shown =
      text === ''
        ? ''
        : this.frame('response.reasoning_summary_text.done', `${place},"text":${json}`) +
          this.frame(
            'response.reasoning_summary_part.done',
            `${place},"part":{"type":"summary_text","text":${json}}`,
          )
    return shown + this.finished(outputIndex, reasoningJson(id, block))
  }

  private closeCall(block: Call, status: 'completed' | 'incomplete'): string {
    const { id, outputIndex, place, event, call } = block
    const text = callTextJson(block.text, call.custom)
    const member = call.custom ? 'input' : 'arguments'
    const delta =
      block.text === '' && !call.custom
        ? this.frame(`${event}.delta`, `${place},"delta":${text}`)
        : ''
    return (
      delta +
      this.frame(`${event}.done`, `${place},"${member}":${text}`) +
      this.finished(outputIndex, callJson(id, status, { call, text }))
    )
  }

  private closePart(part: Part): string {
    const { message, place } = part
    // Empty texts never begin.
    if (message === null) return ''
    const json = JSON.stringify(part.text)
    const whole =
      part.kind === 'refusal' ? refusalPartJson(json) : textPartJson(json, part.annotations)
    message.parts[part.index] = whole
    message.openParts--
    const done =
      part.kind === 'refusal'
        ? this.frame('response.refusal.done', `${place},"refusal":${json}`)
        : this.frame('response.output_text.done', `${place},"text":${json},"logprobs":[]`)
    const text = done + this.frame('response.content_part.done', `${place},"part":${whole}`)
    const isOver = message.openParts === 0 && !message.takesMore
    return isOver ? text + this.finishMessage(message, 'completed') : text
  }

  private endMessage(status: 'completed' | 'incomplete'): string {
    const { message } = this
    return message === null ? '' : this.finishMessage(message, status)
  }

  private finishMessage(message: Message, status: 'completed' | 'incomplete'): string {
    if (this.message === message) this.message = null
    const { id, outputIndex, parts } = message
    return this.finished(outputIndex, messageJson(id, status, parts))
  }
}

function newPart(kind: Part['kind']): Part {
  return { kind, message: null, index: 0, place: '', text: '', annotations: [] }
}

/** One per answer. */
export function streamWriter(options: AnswerOptions): StreamWriter {
  return new ResponsesWriter(options)
}

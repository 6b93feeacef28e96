import type { ConversationEvent, OpenBlock, StopReason } from '../../contracts/conversation.ts'
import type { AnswerOptions, StreamWriter } from '../../contracts/dialect.ts'
import { NO_USAGE, type Usage } from '../../contracts/usage.ts'
import { sealCallId, sealSignature } from '../translation/seal.ts'
import { citationJson } from './citations.ts'
import { refusalFrame } from './refusals.ts'
import { writtenStopReason } from './stop-reasons.ts'
import { deltaUsageJson, usageJson } from './usage-json.ts'
import { IMAGE_NOTE, messageId, toolUseJson } from './write-answer.ts'

type Kind = 'text' | 'thinking' | 'redacted' | 'tool'

/** One block of the answer. Only the first that is not closed is written; what others say meanwhile is held. */
type Block = {
  readonly kind: Kind
  /** JSON of the block as it begins; a redacted one is known only when its data comes. */
  head: string
  /** Null until it is begun: empty texts never are, and take no index. */
  index: number | null
  readonly held: string[]
  closed: boolean
}

const TEXT_HEAD = '{"type":"text","text":"","citations":null}'
const THINKING_HEAD = '{"type":"thinking","thinking":"","signature":""}'
const REDACTED_HEAD = '{"type":"redacted_thinking","data":""}'

/** Frames of one answer: blocks one after another, indexes from 0 without a gap. Hot: `write` runs for every event. */
export function streamWriter(options: AnswerOptions): StreamWriter {
  const writer = new MessagesWriter(options)
  return { write: (event) => writer.write(event), end: () => writer.end() }
}

class MessagesWriter {
  private readonly options: AnswerOptions
  private readonly blocks = new Map<number, Block>()
  /** Those not yet written to their end, in the order opened. The first is the one being written. */
  private readonly queue: Block[] = []
  private started = false
  private failed = false
  private nextIndex = 0
  private called = false
  private refused = false
  private stop: StopReason = 'end'
  private stopSequence: string | null = null
  private usage: Usage = NO_USAGE

  constructor(options: AnswerOptions) {
    this.options = options
  }

  write(event: ConversationEvent): string {
    switch (event.type) {
      case 'start':
        return this.start(event.id, event.usage)
      case 'open':
        return this.begin('', NO_USAGE) + this.open(event.at, event.block)
      case 'delta':
        return this.delta(event.at, event.text)
      case 'signature':
        return this.signature(event.at, sealSignature(event.signature))
      case 'citation': {
        const citation = citationJson(event.citation)
        if (citation === null) return ''
        return this.push(event.at, `{"type":"citations_delta","citation":${citation}}`)
      }
      case 'close':
        return this.close(event.at)
      case 'stop':
        this.stop = event.stop
        this.stopSequence = event.stopSequence
        return ''
      case 'usage':
        this.usage = event.usage
        return ''
      case 'error':
        this.failed = true
        return refusalFrame(event.refusal, this.options.requestId)
    }
  }

  end(): string {
    if (this.failed) return ''
    let text = this.begin('', this.usage)
    for (const block of this.queue) block.closed = true
    text += this.flush()
    const stop = writtenStopReason(this.stop, { called: this.called, refused: this.refused })
    const delta =
      `{"stop_reason":"${stop}","stop_sequence":${JSON.stringify(this.stopSequence)}` +
      ',"stop_details":null,"container":null}'
    const usage = deltaUsageJson(this.usage)
    return (
      `${text}event: message_delta\ndata: {"type":"message_delta","delta":${delta},"usage":${usage}}\n\n` +
      'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    )
  }

  private start(id: string, usage: Usage): string {
    if (this.usage === NO_USAGE) this.usage = usage
    return this.begin(id, usage)
  }

  /** Once; a provider whose stream has no start still makes one. */
  private begin(id: string, usage: Usage): string {
    if (this.started) return ''
    this.started = true
    const { conversation, requestId } = this.options
    const message =
      `{"id":${JSON.stringify(messageId(id, requestId))},"type":"message","role":"assistant"` +
      `,"model":${JSON.stringify(conversation.model)},"content":[],"stop_reason":null` +
      `,"stop_sequence":null,"stop_details":null,"container":null,"usage":${usageJson(usage, null)}}`
    return `event: message_start\ndata: {"type":"message_start","message":${message}}\n\n`
  }

  private open(at: number, open: OpenBlock): string {
    const block = this.blockFor(open)
    this.blocks.set(at, block)
    this.queue.push(block)
    if (open.type === 'image') return this.delta(at, IMAGE_NOTE) + this.close(at)
    const early = block.kind === 'tool' || block.kind === 'thinking'
    return early && this.queue[0] === block ? this.head(block) : ''
  }

  private blockFor(open: OpenBlock): Block {
    if (open.type === 'tool_call') {
      this.called = true
      return newBlock('tool', toolUseJson(sealCallId(open.id, open.signature), open.name, '{}'))
    }
    if (open.type === 'thinking') {
      return open.redacted
        ? newBlock('redacted', REDACTED_HEAD)
        : newBlock('thinking', THINKING_HEAD)
    }
    if (open.type === 'refusal') this.refused = true
    return newBlock('text', TEXT_HEAD)
  }

  private delta(at: number, text: string): string {
    const block = this.blocks.get(at)
    if (block === undefined || text === '') return ''
    const json = JSON.stringify(text)
    switch (block.kind) {
      case 'text':
        return this.add(block, `{"type":"text_delta","text":${json}}`)
      case 'tool':
        return this.add(block, `{"type":"input_json_delta","partial_json":${json}}`)
      case 'thinking':
        return this.add(block, `{"type":"thinking_delta","thinking":${json}}`)
      case 'redacted':
        return ''
    }
  }

  private signature(at: number, sealed: string): string {
    const block = this.blocks.get(at)
    if (block === undefined) return ''
    const json = JSON.stringify(sealed)
    if (block.kind === 'thinking') {
      return this.add(block, `{"type":"signature_delta","signature":${json}}`)
    }
    if (block.kind !== 'redacted' || block.index !== null) return ''
    block.head = `{"type":"redacted_thinking","data":${json}}`
    return this.queue[0] === block ? this.head(block) : ''
  }

  private push(at: number, delta: string): string {
    const block = this.blocks.get(at)
    return block === undefined || block.kind !== 'text' ? '' : this.add(block, delta)
  }

  private add(block: Block, delta: string): string {
    if (this.queue[0] !== block) {
      block.held.push(delta)
      return ''
    }
    if (block.index !== null) return deltaFrame(block.index, delta)
    return this.head(block) + deltaFrame(block.index ?? this.nextIndex - 1, delta)
  }

  private close(at: number): string {
    const block = this.blocks.get(at)
    if (block === undefined || block.closed) return ''
    block.closed = true
    this.blocks.delete(at)
    return this.queue[0] === block ? this.flush() : ''
  }

  /** Ends the first block if it is closed, then writes what the next ones held, up to the first that is still open. */
  private flush(): string {
    let text = ''
    for (let block = this.queue[0]; block !== undefined; block = this.queue[0]) {
      if (block.index === null && (block.kind !== 'text' || block.held.length > 0)) {
        if (block.kind !== 'redacted' || block.head !== REDACTED_HEAD) text += this.head(block)
      }
      if (block.index !== null) {
        for (const delta of block.held) text += deltaFrame(block.index, delta)
        block.held.length = 0
      }
      if (!block.closed) break
      if (block.index !== null) {
        text += `event: content_block_stop\ndata: {"type":"content_block_stop","index":${block.index}}\n\n`
      }
      this.queue.shift()
    }
    return text
  }

  private head(block: Block): string {
    const index = this.nextIndex++
    block.index = index
    return `event: content_block_start\ndata: {"type":"content_block_start","index":${index},"content_block":${block.head}}\n\n`
  }
}

function newBlock(kind: Kind, head: string): Block {
  return { kind, head, index: null, held: [], closed: false }
}

function deltaFrame(index: number, delta: string): string {
  return `event: content_block_delta\ndata: {"type":"content_block_delta","index":${index},"delta":${delta}}\n\n`
}

import type {
  Block,
  Conversation,
  ThinkingBlock,
  ToolCallBlock,
  ToolResultBlock,
} from '../../contracts/conversation.ts'
import type { RenderOptions } from '../../contracts/dialect.ts'
import { invalidField } from '../read-body.ts'
import { callInput } from '../translation/call-input.ts'
import { type MediaBlock, mediaJson } from './media.ts'
import { takesBudgets } from './reasoning.ts'
import { NO_SIGNATURE } from './signatures.ts'
import { type DraftPart, partJson, textJson, thoughtJson, valueOf } from './write-parts.ts'

export type WrittenContents = {
  /** Parts of the system instruction. */
  readonly system: readonly string[]
  readonly contents: readonly string[]
}

/**
 * Turns as contents. Neighbours of one role become one content, but results of tools stand alone, before what else the
 * user said: providers want as many results as calls, right behind them.
 */
export function writeContents(conversation: Conversation, options: RenderOptions): WrittenContents {
  const draft = new ContentsDraft(conversation.model, options)
  for (const { text, cache } of conversation.system) {
    if (cache !== null) options.losses.add('cache_control')
    if (text !== '') draft.system.push(textJson(text))
  }
  for (const { role, blocks } of conversation.turns) {
    for (const block of blocks) {
      if (role === 'assistant') draft.addModel(block)
      else if (role === 'user') draft.addUser(block)
      else draft.addInstruction(block)
    }
  }
  draft.flush()
  return draft
}

class ContentsDraft {
  readonly system: string[] = []
  readonly contents: string[] = []
  private readonly options: RenderOptions
  private readonly needsSignatures: boolean
  private readonly names = new Map<string, string>()
  private results: string[] = []
  private said: string[] = []
  private model: DraftPart[] = []
  private spoken = false

  constructor(model: string, options: RenderOptions) {
    this.options = options
    this.needsSignatures = !takesBudgets(model)
  }

  addUser(block: Block): void {
    this.flushModel()
    this.spoken = true
    this.noteLosses(block)
    if (block.type === 'tool_result') this.results.push(this.resultJson(block))
    else if (block.type === 'text' || block.type === 'refusal') this.say(block.text)
    else if (isMedia(block)) this.said.push(`{${mediaJson(block)}}`)
    else this.options.losses.add(`messages[].${block.type}`)
  }

  /** An instruction before the first turn is one of the system; later ones have no place of their own. */
  addInstruction(block: Block): void {
    if (block.type !== 'text' || block.text === '') return
    this.noteLosses(block)
    if (!this.spoken) {
      this.system.push(textJson(block.text))
      return
    }
    this.options.losses.add('messages[].role')
    this.flushModel()
    this.say(`<system-instruction>\n${block.text}\n</system-instruction>`)
  }

  addModel(block: Block): void {
    this.flushUser()
    this.spoken = true
    this.noteLosses(block)
    if (block.type === 'text' || block.type === 'refusal') {
      if (block.text !== '') this.model.push({ kind: 'text', text: block.text, signature: null })
    } else if (block.type === 'thinking') this.addThinking(block)
    else if (block.type === 'tool_call') this.addCall(block)
    else if (isMedia(block)) this.model.push({ kind: 'whole', json: `{${mediaJson(block)}}` })
    else this.options.losses.add(`messages[].${block.type}`)
  }

  flush(): void {
    this.flushUser()
    this.flushModel()
  }

  private say(text: string): void {
    if (text !== '') this.said.push(textJson(text))
  }

  /** A signature without words belongs to the text before it, or to none. */
  private addThinking({ text, signature, redacted }: ThinkingBlock): void {
    const kept = valueOf(signature, this.options.keeps)
    if (signature !== null && kept === null) this.options.losses.add('messages[].thinking')
    if (text === '' && kept === null) return
    const last = this.model.at(-1)
    if (text !== '' || redacted) {
      const json = thoughtJson(redacted ? null : text, kept)
      this.model.push({ kind: 'whole', json })
    } else if (last?.kind === 'text' && last.signature === null) last.signature = kept
    else this.model.push({ kind: 'text', text: '', signature: kept })
  }

  private addCall({ id, name, input, signature }: ToolCallBlock): void {
    const kept = valueOf(signature, this.options.keeps)
    if (signature !== null && kept === null) this.options.losses.add('tool_call.signature')
    if (callInput(input).broken) this.options.losses.add('tool_call.input')
    this.names.set(id, name)
    this.model.push({ kind: 'call', call: { id, name, input }, signature: kept })
  }

  private resultJson({ callId, content, isError }: ToolResultBlock): string {
    const name = this.names.get(callId)
    if (name === undefined) {
      throw invalidField('messages', 'a result of a tool answers no call of the conversation.')
    }
    const texts: string[] = []
    const media: string[] = []
    for (const block of content) {
      this.noteLosses(block)
      if (block.type === 'text') texts.push(block.text)
      else media.push(`{${mediaJson(block)}}`)
    }
    const output = `{"${isError ? 'error' : 'output'}":${JSON.stringify(texts.join('\n'))}}`
    const parts = media.length === 0 ? '' : `,"parts":[${media.join(',')}]`
    const head = `"id":${JSON.stringify(callId)},"name":${JSON.stringify(name)}`
    return `{"functionResponse":{${head},"response":${output}${parts}}}`
  }

  private noteLosses(block: Block): void {
    const { losses } = this.options
    if ('cache' in block && block.cache !== null) losses.add('cache_control')
    if (block.type === 'text' && block.citations.length > 0) losses.add('citations')
    if (block.type === 'image' && block.detail !== null && block.detail !== 'auto') {
      losses.add('image.detail')
    }
    if (block.type === 'document' && block.name !== null) losses.add('document.name')
  }

  private flushUser(): void {
    for (const parts of [this.results, this.said]) {
      if (parts.length > 0) this.contents.push(`{"role":"user","parts":[${parts.join(',')}]}`)
    }
    this.results = []
    this.said = []
  }

  private flushModel(): void {
    if (this.model.length === 0) return
    const call = this.model.find((part) => part.kind === 'call')
    if (this.needsSignatures && call?.signature === null) call.signature = NO_SIGNATURE
    this.contents.push(`{"role":"model","parts":[${this.model.map(partJson).join(',')}]}`)
    this.model = []
  }
}

function isMedia(block: Block): block is MediaBlock {
  return block.type === 'image' || block.type === 'document' || block.type === 'audio'
}

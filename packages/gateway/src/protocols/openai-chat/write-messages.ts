import type {
  Block,
  DocumentBlock,
  ImageBlock,
  TextBlock,
  ThinkingBlock,
  ToolCallBlock,
  ToolResultBlock,
  Turn,
} from '../../contracts/conversation.ts'
import type { RenderOptions } from '../../contracts/dialect.ts'
import { textOfDocument, urlOf } from '../openai-wire/media.ts'
import { notTranslatable } from '../openai-wire/values.ts'
import { extraContent } from './read-calls.ts'
import { giveBack } from './reasoning.ts'

type Message = Record<string, unknown>
type Part = Readonly<Record<string, unknown>>

/** Stands in a result that is all media, because servers refuse an empty one. */
const SEE_NEXT = 'The result is in the next user message.'

/**
 * Turns as messages. Results directly follow the calls that they answer, whatever else the turns between hold; what
 * results show in pictures comes behind them, because most servers take only text there.
 */
export function writeTurns(turns: readonly Turn[], options: RenderOptions): readonly Message[] {
  const messages: Message[] = []
  let later: Message[] = []
  for (const [i, turn] of turns.entries()) {
    if (turn.role === 'assistant') {
      messages.push(...later)
      later = []
      const before = messages.at(-1)
      const joins = turns[i - 1]?.role === 'assistant' && before?.['tool_calls'] !== undefined
      addAssistant(messages, { turn, options, into: joins ? before : undefined })
    } else if (turn.role === 'system')
      later.push({ role: 'system', content: textsOf(turn, options) })
    else writeUser(turn, { messages, later, options })
  }
  messages.push(...later)
  return messages
}

function textsOf(turn: Turn, options: RenderOptions): string | readonly Part[] {
  return writeTexts(
    turn.blocks.filter((block) => block.type === 'text'),
    options,
  )
}

/** One text as a string, which every server takes; several as parts. */
export function writeTexts(
  blocks: readonly TextBlock[],
  options: RenderOptions,
): string | readonly Part[] {
  for (const { cache } of blocks) if (cache !== null) options.losses.add('cache_control')
  const [first] = blocks
  if (blocks.length === 1 && first !== undefined) return first.text
  return blocks.length === 0 ? '' : blocks.map(({ text }) => ({ type: 'text', text }))
}

function writeUser(
  turn: Turn,
  { messages, later, options }: { messages: Message[]; later: Message[]; options: RenderOptions },
): void {
  const parts: Part[] = []
  for (const block of turn.blocks) {
    if (block.type === 'tool_result') parts.push(...writeResult(messages, block, options))
    else parts.push(writePart(block, options))
  }
  const [first] = parts
  if (first === undefined) return
  const text = parts.length === 1 && first['type'] === 'text' ? first['text'] : undefined
  later.push({ role: 'user', content: text ?? parts })
}

/** What of the result must stand in the user message behind it. */
function writeResult(
  messages: Message[],
  block: ToolResultBlock,
  options: RenderOptions,
): readonly Part[] {
  if (block.isError) options.losses.add('tool_result.is_error')
  if (block.cache !== null) options.losses.add('cache_control')
  const texts = block.content.filter((part) => part.type === 'text')
  const media = block.content.filter((part) => part.type !== 'text')
  const content = writeTexts(texts, options)
  messages.push({
    role: 'tool',
    tool_call_id: block.callId,
    content: content === '' && media.length > 0 ? SEE_NEXT : content,
  })
  return media.map((part) => writePart(part, options))
}

function writePart(block: Block, options: RenderOptions): Part {
  switch (block.type) {
    case 'text':
      if (block.cache !== null) options.losses.add('cache_control')
      return { type: 'text', text: block.text }
    case 'image':
      return writeImage(block, options)
    case 'document':
      return writeDocument(block, options)
    case 'audio':
      return { type: 'input_audio', input_audio: { data: block.data, format: block.format } }
    case 'refusal':
      return { type: 'text', text: block.text }
    case 'tool_call':
    case 'tool_result':
    case 'thinking':
      throw notTranslatable('messages', `a user's turn holds no ${block.type} here.`)
  }
}

function writeImage(block: ImageBlock, options: RenderOptions): Part {
  if (block.cache !== null) options.losses.add('cache_control')
  const url = urlOf(block.source)
  if (url === null) throw notTranslatable('image', 'the target takes images by URL or data only.')
  const detail = block.detail === null ? {} : { detail: block.detail }
  return { type: 'image_url', image_url: { url, ...detail } }
}

function writeDocument(block: DocumentBlock, options: RenderOptions): Part {
  if (block.cache !== null) options.losses.add('cache_control')
  const { source, name } = block
  if (source.kind === 'file') {
    const filename = name === null ? {} : { filename: name }
    return { type: 'file', file: { file_id: source.id, ...filename } }
  }
  const text = textOfDocument(source)
  if (text !== null) {
    if (name !== null) options.losses.add('document.name')
    return { type: 'text', text }
  }
  const url = source.kind === 'base64' ? urlOf(source) : null
  if (url === null) throw notTranslatable('document', 'the target takes documents as data only.')
  return { type: 'file', file: { filename: name ?? 'document.pdf', file_data: url } }
}

/** `into`: calls of the same answer that stand in the message before; their results must follow all of them. */
function addAssistant(
  messages: Message[],
  { turn, options, into }: { turn: Turn; options: RenderOptions; into: Message | undefined },
): void {
  const message: Message = into ?? { role: 'assistant', content: null }
  const texts: TextBlock[] = []
  const calls: unknown[] = Array.isArray(message['tool_calls']) ? [...message['tool_calls']] : []
  let refusal = ''
  for (const block of turn.blocks) {
    if (block.type === 'text') texts.push(block)
    else if (block.type === 'tool_call') calls.push(writeCall(block, options))
    else if (block.type === 'thinking') writeThinking(message, block, options)
    else if (block.type === 'refusal') refusal += block.text
    else options.losses.add(`messages[].${block.type}`)
  }
  if (texts.some(({ citations }) => citations.length > 0)) options.losses.add('citations')
  if (texts.length > 0) message['content'] = joined(message['content'], writeTexts(texts, options))
  if (refusal !== '') message['refusal'] = refusal
  if (calls.length > 0) message['tool_calls'] = calls
  // A turn whose thinking could not be kept has nothing left to say.
  if (into === undefined && (message['content'] !== null || Object.keys(message).length > 2)) {
    messages.push(message)
  }
}

function joined(before: unknown, content: string | readonly Part[]): unknown {
  return before === null ? content : [...asParts(before), ...asParts(content)]
}

function asParts(content: unknown): readonly unknown[] {
  return Array.isArray(content) ? content : [{ type: 'text', text: content }]
}

function writeThinking(message: Message, block: ThinkingBlock, options: RenderOptions): void {
  const kept = block.signature !== null && options.keeps(block.signature)
  if (!kept || !giveBack(message, block)) options.losses.add('messages[].thinking')
}

/** No arguments are an empty object here; anything else is the model's own text. */
function writeCall(block: ToolCallBlock, options: RenderOptions): Part {
  if (block.cache !== null) options.losses.add('cache_control')
  const { id, name, input, signature } = block
  if (block.custom) return { id, type: 'custom', custom: { name, input } }
  const call = { id, type: 'function', function: { name, arguments: input === '' ? '{}' : input } }
  if (signature === null) return call
  if (options.keeps(signature)) return { ...call, extra_content: extraContent(signature) }
  options.losses.add('tool_call.signature')
  return call
}

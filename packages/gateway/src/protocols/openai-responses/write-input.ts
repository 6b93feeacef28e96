import type {
  Block,
  Conversation,
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
import { type Members, notTranslatable } from '../openai-wire/values.ts'
import { giveBack } from './reasoning.ts'

type Draft = {
  readonly items: Members[]
  /** Calls of custom tools: their results are items of another type. */
  readonly customCalls: Set<string>
  readonly options: RenderOptions
}

/** One system text is `instructions`; several stay apart, as parts of a message at the head. */
export function writeInput(
  { system, turns }: Conversation,
  options: RenderOptions,
): { readonly instructions?: string; readonly input: readonly Members[] } {
  const draft: Draft = { items: [], customCalls: new Set(), options }
  const [first] = system
  if (system.length > 1) {
    draft.items.push({ role: 'system', content: system.map((block) => writeText(block, options)) })
  }
  for (const turn of turns) writeTurn(draft, turn)
  if (first === undefined || system.length > 1) return { input: draft.items }
  listCache(first, options)
  return { instructions: first.text, input: draft.items }
}

/** Runs of parts become messages; calls, results and reasoning are items of their own, in their place. */
function writeTurn(draft: Draft, turn: Turn): void {
  const { options, items } = draft
  let parts: Members[] = []
  const flush = (): void => {
    if (parts.length > 0) items.push({ role: turn.role, content: parts })
    parts = []
  }
  for (const block of turn.blocks) {
    const item = writeItem(draft, block)
    if (item !== null) {
      flush()
      items.push(item)
    } else if (block.type !== 'thinking') {
      parts.push(
        turn.role === 'assistant' ? writeOutput(block, options) : writePart(block, options),
      )
    }
  }
  flush()
}

/** Null: a part of a message, or thinking that cannot be given back. */
function writeItem(draft: Draft, block: Block): Members | null {
  if (block.type === 'tool_call') return writeCall(draft, block)
  if (block.type === 'tool_result') return writeResult(draft, block)
  return block.type === 'thinking' ? writeThinking(block, draft.options) : null
}

function writeCall({ customCalls, options }: Draft, block: ToolCallBlock): Members {
  listCache(block, options)
  if (block.signature !== null) options.losses.add('tool_call.signature')
  const { id, name, input } = block
  if (!block.custom) {
    return { type: 'function_call', call_id: id, name, arguments: input === '' ? '{}' : input }
  }
  customCalls.add(id)
  return { type: 'custom_tool_call', call_id: id, name, input }
}

function writeResult({ customCalls, options }: Draft, block: ToolResultBlock): Members {
  listCache(block, options)
  if (block.isError) options.losses.add('tool_result.is_error')
  const { callId, content } = block
  const [first] = content
  const plain = content.length === 1 && first?.type === 'text' ? first : null
  if (plain !== null) listCache(plain, options)
  const parts = plain === null ? content.map((part) => writePart(part, options)) : plain.text
  const type = customCalls.has(callId) ? 'custom_tool_call_output' : 'function_call_output'
  return { type, call_id: callId, output: content.length === 0 ? '' : parts }
}

function writeThinking(block: ThinkingBlock, { keeps, losses }: RenderOptions): Members | null {
  if (block.signature !== null && keeps(block.signature)) {
    return giveBack(block.text, block.signature, block.redacted)
  }
  losses.add('messages[].thinking')
  return null
}

function writeOutput(block: Block, options: RenderOptions): Members {
  if (block.type === 'refusal') return { type: 'refusal', refusal: block.text }
  if (block.type !== 'text') throw misplaced(block)
  listCache(block, options)
  if (block.citations.length > 0) options.losses.add('citations')
  return { type: 'output_text', text: block.text }
}

function writePart(block: Block, options: RenderOptions): Members {
  switch (block.type) {
    case 'text':
      return writeText(block, options)
    case 'refusal':
      return { type: 'input_text', text: block.text }
    case 'image':
      return writeImage(block, options)
    case 'document':
      return writeDocument(block, options)
    case 'audio':
      return { type: 'input_audio', input_audio: { data: block.data, format: block.format } }
    case 'tool_call':
    case 'tool_result':
    case 'thinking':
      throw misplaced(block)
  }
}

function misplaced({ type }: Block): Error {
  return notTranslatable('input', `a turn of this role holds no ${type} here.`)
}

function writeText(block: TextBlock, options: RenderOptions): Members {
  listCache(block, options)
  return { type: 'input_text', text: block.text }
}

function writeImage(block: ImageBlock, options: RenderOptions): Members {
  listCache(block, options)
  const { source, detail } = block
  const place = source.kind === 'file' ? { file_id: source.id } : { image_url: urlOf(source) }
  if (place.image_url === null) throw notTranslatable('image', 'the target takes no text as one.')
  return { type: 'input_image', ...place, ...(detail === null ? {} : { detail }) }
}

function writeDocument(block: DocumentBlock, options: RenderOptions): Members {
  listCache(block, options)
  const { source, name } = block
  const filename = name === null ? {} : { filename: name }
  if (source.kind === 'file') return { type: 'input_file', file_id: source.id, ...filename }
  if (source.kind === 'url') return { type: 'input_file', file_url: source.url, ...filename }
  const text = textOfDocument(source)
  if (text === null) {
    return { type: 'input_file', filename: name ?? 'document.pdf', file_data: urlOf(source) }
  }
  if (name !== null) options.losses.add('document.name')
  return { type: 'input_text', text }
}

function listCache({ cache }: { readonly cache: unknown }, { losses }: RenderOptions): void {
  if (cache !== null) losses.add('cache_control')
}

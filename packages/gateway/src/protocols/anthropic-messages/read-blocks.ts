import type {
  Block,
  DocumentBlock,
  ImageBlock,
  TextBlock,
  ThinkingBlock,
  ToolCallBlock,
  ToolResultBlock,
} from '../../contracts/conversation.ts'
import type { LossList } from '../../contracts/dialect.ts'
import { isRecord } from '../../lib/is-record.ts'
import { invalidField } from '../read-body.ts'
import { inputText } from '../translation/call-input.ts'
import { openCallId, openSignature } from '../translation/seal.ts'
import { type Fields, listUnknown, lossOf, optionalText, requiredText } from './fields.ts'
import { readCache } from './read-cache.ts'
import { readCitations } from './citations.ts'
import { readSource, searchResultText } from './read-media.ts'

const PATH = 'messages[].content[]'
const TEXT: ReadonlySet<string> = new Set(['type', 'text', 'cache_control', 'citations'])
const IMAGE: ReadonlySet<string> = new Set(['type', 'source', 'cache_control'])
const DOCUMENT: ReadonlySet<string> = new Set(['type', 'source', 'title', 'cache_control'])
const SEARCH_RESULT: ReadonlySet<string> = new Set([
  'type',
  'source',
  'title',
  'content',
  'cache_control',
])
/** `caller` names the vendor's own tool that called; without those it is always the model. */
const TOOL_USE: ReadonlySet<string> = new Set([
  'type',
  'id',
  'name',
  'input',
  'cache_control',
  'caller',
])
const TOOL_RESULT: ReadonlySet<string> = new Set([
  'type',
  'tool_use_id',
  'content',
  'is_error',
  'cache_control',
])
const THINKING: ReadonlySet<string> = new Set(['type', 'thinking', 'signature'])
const REDACTED: ReadonlySet<string> = new Set(['type', 'data'])

type BlockReader = (block: Fields, losses: LossList) => Block

/** Blocks of the vendor's own tools have no reader: they are losses. */
const READERS: ReadonlyMap<unknown, BlockReader> = new Map<unknown, BlockReader>([
  ['text', readText],
  ['image', readImage],
  ['document', readDocument],
  ['search_result', readSearchResult],
  ['tool_use', readToolUse],
  ['tool_result', readToolResult],
  ['thinking', readThinking],
  ['redacted_thinking', readRedacted],
])

/** What a user or an assistant said: a text, or a list of blocks. */
export function readBlocks(content: unknown, losses: LossList): readonly Block[] {
  if (typeof content === 'string') return [plainText(content)]
  const blocks: Block[] = []
  for (const block of asBlocks(content, 'messages[].content')) {
    const read = READERS.get(block['type'])
    if (read === undefined) losses.add(lossOf(PATH, block['type']))
    else blocks.push(read(block, losses))
  }
  return blocks
}

/** A place that takes texts only. */
export function readTextBlocks(
  content: unknown,
  use: { readonly path: string; readonly losses: LossList },
): readonly TextBlock[] {
  if (typeof content === 'string') return content === '' ? [] : [plainText(content)]
  const blocks: TextBlock[] = []
  for (const block of asBlocks(content, use.path)) {
    if (block['type'] === 'text') blocks.push(readText(block, use.losses))
    else use.losses.add(lossOf(`${use.path}[]`, block['type']))
  }
  return blocks
}

function asBlocks(content: unknown, path: string): readonly Fields[] {
  if (!Array.isArray(content)) throw invalidField(path, 'must be a string or a list of blocks.')
  return content.map((block: unknown) => {
    if (!isRecord(block)) throw invalidField(path, 'each block must be an object.')
    return block
  })
}

function plainText(text: string): TextBlock {
  return { type: 'text', text, citations: [], cache: null }
}

function readText(block: Fields, losses: LossList): TextBlock {
  listUnknown(block, TEXT, { path: PATH, losses })
  return {
    type: 'text',
    text: requiredText(block, 'text', `${PATH}.text`),
    citations: readCitations(block['citations']),
    cache: readCache(block, PATH, losses),
  }
}

function readImage(block: Fields, losses: LossList): ImageBlock {
  listUnknown(block, IMAGE, { path: PATH, losses })
  return {
    type: 'image',
    source: readSource(block['source'], losses),
    detail: null,
    cache: readCache(block, PATH, losses),
  }
}

function readDocument(block: Fields, losses: LossList): DocumentBlock {
  listUnknown(block, DOCUMENT, { path: PATH, losses })
  return {
    type: 'document',
    source: readSource(block['source'], losses),
    name: optionalText(block, 'title', `${PATH}.title`),
    cache: readCache(block, PATH, losses),
  }
}

/** Others know no search results; the text of one is still what the model shall read. */
function readSearchResult(block: Fields, losses: LossList): TextBlock {
  listUnknown(block, SEARCH_RESULT, { path: PATH, losses })
  losses.add(`${PATH}.search_result`)
  const text = searchResultText(block)
  return { type: 'text', text, citations: [], cache: readCache(block, PATH, losses) }
}

function readToolUse(block: Fields, losses: LossList): ToolCallBlock {
  listUnknown(block, TOOL_USE, { path: PATH, losses })
  const { id, signature } = openCallId(requiredText(block, 'id', `${PATH}.id`))
  return {
    type: 'tool_call',
    id,
    name: requiredText(block, 'name', `${PATH}.name`),
    input: inputText(block['input']),
    custom: false,
    signature,
    cache: readCache(block, PATH, losses),
  }
}

function readToolResult(block: Fields, losses: LossList): ToolResultBlock {
  listUnknown(block, TOOL_RESULT, { path: PATH, losses })
  return {
    type: 'tool_result',
    callId: openCallId(requiredText(block, 'tool_use_id', `${PATH}.tool_use_id`)).id,
    content: readResultContent(block['content'], losses),
    isError: block['is_error'] === true,
    cache: readCache(block, PATH, losses),
  }
}

function readResultContent(content: unknown, losses: LossList): ToolResultBlock['content'] {
  if (content === undefined || content === null) return []
  if (typeof content === 'string') return content === '' ? [] : [plainText(content)]
  const blocks: (TextBlock | ImageBlock | DocumentBlock)[] = []
  for (const block of asBlocks(content, `${PATH}.content`)) {
    const read = READERS.get(block['type'])?.(block, losses)
    if (read?.type === 'text' || read?.type === 'image' || read?.type === 'document') {
      blocks.push(read)
    } else {
      losses.add(lossOf(`${PATH}.content[]`, block['type']))
    }
  }
  return blocks
}

/** Without a signature nobody can prove it; some vendors send it empty. */
function readThinking(block: Fields, losses: LossList): ThinkingBlock {
  listUnknown(block, THINKING, { path: PATH, losses })
  const signature = optionalText(block, 'signature', `${PATH}.signature`) ?? ''
  return {
    type: 'thinking',
    text: requiredText(block, 'thinking', `${PATH}.thinking`),
    signature: signature === '' ? null : openSignature(signature),
    redacted: false,
  }
}

function readRedacted(block: Fields, losses: LossList): ThinkingBlock {
  listUnknown(block, REDACTED, { path: PATH, losses })
  const data = requiredText(block, 'data', `${PATH}.data`)
  return { type: 'thinking', text: '', signature: openSignature(data), redacted: true }
}

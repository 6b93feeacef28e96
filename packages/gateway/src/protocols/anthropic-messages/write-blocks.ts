import type {
  Block,
  DocumentBlock,
  MediaSource,
  ThinkingBlock,
  ToolCallBlock,
  ToolResultBlock,
} from '../../contracts/conversation.ts'
import type { RenderOptions } from '../../contracts/dialect.ts'
import { fitCall, fitText, fitThinking, notCarried } from '../translation/fit-blocks.ts'
import type { CacheMarks } from './cache-marks.ts'

/** Files that this vendor keeps; an id of another one means nothing here. From general knowledge. */
const FILE_ID = /^file_/

/** What a block becomes in a Messages request; null drops it. */
export function fitBlock(
  block: Block,
  role: 'user' | 'assistant',
  options: RenderOptions,
): Block | null {
  const { losses } = options
  switch (block.type) {
    case 'text':
    case 'refusal':
      return fitText(block, options)
    case 'thinking':
      return fitThinking(block, options)
    case 'audio':
      throw notCarried('audio')
    case 'image':
      if (block.detail !== null && block.detail !== 'auto') losses.add('image.detail')
      return fitMedia(block, role, options)
    case 'document':
      return fitMedia(block, role, options)
    case 'tool_call':
      return fitCall(block, options)
    case 'tool_result':
      return fitResult(block)
  }
}

/** Only users show pictures. */
function fitMedia(
  block: Extract<Block, { type: 'image' | 'document' }>,
  role: 'user' | 'assistant',
  { losses }: RenderOptions,
): Block | null {
  checkSource(block.source)
  if (role === 'user') return block
  losses.add(`messages[].${block.type}`)
  return null
}

function fitResult(block: ToolResultBlock): Block {
  for (const part of block.content) if (part.type !== 'text') checkSource(part.source)
  return block
}

function checkSource(source: MediaSource): void {
  if (source.kind === 'file' && !FILE_ID.test(source.id)) throw notCarried('file_id')
}

/** JSON of a block that `fitBlock` let pass. */
export function blockJson(block: Block, marks: CacheMarks): string {
  switch (block.type) {
    case 'text':
      return `{"type":"text","text":${JSON.stringify(block.text)}${marks.member(block.cache)}}`
    case 'image':
      return `{"type":"image","source":${sourceJson(block.source)}${marks.member(block.cache)}}`
    case 'document':
      return documentJson(block, marks)
    case 'tool_call':
      return callJson(block, marks)
    case 'tool_result':
      return resultJson(block, marks)
    case 'thinking':
      return thinkingJson(block)
    case 'audio':
    case 'refusal':
      return '{"type":"text","text":"."}'
  }
}

function sourceJson(source: MediaSource): string {
  switch (source.kind) {
    case 'base64':
      return `{"type":"base64","media_type":${JSON.stringify(source.mediaType)},"data":${JSON.stringify(source.data)}}`
    case 'url':
      return `{"type":"url","url":${JSON.stringify(source.url)}}`
    case 'text':
      return `{"type":"text","media_type":"text/plain","data":${JSON.stringify(source.text)}}`
    case 'file':
      return `{"type":"file","file_id":${JSON.stringify(source.id)}}`
  }
}

function documentJson({ source, name, cache }: DocumentBlock, marks: CacheMarks): string {
  const title = name === null ? '' : `,"title":${JSON.stringify(name)}`
  return `{"type":"document","source":${sourceJson(plainSource(source))}${title}${marks.member(cache)}}`
}

/** Bytes of a text are not taken as base64; PDFs are. */
function plainSource(source: MediaSource): MediaSource {
  if (source.kind !== 'base64' || !source.mediaType.startsWith('text/')) return source
  return { kind: 'text', text: Buffer.from(source.data, 'base64').toString('utf8') }
}

function callJson(call: ToolCallBlock, marks: CacheMarks): string {
  return `{"type":"tool_use","id":${JSON.stringify(call.id)},"name":${JSON.stringify(call.name)},"input":${call.input}${marks.member(call.cache)}}`
}

function resultJson(result: ToolResultBlock, marks: CacheMarks): string {
  const parts: string[] = []
  for (const part of result.content) {
    if (part.type !== 'text' || part.text !== '') parts.push(blockJson(part, marks))
  }
  const content = parts.length === 0 ? '' : `,"content":[${parts.join(',')}]`
  const error = result.isError ? ',"is_error":true' : ''
  return `{"type":"tool_result","tool_use_id":${JSON.stringify(result.callId)}${content}${error}${marks.member(result.cache)}}`
}

function thinkingJson({ text, signature, redacted }: ThinkingBlock): string {
  const value = JSON.stringify(signature?.value ?? '')
  if (redacted) return `{"type":"redacted_thinking","data":${value}}`
  return `{"type":"thinking","thinking":${JSON.stringify(text)},"signature":${value}}`
}

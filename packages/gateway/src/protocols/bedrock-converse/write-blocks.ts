import type {
  Block,
  DocumentBlock,
  MediaSource,
  ThinkingBlock,
  ToolResultBlock,
} from '../../contracts/conversation.ts'
import type { RenderOptions } from '../../contracts/dialect.ts'
import { fitCall, fitText, fitThinking, notCarried } from '../translation/fit-blocks.ts'
import type { CachePoints } from './cache-points.ts'

const S3 = 's3://'
/** Formats by media type. @see https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html */
const IMAGE_FORMATS: ReadonlyMap<string, string> = new Map([
  ['image/png', 'png'],
  ['image/jpeg', 'jpeg'],
  ['image/jpg', 'jpeg'],
  ['image/gif', 'gif'],
  ['image/webp', 'webp'],
])
const DOCUMENT_FORMATS: ReadonlyMap<string, string> = new Map([
  ['application/pdf', 'pdf'],
  ['text/csv', 'csv'],
  ['text/html', 'html'],
  ['text/plain', 'txt'],
  ['text/markdown', 'md'],
  ['application/msword', 'doc'],
  ['application/vnd.openxmlformats-officedocument.wordprocessingml.document', 'docx'],
  ['application/vnd.ms-excel', 'xls'],
  ['application/vnd.openxmlformats-officedocument.spreadsheetml.sheet', 'xlsx'],
])
/** What a turn says that holds nothing but documents, which is refused; and what a tool said that said nothing. */
const DOCUMENT_NOTE = '(See the document.)'
const EMPTY_RESULT = '(no output)'

/** What a block becomes in a Converse request; null drops it. */
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
      for (const part of block.content) if (part.type !== 'text') checkMedia(part)
      return block
  }
}

type Media = Extract<Block, { type: 'image' | 'document' }>

/** Only users show pictures. */
function fitMedia(
  block: Media,
  role: 'user' | 'assistant',
  { losses }: RenderOptions,
): Block | null {
  if (role === 'user') {
    checkMedia(block)
    return block
  }
  losses.add(`messages[].${block.type}`)
  return null
}

/** Bedrock fetches nothing but what lies in S3; bytes must be of a format that it names. */
function checkMedia({ type, source }: Media): void {
  if (source.kind === 'file') throw notCarried('file_id')
  if (source.kind === 'url' && !source.url.startsWith(S3)) throw notCarried(`${type}.url`)
  if (source.kind === 'text' && type === 'document') return
  if (formatOf(type, source) === null) throw notCarried(`${type}.media_type`)
}

/** Of a file in S3 by its ending. */
function formatOf(type: Media['type'], source: MediaSource): string | null {
  const formats = type === 'image' ? IMAGE_FORMATS : DOCUMENT_FORMATS
  if (source.kind === 'text') return 'txt'
  if (source.kind === 'base64') {
    const mediaType = source.mediaType.split(';')[0]?.trim().toLowerCase() ?? ''
    return formats.get(mediaType) ?? null
  }
  if (source.kind === 'file') return null
  const ending = /\.([a-z]{2,4})$/i.exec(source.url)?.[1]?.toLowerCase() ?? ''
  const format = ending === 'jpg' ? 'jpeg' : ending
  return [...formats.values()].includes(format) ? format : null
}

/** Names of documents: few characters are allowed, and no name twice in a request. */
export class DocumentNames {
  private readonly taken = new Map<string, number>()

  next(name: string | null): string {
    const plain = (name ?? '')
      .slice(0, 150)
      .replace(/\.[a-z0-9]{2,4}$/i, '')
      .replace(/[^a-zA-Z0-9()[\]-]+/g, ' ')
      .trim()
    const first = plain === '' ? 'document' : plain
    let count = (this.taken.get(first) ?? 0) + 1
    let fitted = count === 1 ? first : `${first} ${count}`
    while (count > 1 && this.taken.has(fitted)) fitted = `${first} ${++count}`
    this.taken.set(first, count)
    this.taken.set(fitted, this.taken.get(fitted) ?? 1)
    return fitted
  }
}

/** JSON of the blocks of one turn, all of which `fitBlock` let pass. */
export function blocksJson(
  blocks: readonly Block[],
  points: CachePoints,
  names: DocumentNames,
): string {
  const parts: string[] = []
  let isBare = false
  let hasText = false
  for (const block of blocks) {
    const cache = 'cache' in block ? block.cache : null
    parts.push(blockJson(block, points, names) + points.behind(cache))
    isBare ||= block.type === 'document'
    hasText ||= block.type === 'text'
  }
  if (isBare && !hasText) parts.push(`{"text":${JSON.stringify(DOCUMENT_NOTE)}}`)
  return parts.join(',')
}

function blockJson(block: Block, points: CachePoints, names: DocumentNames): string {
  switch (block.type) {
    case 'text':
    case 'refusal':
      return `{"text":${JSON.stringify(block.text)}}`
    case 'image':
      return `{"image":{"format":"${formatOf('image', block.source)}","source":${sourceJson(block.source)}}}`
    case 'document':
      return documentJson(block, names)
    case 'tool_call':
      return `{"toolUse":{"toolUseId":${JSON.stringify(block.id)},"name":${JSON.stringify(block.name)},"input":${block.input}}}`
    case 'tool_result':
      return resultJson(block, points, names)
    case 'thinking':
      return reasoningJson(block)
    case 'audio':
      throw notCarried('audio')
  }
}

/** Bytes are base64 in JSON. */
function sourceJson(source: MediaSource): string {
  switch (source.kind) {
    case 'base64':
      return `{"bytes":${JSON.stringify(source.data)}}`
    case 'url':
      return `{"s3Location":{"uri":${JSON.stringify(source.url)}}}`
    case 'text':
      return `{"bytes":"${Buffer.from(source.text).toString('base64')}"}`
    case 'file':
      throw notCarried('file_id')
  }
}

function documentJson({ source, name }: DocumentBlock, names: DocumentNames): string {
  const format = formatOf('document', source)
  const title = JSON.stringify(names.next(name))
  return `{"document":{"format":"${format}","name":${title},"source":${sourceJson(source)}}}`
}

function resultJson(result: ToolResultBlock, points: CachePoints, names: DocumentNames): string {
  const parts: string[] = []
  for (const part of result.content) {
    points.inside(part.cache)
    if (part.type !== 'text' || part.text.trim() !== '') {
      parts.push(blockJson(part, points, names))
    }
  }
  if (parts.length === 0) parts.push(`{"text":"${EMPTY_RESULT}"}`)
  const status = result.isError ? ',"status":"error"' : ''
  return `{"toolResult":{"toolUseId":${JSON.stringify(result.callId)},"content":[${parts.join(',')}]${status}}}`
}

function reasoningJson({ text, signature, redacted }: ThinkingBlock): string {
  const value = JSON.stringify(signature?.value ?? '')
  const inner = redacted
    ? `"redactedContent":${value}`
    : `"reasoningText":{"text":${JSON.stringify(text)},"signature":${value}}`
  return `{"reasoningContent":{${inner}}}`
}

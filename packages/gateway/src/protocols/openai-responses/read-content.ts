import type {
  AudioBlock,
  Citation,
  DocumentBlock,
  ImageBlock,
  MediaSource,
  RefusalBlock,
  TextBlock,
} from '../../contracts/conversation.ts'
import type { LossList } from '../../contracts/dialect.ts'
import { isRecord } from '../../lib/is-record.ts'
import { readFileData, readUrl } from '../openai-wire/media.ts'
import {
  CACHE_MEMBERS,
  checkedSource,
  readAudio,
  readCache,
  readCitation,
  textBlock,
} from '../openai-wire/parts.ts'
import {
  asList,
  isStated,
  listUnknown,
  type Members,
  needMembers,
  needText,
  notTranslatable,
  readText,
} from '../openai-wire/values.ts'
import { invalidField } from '../read-body.ts'

export type PartBlock = TextBlock | ImageBlock | DocumentBlock | AudioBlock | RefusalBlock

type PartReader = (part: Members, path: string) => PartBlock

const READERS: ReadonlyMap<string, PartReader> = new Map<string, PartReader>([
  ['input_text', readTextPart],
  ['output_text', readTextPart],
  // What chat clients write, and OpenAI takes.
  ['text', readTextPart],
  ['input_image', readImage],
  ['input_file', readFile],
  ['input_audio', readAudio],
  ['refusal', (part, path) => ({ type: 'refusal', text: needText(part, 'refusal', path) })],
])

const KNOWN: ReadonlySet<string> = new Set([
  'type',
  'text',
  'refusal',
  'annotations',
  'logprobs',
  'image_url',
  'detail',
  'file_id',
  'file_url',
  'file_data',
  'filename',
  'input_audio',
  ...CACHE_MEMBERS,
])

/** The blocks of a message's content or of a tool's output; empty texts make none. */
export function readContent(
  content: unknown,
  { path, losses }: { readonly path: string; readonly losses: LossList },
): readonly PartBlock[] {
  if (!isStated(content)) return []
  if (typeof content === 'string') return content === '' ? [] : [textBlock(content)]
  if (!Array.isArray(content)) throw invalidField(path, 'must be a string or a list.')
  const blocks: PartBlock[] = []
  for (const [i, part] of content.entries()) {
    const at = `${path}[${i}]`
    const members = needMembers(part, at)
    const { type } = members
    const read = typeof type === 'string' ? READERS.get(type) : undefined
    if (read === undefined) {
      throw notTranslatable(`${at}.type`, 'a target of another protocol cannot take this content.')
    }
    listUnknown(members, KNOWN, { prefix: 'input[].content[].', losses })
    const block = read(members, at)
    if (block.type !== 'text' || block.text !== '') blocks.push(block)
  }
  return blocks
}

function readTextPart(part: Members, path: string): TextBlock {
  const text = needText(part, 'text', `${path}.text`)
  return {
    type: 'text',
    text,
    citations: readAnnotations(part['annotations']),
    cache: readCache(part),
  }
}

/** Citations of pages. Those of files name what only the provider has. */
export function readAnnotations(annotations: unknown): readonly Citation[] {
  return asList(annotations).flatMap((annotation) =>
    isRecord(annotation) && annotation['type'] === 'url_citation' ? [readCitation(annotation)] : [],
  )
}

function readImage(part: Members, path: string): ImageBlock {
  const id = readText(part, 'file_id', `${path}.file_id`)
  const at = `${path}.image_url`
  const source: MediaSource =
    id === null ? checkedSource(readUrl(needText(part, 'image_url', at)), at) : { kind: 'file', id }
  const detail = readText(part, 'detail', `${path}.detail`)
  return { type: 'image', source, detail, cache: readCache(part) }
}

function readFile(part: Members, path: string): DocumentBlock {
  const name = readText(part, 'filename', `${path}.filename`)
  return { type: 'document', source: fileSource(part, path), name, cache: readCache(part) }
}

function fileSource(part: Members, path: string): MediaSource {
  const id = readText(part, 'file_id', `${path}.file_id`)
  if (id !== null) return { kind: 'file', id }
  const url = readText(part, 'file_url', `${path}.file_url`)
  if (url !== null) return checkedSource(readUrl(url), `${path}.file_url`)
  const at = `${path}.file_data`
  return checkedSource(readFileData(needText(part, 'file_data', at)), at)
}

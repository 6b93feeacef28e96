import type {
  AudioBlock,
  CacheHint,
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
  asList,
  isStated,
  listUnknown,
  type Members,
  needMembers,
  needText,
  notTranslatable,
  readText,
} from '../openai-wire/values.ts'
import { textOrNull } from '../read-answer.ts'
import { invalidField } from '../read-body.ts'

export type PartBlock = TextBlock | ImageBlock | DocumentBlock | AudioBlock | RefusalBlock

type PartReader = (part: Members, path: string) => PartBlock

/** What each type of part may hold besides `type` and its cache hint; anything else is listed. */
const READERS: ReadonlyMap<string, PartReader> = new Map<string, PartReader>([
  ['text', (part, path) => textBlock(needText(part, 'text', `${path}.text`), readCache(part))],
  ['image_url', readImage],
  ['input_audio', readAudio],
  ['file', readFile],
  ['refusal', (part, path) => ({ type: 'refusal', text: needText(part, 'refusal', path) })],
])
const KNOWN: ReadonlySet<string> = new Set([
  'type',
  'cache_control',
  'prompt_cache_breakpoint',
  ...READERS.keys(),
])

export function textBlock(text: string, cache: CacheHint | null = null): TextBlock {
  return { type: 'text', text, citations: [], cache }
}

/** The blocks of a message's `content`; empty texts make none. */
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
    listUnknown(members, KNOWN, { prefix: 'messages[].content[].', losses })
    const block = read(members, at)
    if (block.type !== 'text' || block.text !== '') blocks.push(block)
  }
  return blocks
}

/** OpenAI's own breakpoint, or the one of Messages, which several vendors take here too. */
export function readCache(members: Members): CacheHint | null {
  const hint = members['prompt_cache_breakpoint'] ?? members['cache_control']
  return isRecord(hint) ? { ttl: textOrNull(hint['ttl']) } : null
}

function readImage(part: Members, path: string): ImageBlock {
  const image = part['image_url']
  const members = typeof image === 'string' ? { url: image } : needMembers(image, path)
  const source = readUrl(needText(members, 'url', `${path}.image_url.url`))
  return {
    type: 'image',
    source: checked(source, `${path}.image_url.url`),
    detail: readText(members, 'detail', `${path}.image_url.detail`),
    cache: readCache(part),
  }
}

function readAudio(part: Members, path: string): AudioBlock {
  const at = `${path}.input_audio`
  const audio = needMembers(part['input_audio'], at)
  return {
    type: 'audio',
    data: needText(audio, 'data', `${at}.data`),
    format: needText(audio, 'format', `${at}.format`),
  }
}

function readFile(part: Members, path: string): DocumentBlock {
  const at = `${path}.file`
  const file = needMembers(part['file'], at)
  const id = readText(file, 'file_id', `${at}.file_id`)
  const source: MediaSource =
    id === null
      ? checked(readFileData(needText(file, 'file_data', `${at}.file_data`)), `${at}.file_data`)
      : { kind: 'file', id }
  const name = readText(file, 'filename', `${at}.filename`)
  return { type: 'document', source, name, cache: readCache(part) }
}

function checked(source: MediaSource | null, path: string): MediaSource {
  if (source === null) throw invalidField(path, 'is no valid data URL.')
  return source
}

/** `url_citation` annotations of an assistant's text. Other kinds are not of another protocol's world. */
export function readAnnotations(annotations: unknown): readonly Citation[] {
  return asList(annotations).flatMap((annotation) => {
    const citation = isRecord(annotation) ? annotation['url_citation'] : null
    return isRecord(citation) ? [readCitation(citation)] : []
  })
}

function readCitation(citation: Members): Citation {
  return {
    url: textOrNull(citation['url']),
    title: textOrNull(citation['title']),
    citedText: textOrNull(citation['content']),
    start: offset(citation['start_index']),
    end: offset(citation['end_index']),
  }
}

function offset(value: unknown): number | null {
  return typeof value === 'number' ? value : null
}

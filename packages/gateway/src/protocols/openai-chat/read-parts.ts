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

/** What each type of part may hold besides `type` and its cache hint; anything else is listed. */
const READERS: ReadonlyMap<string, PartReader> = new Map<string, PartReader>([
  ['text', (part, path) => textBlock(needText(part, 'text', `${path}.text`), readCache(part))],
  ['image_url', readImage],
  ['input_audio', readAudio],
  ['file', readFile],
  ['refusal', (part, path) => ({ type: 'refusal', text: needText(part, 'refusal', path) })],
])
const KNOWN: ReadonlySet<string> = new Set(['type', ...CACHE_MEMBERS, ...READERS.keys()])

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

function readImage(part: Members, path: string): ImageBlock {
  const image = part['image_url']
  const members = typeof image === 'string' ? { url: image } : needMembers(image, path)
  const source = readUrl(needText(members, 'url', `${path}.image_url.url`))
  return {
    type: 'image',
    source: checkedSource(source, `${path}.image_url.url`),
    detail: readText(members, 'detail', `${path}.image_url.detail`),
    cache: readCache(part),
  }
}

function readFile(part: Members, path: string): DocumentBlock {
  const at = `${path}.file`
  const file = needMembers(part['file'], at)
  const id = readText(file, 'file_id', `${at}.file_id`)
  const source: MediaSource =
    id === null
      ? checkedSource(
          readFileData(needText(file, 'file_data', `${at}.file_data`)),
          `${at}.file_data`,
        )
      : { kind: 'file', id }
  const name = readText(file, 'filename', `${at}.filename`)
  return { type: 'document', source, name, cache: readCache(part) }
}

/** `url_citation` annotations of an assistant's text. Other kinds are not of another protocol's world. */
export function readAnnotations(annotations: unknown): readonly Citation[] {
  return asList(annotations).flatMap((annotation) => {
    const citation = isRecord(annotation) ? annotation['url_citation'] : null
    return isRecord(citation) ? [readCitation(citation)] : []
  })
}

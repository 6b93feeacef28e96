import type {
  AudioBlock,
  DocumentBlock,
  ImageBlock,
  MediaSource,
} from '../../contracts/conversation.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { invalidField } from '../read-body.ts'
import { textOrNull } from '../read-answer.ts'

type Members = Readonly<Record<string, unknown>>
export type MediaBlock = ImageBlock | DocumentBlock | AudioBlock

/** Files of Google's own stores: only its providers can open them. */
const GOOGLE_FILE = /^gs:|^https:\/\/[a-z-]*generativelanguage\.googleapis\.com\//
const VIDEO_PAGE = /^https?:\/\/(?:www\.|m\.)?(?:youtube\.com|youtu\.be)\//

/** How this protocol's audio types are called elsewhere. */
const AUDIO_FORMATS: ReadonlyMap<string, string> = new Map([
  ['audio/mpeg', 'mp3'],
  ['audio/x-wav', 'wav'],
])

/** By the ending of a URL, because this protocol wants a type and others state none. */
const TYPES: ReadonlyMap<string, string> = new Map([
  ['png', 'image/png'],
  ['jpg', 'image/jpeg'],
  ['jpeg', 'image/jpeg'],
  ['webp', 'image/webp'],
  ['gif', 'image/gif'],
  ['heic', 'image/heic'],
  ['heif', 'image/heif'],
  ['pdf', 'application/pdf'],
  ['txt', 'text/plain'],
  ['md', 'text/markdown'],
  ['csv', 'text/csv'],
  ['html', 'text/html'],
  ['json', 'application/json'],
])

/** `inlineData` of a request or an answer. */
export function readInlineData(data: Members, at: string): MediaBlock {
  const mediaType = textOrNull(data['mimeType'])
  const bytes = textOrNull(data['data'])
  if (mediaType === null || bytes === null) throw invalidField(at, 'must have mimeType and data.')
  const name = textOrNull(data['displayName'])
  return mediaBlock({ kind: 'base64', mediaType, data: bytes }, { mediaType, name, at })
}

export function readFileData(data: Members, at: string): MediaBlock {
  const uri = textOrNull(data['fileUri'])
  if (uri === null) throw invalidField(at, 'must have a fileUri.')
  const stated = textOrNull(data['mimeType'])
  if (VIDEO_PAGE.test(uri)) throw notTranslatable(at, 'videos')
  const told = typeOfUrl(uri)
  const mediaType = stated ?? told
  const source: MediaSource = GOOGLE_FILE.test(uri)
    ? { kind: 'file', id: uri }
    : { kind: 'url', url: uri, mediaType: mediaType === told ? null : mediaType }
  return mediaBlock(source, {
    mediaType: mediaType ?? '',
    name: textOrNull(data['displayName']),
    at,
  })
}

function mediaBlock(
  source: MediaSource,
  {
    mediaType,
    name,
    at,
  }: { readonly mediaType: string; readonly name: string | null; readonly at: string },
): MediaBlock {
  const kind = mediaType.toLowerCase().split('/')[0]
  if (kind === 'image') return { type: 'image', source, detail: null, cache: null }
  if (kind === 'video') throw notTranslatable(at, 'videos')
  if (kind !== 'audio') return { type: 'document', source, name, cache: null }
  if (source.kind !== 'base64') throw notTranslatable(at, 'audio files by their address')
  const type = mediaType.toLowerCase()
  return { type: 'audio', data: source.data, format: AUDIO_FORMATS.get(type) ?? type.slice(6) }
}

function notTranslatable(param: string, what: string): GatewayError {
  return new GatewayError(
    'not_translatable',
    `${param}: ${what} cannot be carried to the target.`,
    {
      details: { param },
    },
  )
}

/** A part for a provider, without braces. Throws when the target cannot be given what is meant. */
export function mediaJson(block: MediaBlock): string {
  if (block.type === 'audio') return inlineJson(`audio/${block.format}`, block.data)
  const { source } = block
  switch (source.kind) {
    case 'base64':
      return inlineJson(source.mediaType, source.data)
    case 'text':
      return inlineJson('text/plain', Buffer.from(source.text).toString('base64'))
    case 'url': {
      const usual = block.type === 'image' ? 'image/jpeg' : 'application/pdf'
      return fileJson(source.url, source.mediaType ?? typeOfUrl(source.url) ?? usual)
    }
    case 'file':
      if (GOOGLE_FILE.test(source.id)) return fileJson(source.id, typeOfUrl(source.id))
      throw notTranslatable(block.type, 'a file id of another provider')
  }
}

function inlineJson(mimeType: string, data: string): string {
  return `"inlineData":{"mimeType":${JSON.stringify(mimeType)},"data":${JSON.stringify(data)}}`
}

function fileJson(uri: string, mimeType: string | null): string {
  const type = mimeType === null ? '' : `"mimeType":${JSON.stringify(mimeType)},`
  return `"fileData":{${type}"fileUri":${JSON.stringify(uri)}}`
}

function typeOfUrl(url: string): string | null {
  const path = url.split(/[?#]/, 1)[0] ?? ''
  const ending = path.slice(path.lastIndexOf('.') + 1).toLowerCase()
  return TYPES.get(ending) ?? null
}

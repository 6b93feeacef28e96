import type { MediaSource } from '../../contracts/conversation.ts'

const BASE64 = ';base64'
const PDF = 'application/pdf'

/** A URL as a source: data URLs hold the media themselves. Null when a data URL is broken. */
export function readUrl(url: string): MediaSource | null {
  if (!url.startsWith('data:')) return { kind: 'url', url, mediaType: null }
  const comma = url.indexOf(',')
  if (comma === -1) return null
  const head = url.slice('data:'.length, comma)
  const mediaType = head.split(';', 1)[0] ?? ''
  if (head.endsWith(BASE64)) return { kind: 'base64', mediaType, data: url.slice(comma + 1) }
  const text = decode(url.slice(comma + 1))
  return text === null ? null : { kind: 'text', text }
}

/** File data is a data URL, bare base64 (of a PDF, as OpenAI takes no other) or, at some vendors, an address. */
export function readFileData(data: string): MediaSource | null {
  if (data.startsWith('data:') || data.startsWith('https:') || data.startsWith('http:')) {
    return readUrl(data)
  }
  return { kind: 'base64', mediaType: PDF, data }
}

/** The URL of a source; null when it has none. */
export function urlOf(source: MediaSource): string | null {
  if (source.kind === 'url') return source.url
  return source.kind === 'base64' ? `data:${source.mediaType};base64,${source.data}` : null
}

/** The text of a document that is text; null for other documents. */
export function textOfDocument(source: MediaSource): string | null {
  if (source.kind === 'text') return source.text
  if (source.kind !== 'base64' || !source.mediaType.startsWith('text/')) return null
  return Buffer.from(source.data, 'base64').toString('utf8')
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

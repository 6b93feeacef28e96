import type { Citation } from '../../contracts/conversation.ts'
import { isRecord } from '../../lib/is-record.ts'
import { textOrNull } from '../read-answer.ts'

/** A citation of the answer, and the part that cites. */
export type PlacedCitation = { readonly part: number; readonly citation: Citation }

/**
 * Where the texts of a candidate come from: its grounding, and what it recites.
 *
 * `textOf`: the text of a part; offsets of this protocol are bytes in it, ours are UTF-16 units.
 * @see https://ai.google.dev/api/generate-content#GroundingMetadata (fields as in the official client 3.1, read 2026-11-21)
 */
export function readCitations(
  candidate: Readonly<Record<string, unknown>>,
  textOf: (part: number) => string,
): readonly PlacedCitation[] {
  const placed: PlacedCitation[] = []
  const offsets = new Map<number, (byte: number) => number>()
  const unit = (part: number, byte: unknown): number | null => {
    if (typeof byte !== 'number') return null
    let convert = offsets.get(part)
    if (convert === undefined) {
      convert = unitsOf(textOf(part))
      offsets.set(part, convert)
    }
    return convert(byte)
  }
  const grounding = candidate['groundingMetadata']
  if (isRecord(grounding)) addGrounding(placed, grounding, unit)
  const recited = candidate['citationMetadata']
  const sources = isRecord(recited) ? (recited['citations'] ?? recited['citationSources']) : null
  for (const source of recordsOf(sources)) {
    const { startIndex = 0, endIndex } = source
    placed.push({
      part: 0,
      citation: {
        url: textOrNull(source['uri']),
        title: textOrNull(source['title']),
        citedText: null,
        start: unit(0, startIndex),
        end: unit(0, endIndex),
      },
    })
  }
  return placed
}

type Unit = (part: number, byte: unknown) => number | null
type Source = Pick<Citation, 'url' | 'title' | 'citedText'>

function addGrounding(
  placed: PlacedCitation[],
  grounding: Record<string, unknown>,
  unit: Unit,
): void {
  const sources = recordsOf(grounding['groundingChunks']).map(sourceOf)
  for (const support of recordsOf(grounding['groundingSupports'])) {
    const segment = isRecord(support['segment']) ? support['segment'] : {}
    const part = typeof segment['partIndex'] === 'number' ? segment['partIndex'] : 0
    const indices = support['groundingChunkIndices']
    for (const index of Array.isArray(indices) ? indices : []) {
      const source = typeof index === 'number' ? sources[index] : undefined
      if (source === undefined) continue
      const start = unit(part, segment['startIndex'] ?? 0)
      placed.push({ part, citation: { ...source, start, end: unit(part, segment['endIndex']) } })
    }
  }
}

/** A page, a document of a search of the operator's own, or a place on a map. */
function sourceOf(chunk: Record<string, unknown>): Source {
  const about = chunk['web'] ?? chunk['retrievedContext'] ?? chunk['maps']
  const source = isRecord(about) ? about : {}
  const isPage = about === chunk['web']
  return {
    url: textOrNull(source['uri']),
    title: textOrNull(source['title']),
    citedText: isPage ? null : textOrNull(source['text']),
  }
}

function recordsOf(value: unknown): readonly Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isRecord) : []
}

/** From bytes to UTF-16 units. Linear in the text, whatever is asked. */
function unitsOf(text: string): (byte: number) => number {
  const length = Buffer.byteLength(text)
  if (length === text.length) return (byte) => Math.max(0, Math.min(byte, length))
  const units = new Uint32Array(length + 1)
  let byte = 0
  let unit = 0
  for (const letter of text) {
    units.fill(unit, byte, byte + Buffer.byteLength(letter))
    byte += Buffer.byteLength(letter)
    unit += letter.length
  }
  units[length] = unit
  return (at) => units[Math.max(0, Math.min(Math.trunc(at), length))] ?? unit
}

/** A text that cites, for `groundingJson`. */
export type CitingText = { readonly text: string; readonly citations: readonly Citation[] }

/** `groundingMetadata` of an answer, as JSON; null when nothing is cited. `texts`: by the index of their part. */
export function groundingJson(texts: ReadonlyMap<number, CitingText>): string | null {
  const chunks = new Map<string, number>()
  const supports: string[] = []
  for (const [partIndex, { text, citations }] of texts) {
    const bytes = bytesOf(text)
    for (const citation of citations) {
      const chunk = chunkJson(citation)
      const index = chunks.get(chunk) ?? chunks.size
      chunks.set(chunk, index)
      const { start, end } = citation
      const segment = {
        partIndex,
        ...(start === null ? {} : { startIndex: bytes(start) }),
        ...(end === null ? {} : { endIndex: bytes(end) }),
        ...(start === null || end === null ? {} : { text: text.slice(start, end) }),
      }
      supports.push(`{"segment":${JSON.stringify(segment)},"groundingChunkIndices":[${index}]}`)
    }
  }
  if (supports.length === 0) return null
  const list = [...chunks.keys()].join(',')
  return `{"groundingChunks":[${list}],"groundingSupports":[${supports.join(',')}]}`
}

function chunkJson({ url, title, citedText }: Citation): string {
  const source = {
    ...(url === null ? {} : { uri: url }),
    ...(title === null ? {} : { title }),
    ...(citedText === null ? {} : { text: citedText }),
  }
  return JSON.stringify(
    url !== null && citedText === null ? { web: source } : { retrievedContext: source },
  )
}

/** From UTF-16 units to bytes. */
function bytesOf(text: string): (unit: number) => number {
  const { length } = text
  if (Buffer.byteLength(text) === length) return (unit) => Math.max(0, Math.min(unit, length))
  const bytes = new Uint32Array(length + 1)
  let unit = 0
  let byte = 0
  for (const letter of text) {
    bytes.fill(byte, unit, unit + letter.length)
    unit += letter.length
    byte += Buffer.byteLength(letter)
  }
  bytes[length] = byte
  return (at) => bytes[Math.max(0, Math.min(at, length))] ?? byte
}

import type { ByteEdit } from '../../contracts/envelope.ts'
import type { BodyText } from '../../contracts/protocol.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { placedText } from '../../lib/json-strings.ts'
import { type DirectiveEntry, findDirectives, type FoundDirectives } from './parse-directives.ts'

/** What was found in a body: what to cut, and what users said, in the order of the body. */
export type StrippedTexts = {
  readonly edits: readonly ByteEdit[]
  readonly entries: readonly DirectiveEntry[]
  readonly ignored: readonly string[]
}

/** Markers inside of markers, which no client has. */
const MAX_NESTED = 16
/** The beginning of a marker, in whichever spelling of JSON. */
const BEGINNING = /(?:@|\\u0040){2}(?:t|\\u00[57]4)/i

/** Whether a marker may stand in a body. Cheap. */
export function mayHoldDirectives(body: Buffer): boolean {
  return body.includes('@@') || body.includes('\\u0040')
}

/** Only what a user wrote is followed; a marker is cut out of every text. Throws `invalid_request`. */
export function stripDirectives(body: Buffer, texts: readonly BodyText[]): StrippedTexts {
  const edits: ByteEdit[] = []
  const entries: DirectiveEntry[] = []
  const ignored: string[] = []
  for (const text of texts) {
    if (!BEGINNING.test(body.toString('latin1', text.start, text.end))) continue
    const found = stripText(body, text)
    for (const edit of found.edits) edits.push(edit)
    if (!text.fromUser) continue
    for (const entry of found.entries) entries.push(entry)
    for (const one of found.ignored) ignored.push(one)
  }
  return { edits, entries, ignored }
}

/** Until no marker is left: what is cut may bring the halves of another one together. */
function stripText(body: Buffer, { start, end }: BodyText): StrippedTexts {
  const whole = placedText(body, start, end)
  const entries: DirectiveEntry[] = []
  const ignored: string[] = []
  let { text, places } = whole
  for (let round = 0; ; round++) {
    const found = findDirectives(text)
    if (found.cuts.length === 0) break
    if (round === MAX_NESTED) throw nestedTooDeep()
    for (const entry of found.entries) entries.push(entry)
    for (const one of found.ignored) ignored.push(one)
    ;({ text, places } = without(text, places, found.cuts))
  }
  return { edits: cutsBetween(whole.places, places), entries, ignored }
}

function without(
  text: string,
  places: Uint32Array,
  cuts: FoundDirectives['cuts'],
): { readonly text: string; readonly places: Uint32Array } {
  const parts: string[] = []
  const kept = new Uint32Array(places.length)
  let size = 0
  let from = 0
  // The end of the text is one more place.
  for (const { start, end } of [...cuts, { start: places.length, end: places.length }]) {
    parts.push(text.slice(from, start))
    kept.set(places.subarray(from, start), size)
    size += start - from
    from = end
  }
  return { text: parts.join(''), places: kept.subarray(0, size) }
}

/** The bytes between those that stay. */
function cutsBetween(all: Uint32Array, kept: Uint32Array): readonly ByteEdit[] {
  const edits: ByteEdit[] = []
  let cutFrom: number | null = null
  let next = 0
  for (const place of all) {
    if (place !== kept[next]) {
      cutFrom ??= place
      continue
    }
    next += 1
    if (cutFrom !== null) edits.push({ start: cutFrom, end: place, text: '' })
    cutFrom = null
  }
  return edits
}

function nestedTooDeep(): GatewayError {
  const problem = 'The request holds directives inside of directives.'
  return new GatewayError('invalid_request', problem)
}

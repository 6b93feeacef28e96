import type { Envelope, Span } from '../contracts/envelope.ts'
import type { Capability, Needs } from '../contracts/routing.ts'
import { isRecord } from '../lib/is-record.ts'

const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const SPACES: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d])
/** What a model wrote for a tool: it may look like anything. */
const WRITTEN: ReadonlySet<string> = new Set(['input', 'arguments', 'args'])

type Members = Readonly<Record<string, unknown>>
type Medium = Extract<Capability, 'vision' | 'audio' | 'documents'>

/** How a protocol says what its requests need. */
export type NeedWords = {
  /** Members that offer tools. */
  readonly tools: readonly string[]
  /** Members that may ask for a schema. */
  readonly formats: readonly string[]
  /** Whether the value of such a member asks for an answer by a schema. */
  readonly asksSchema: (format: Members) => boolean
  /** Members in which media stand. */
  readonly contents: readonly string[]
  /** What an object inside them is; null: no medium. */
  readonly mediumOf: (part: Members) => Medium | null
  /** False: no medium stands in the body. */
  readonly mayHoldMedia: (body: Buffer) => boolean
}

/** Reads the needs of a request from its envelope. Only a body that may hold media is parsed. */
export function needsReader(
  words: NeedWords,
): (body: Buffer, envelope: Envelope) => Omit<Needs, 'streaming'> {
  return (body, envelope) => {
    const media = words.mayHoldMedia(body) ? mediaIn(envelope, words) : NO_MEDIA
    return {
      tools: words.tools.some((name) => holdsItems(body, envelope.members.get(name))),
      json_schema: words.formats.some((name) => {
        const format = objectAt(body, envelope.members.get(name))
        return format !== null && words.asksSchema(format)
      }),
      vision: media.has('vision'),
      audio: media.has('audio'),
      documents: media.has('documents'),
    }
  }
}

const NO_MEDIA: ReadonlySet<Medium> = new Set()

function mediaIn(envelope: Envelope, { contents, mediumOf }: NeedWords): ReadonlySet<Medium> {
  const values = envelope.values()
  const found = new Set<Medium>()
  const look = (value: unknown): void => {
    if (Array.isArray(value)) return value.forEach(look)
    if (!isRecord(value)) return
    const medium = mediumOf(value)
    if (medium !== null) found.add(medium)
    for (const name in value) if (!WRITTEN.has(name)) look(value[name])
  }
  for (const name of contents) look(values[name])
  return found
}

/** A list that is not empty, or one element alone. */
function holdsItems(body: Buffer, span: Span | undefined): boolean {
  if (span === undefined) return false
  if (body[span.start] !== OPEN_ARRAY) return body[span.start] === OPEN_OBJECT
  let at = span.start + 1
  while (SPACES.has(body[at] ?? 0)) at += 1
  return body[at] !== CLOSE_ARRAY
}

function objectAt(body: Buffer, span: Span | undefined): Members | null {
  if (span === undefined || body[span.start] !== OPEN_OBJECT) return null
  const value: unknown = JSON.parse(body.toString('utf8', span.start, span.end))
  return isRecord(value) ? value : null
}

/** `{type: json_schema}`, as three of the protocols say it. */
export function isSchemaFormat(format: unknown): boolean {
  return isRecord(format) && format['type'] === 'json_schema'
}

/** By the `type` of a part. */
export function mediumByType(
  types: Readonly<Record<string, Medium>>,
): (part: Members) => Medium | null {
  return (part) => {
    const { type } = part
    return typeof type === 'string' && Object.hasOwn(types, type) ? (types[type] ?? null) : null
  }
}

import type { CapSlot, Envelope, Span } from '../../contracts/envelope.ts'
import { scanJsonObject } from '../../lib/json-scan.ts'
import {
  checkModelName,
  invalidField,
  parseBody,
  readCount,
  readJsonBody,
  readOutputCap,
  type ReadBody,
} from '../read-body.ts'
import { toSnake, twice } from './spelling.ts'

const OPEN_OBJECT = 0x7b
const OPEN_ARRAY = 0x5b
/** The first byte of `null`, which is as good as absent. */
const NULL_START = 0x6e
/** Google's own maximum for `candidateCount`; from general knowledge. */
const MAX_CANDIDATES = 8
const NAME_PREFIX = 'models/'
/** The body was checked before. */
const INNER_SCAN = { maxDepth: Infinity, refuseDuplicateKeys: false, watch: null } as const

/** Members that decide what is read, allowed or reserved: none may stand there in two spellings. */
const GUARDED = [
  'systemInstruction',
  'generationConfig',
  'cachedContent',
  'toolConfig',
  'safetySettings',
  'generateContentRequest',
].map((camel) => ({ camel, snake: toSnake(camel) }))

export type Asked = {
  /** The model of the path. */
  readonly model: string
  readonly stream: boolean
}

/** A request to generate. Throws `malformed_json` or `invalid_request`. Hot. */
export function readGenerateEnvelope(bytes: Buffer, maxDepth: number, asked: Asked): Envelope {
  const body = readJsonBody(bytes, maxDepth, null)
  checkModelName(asked.model)
  checkSpellings(body)
  checkContents(body)
  const config = readConfig(body)
  return {
    ...asked,
    modelSpan: bodyModel(body, body.members.get('model'), asked.model),
    ...config,
    streamUsage: true,
    members: body.members,
    membersEndAt: body.membersEndAt,
    sizeBytes: bytes.length,
    values: () => parseBody(bytes),
  }
}

/** A request to count tokens: contents alone, or a whole request to generate inside. */
export function readCountEnvelope(bytes: Buffer, maxDepth: number, model: string): Envelope {
  const body = readJsonBody(bytes, maxDepth, null)
  checkModelName(model)
  checkSpellings(body)
  const inner = objectAt(body, 'generateContentRequest')
  if (inner === null) checkContents(body)
  const innerModel = inner === null ? undefined : inner.members.get('model')
  return {
    model,
    modelSpan: bodyModel(body, innerModel ?? body.members.get('model'), model),
    stream: false,
    maxOutputTokens: 0,
    maxOutputSpans: [],
    choices: 1,
    streamUsage: true,
    members: body.members,
    membersEndAt: body.membersEndAt,
    sizeBytes: bytes.length,
    values: () => parseBody(bytes),
  }
}

function checkSpellings(body: ReadBody): void {
  for (const { camel, snake } of GUARDED) {
    if (body.members.has(snake) && body.members.has(camel)) throw twice(camel)
  }
}

function checkContents({ bytes, members }: ReadBody): void {
  const span = members.get('contents')
  if (span === undefined) throw invalidField('contents', 'is required.')
  const first = bytes[span.start]
  if (first === OPEN_OBJECT) return
  if (first !== OPEN_ARRAY) throw invalidField('contents', 'must be a list.')
  if (isEmptyList(bytes, span)) throw invalidField('contents', 'must not be empty.')
}

function isEmptyList(bytes: Buffer, { start, end }: Span): boolean {
  for (let at = start + 1; at < end - 1; at++) {
    const byte = bytes[at] ?? 0
    if (byte > 0x20) return false
  }
  return true
}

/**
 * The path names the model. A body that names it too (the count of a whole request must) has to name the same one, and is
 * renamed with it.
 */
function bodyModel(body: ReadBody, span: Span | undefined, model: string): Span | null {
  if (span === undefined || body.bytes[span.start] === NULL_START) return null
  const named: unknown = JSON.parse(body.bytes.toString('utf8', span.start, span.end))
  if (named !== model && named !== NAME_PREFIX + model) {
    throw invalidField('model', 'must be the model of the path.')
  }
  return span
}

type Config = Pick<Envelope, 'maxOutputTokens' | 'maxOutputSpans' | 'choices' | 'capSlot'>

const NO_CONFIG: Config = { maxOutputTokens: null, maxOutputSpans: [], choices: 1 }

function readConfig(body: ReadBody): Config {
  const span = memberSpan(body, 'generationConfig')
  if (span === undefined) return NO_CONFIG
  const config = objectAt(body, 'generationConfig')
  if (config === null) return { ...NO_CONFIG, capSlot: wholeSlot(span) }
  const cap = readOutputCap(config, ['maxOutputTokens', 'max_output_tokens'])
  if (cap.spans.length > 1) throw twice('generationConfig.maxOutputTokens')
  const choices = readCount(config, 'candidateCount', MAX_CANDIDATES)
  const spelled = readCount(config, 'candidate_count', MAX_CANDIDATES)
  if (choices !== null && spelled !== null) throw twice('generationConfig.candidateCount')
  return {
    maxOutputTokens: cap.tokens,
    maxOutputSpans: cap.spans,
    choices: choices ?? spelled ?? 1,
    capSlot: config.members.size === 0 ? wholeSlot(span) : slotBehind(config.membersEndAt),
  }
}

function wholeSlot(span: Span): CapSlot {
  return { ...span, before: '{"maxOutputTokens":', after: '}' }
}

function slotBehind(at: number): CapSlot {
  return { start: at, end: at, before: ',"maxOutputTokens":', after: '' }
}

function memberSpan({ members }: ReadBody, camel: string): Span | undefined {
  return members.get(camel) ?? members.get(toSnake(camel))
}

/** A member that is an object, with where its own members stand; null when it is absent or null. */
function objectAt(body: ReadBody, camel: string): ReadBody | null {
  const span = memberSpan(body, camel)
  if (span === undefined || body.bytes[span.start] === NULL_START) return null
  if (body.bytes[span.start] !== OPEN_OBJECT) throw invalidField(camel, 'must be an object.')
  return { ...scanJsonObject(body.bytes, INNER_SCAN, span.start, span.end), bytes: body.bytes }
}

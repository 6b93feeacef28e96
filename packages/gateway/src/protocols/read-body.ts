import { isUtf8 } from 'node:buffer'
import type { Span } from '../contracts/envelope.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import { isRecord } from '../lib/is-record.ts'
import { type JsonScan, JsonScanError, type JsonWatch, scanJsonObject } from '../lib/json-scan.ts'

const MAX_MODEL_CHARS = 256
/** With every character escaped. */
const MAX_MODEL_BYTES = MAX_MODEL_CHARS * 6 + 2
const QUOTE = 0x22
const OPEN_ARRAY = 0x5b
/** No provider gives more than this; above it a number is a mistake or an attack on a reservation. */
const MAX_OUTPUT_TOKENS = 100_000_000

/** Members that decide what is allowed, spent or reserved. No other spelling of them may stand beside. */
const GUARDED: ReadonlySet<string> = new Set([
  'model',
  'messages',
  'input',
  'system',
  'tools',
  'stream',
  'stream_options',
  'max_tokens',
  'max_completion_tokens',
  'max_output_tokens',
  'instructions',
  'n',
  'prompt',
  'best_of',
])

/** A request body, checked, with where its top-level members stand in the bytes. */
export type ReadBody = JsonScan & { readonly bytes: Buffer }

/** Checks a body once. Throws `malformed_json` with the place and without any of the content. Hot. */
export function readJsonBody(bytes: Buffer, maxDepth: number, watch: JsonWatch | null): ReadBody {
  if (!isUtf8(bytes)) throw new GatewayError('malformed_json', 'The body is not valid UTF-8.')
  try {
    const scan = scanJsonObject(bytes, { maxDepth, refuseDuplicateKeys: true, watch })
    checkNames(scan.members)
    const { members, membersEndAt, watched, unwatched } = scan
    return { members, membersEndAt, watched, unwatched, bytes }
  } catch (thrown) {
    if (thrown instanceof JsonScanError) throw malformed(bytes, thrown.message, thrown.at)
    throw thrown
  }
}

/** The value of a top-level member; undefined when it is absent. */
export function memberValue(body: ReadBody, name: string): unknown {
  const span = body.members.get(name)
  return span === undefined ? undefined : parseSpan(body.bytes, span)
}

/** All values of a checked body. Costly; for what is not asked of every request. */
export function parseBody(bytes: Buffer): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(bytes.toString('utf8'))
  return isRecord(value) ? value : {}
}

function parseSpan(bytes: Buffer, { start, end }: Span): unknown {
  return JSON.parse(bytes.toString('utf8', start, end))
}

/**
 * Some servers match names in any case, and then the last one wins: `"Model"` beside `"model"` would be two models.
 * Upper and lower casing folds what such servers fold, the Kelvin sign and the long s too.
 */
function checkNames(members: ReadonlyMap<string, Span>): void {
  for (const name of members.keys()) {
    if (GUARDED.has(name)) continue
    const folded = name.toUpperCase().toLowerCase()
    if (GUARDED.has(folded)) throw invalidField(folded, 'must be written in lower case.')
  }
}

function malformed(body: Buffer, problem: string, at: number): GatewayError {
  const before = body.subarray(0, at)
  let line = 1
  for (let i = before.indexOf(0x0a); i !== -1; i = before.indexOf(0x0a, i + 1)) line++
  const column = at - (before.lastIndexOf(0x0a) + 1) + 1
  const place = `byte ${at}, line ${line}, column ${column}`
  return new GatewayError('malformed_json', `The body is not valid JSON: ${problem} (${place}).`)
}

/** A refusal of one field. */
export function invalidField(param: string, problem: string): GatewayError {
  return new GatewayError('invalid_request', `${param}: ${problem}`, { details: { param } })
}

export function readModel(body: ReadBody): { model: string; span: Span } {
  const span = body.members.get('model')
  if (span === undefined) throw invalidField('model', 'is required.')
  const model = isShortString(body, span) ? parseSpan(body.bytes, span) : null
  if (typeof model !== 'string') throw invalidField('model', 'must be a non-empty string.')
  checkModelName(model)
  return { model, span }
}

/** Throws when a text cannot be a model's name. */
export function checkModelName(model: string): void {
  if (model === '') throw invalidField('model', 'must be a non-empty string.')
  if (model.length > MAX_MODEL_CHARS) {
    throw invalidField('model', `must be at most ${MAX_MODEL_CHARS} characters.`)
  }
  if (isOddName(model)) {
    throw invalidField('model', 'must be printable ASCII without spaces.')
  }
}

/** Names go into headers, paths and logs. */
function isOddName(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code <= 0x20 || code >= 0x7f) return true
  }
  return false
}

/** A boolean member; absent and null are false. */
export function readFlag(body: ReadBody, name: string): boolean {
  const value = memberValue(body, name)
  if (value === undefined || value === null) return false
  if (typeof value !== 'boolean') throw invalidField(name, 'must be true or false.')
  return value
}

/** A positive integer member; null when absent or null. */
export function readCount(body: ReadBody, name: string, most: number): number | null {
  const value = memberValue(body, name)
  if (value === undefined || value === null) return null
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > most) {
    throw invalidField(name, `must be a whole number from 1 to ${most}.`)
  }
  return value
}

/** The client's cap on output, from the members that may hold it. */
export function readOutputCap(
  body: ReadBody,
  names: readonly string[],
): { tokens: number | null; spans: readonly Span[] } {
  let tokens: number | null = null
  const spans: Span[] = []
  for (const name of names) {
    const span = body.members.get(name)
    if (span === undefined) continue
    tokens = readCount(body, name, MAX_OUTPUT_TOKENS) ?? tokens
    spans.push(span)
  }
  return { tokens, spans }
}

/** Whether a value may be a model's name: a string that is not absurdly long. */
function isShortString({ bytes }: ReadBody, { start, end }: Span): boolean {
  return bytes[start] === QUOTE && end - start <= MAX_MODEL_BYTES
}

/** Asks the scan for the roles. */
export const ROLE_WATCH: JsonWatch = { list: 'messages', member: 'role' }

/** Checks `messages`: a list of objects, each with a role of the protocol. */
export function checkRoles(body: ReadBody, roles: ReadonlySet<string>): void {
  const messages = body.members.get('messages')
  if (messages === undefined) throw invalidField('messages', 'is required.')
  if (body.bytes[messages.start] !== OPEN_ARRAY) throw invalidField('messages', 'must be a list.')
  if (body.unwatched === 0 && body.watched.length === 0) {
    throw invalidField('messages', 'must not be empty.')
  }
  if (body.unwatched > 0) throw invalidField('messages', 'each must be an object with a role.')
  for (const { start, end } of body.watched) {
    if (!isOneOf(roles, body.bytes, start + 1, end - 1)) {
      throw invalidField('messages', `each role must be one of ${[...roles].join(', ')}.`)
    }
  }
}

/** Without making a text of the bytes: a conversation has many. */
function isOneOf(words: ReadonlySet<string>, bytes: Buffer, start: number, end: number): boolean {
  for (const word of words) {
    if (word.length !== end - start) continue
    let i = 0
    while (i < word.length && bytes[start + i] === word.charCodeAt(i)) i++
    if (i === word.length) return true
  }
  return false
}

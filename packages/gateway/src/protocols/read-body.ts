import { isUtf8 } from 'node:buffer'
import type { Span } from '../contracts/envelope.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import { type JsonScan, type JsonWatch, JsonScanError, scanJsonObject } from '../lib/json-scan.ts'

/** What providers accept in practice; far above any real conversation's nesting. */
const MAX_DEPTH = 64
const MAX_MODEL_CHARS = 256
/** No provider gives more than this; above it a number is a mistake or an attack on a reservation. */
const MAX_OUTPUT_TOKENS = 100_000_000

/** Scans a request body. Throws `malformed_json` with the place and without any of the content. */
export function scanBody(body: Buffer, watch: JsonWatch | null): JsonScan {
  if (!isUtf8(body)) throw new GatewayError('malformed_json', 'The body is not valid UTF-8.')
  try {
    return scanJsonObject(body, { maxDepth: MAX_DEPTH, refuseDuplicateKeys: true, watch })
  } catch (thrown) {
    if (!(thrown instanceof JsonScanError)) throw thrown
    throw new GatewayError('malformed_json', describe(body, thrown))
  }
}

function describe(body: Buffer, error: JsonScanError): string {
  const before = body.subarray(0, error.at)
  const lineStart = before.lastIndexOf(0x0a) + 1
  let line = 1
  for (let at = before.indexOf(0x0a); at !== -1; at = before.indexOf(0x0a, at + 1)) line++
  const column = error.at - lineStart + 1
  return `The body is not valid JSON: ${error.message} (byte ${error.at}, line ${line}, column ${column}).`
}

/** A refusal of one field. */
export function invalidField(param: string, problem: string): GatewayError {
  return new GatewayError('invalid_request', `${param}: ${problem}`, { details: { param } })
}

/** The value of a member whose text is short; undefined when the member is absent. */
export function readMember(body: Buffer, scan: JsonScan, name: string): unknown {
  const span = scan.members.get(name)
  return span === undefined ? undefined : parseSpan(body, span)
}

export function parseSpan(body: Buffer, span: Span): unknown {
  return JSON.parse(body.toString('utf8', span.start, span.end))
}

export function readModel(body: Buffer, scan: JsonScan): { model: string; span: Span } {
  const span = scan.members.get('model')
  if (span === undefined) throw invalidField('model', 'is required.')
  const model = body[span.start] === 0x22 ? parseSpan(body, span) : null
  if (typeof model !== 'string' || model === '') {
    throw invalidField('model', 'must be a non-empty string.')
  }
  if (model.length > MAX_MODEL_CHARS) {
    throw invalidField('model', `must be at most ${MAX_MODEL_CHARS} characters.`)
  }
  if (hasControlOrSpace(model)) {
    throw invalidField('model', 'must not hold spaces or control characters.')
  }
  return { model, span }
}

/** Names go into headers, paths and logs. */
function hasControlOrSpace(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code <= 0x20 || (code >= 0x7f && code <= 0xa0)) return true
  }
  return false
}

/** A boolean member; absent and null are false. */
export function readFlag(body: Buffer, scan: JsonScan, name: string): boolean {
  const value = readMember(body, scan, name)
  if (value === undefined || value === null) return false
  if (typeof value !== 'boolean') throw invalidField(name, 'must be true or false.')
  return value
}

/** A positive integer member; null when absent or null. */
export function readCount(body: Buffer, scan: JsonScan, name: string, most: number): number | null {
  const value = readMember(body, scan, name)
  if (value === undefined || value === null) return null
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > most) {
    throw invalidField(name, `must be a whole number from 1 to ${most}.`)
  }
  return value
}

/** The client's cap on output, from every member that may hold it: the largest counts, all are edited. */
export function readOutputCap(
  body: Buffer,
  scan: JsonScan,
  names: readonly string[],
): { tokens: number | null; spans: readonly Span[] } {
  let tokens: number | null = null
  const spans: Span[] = []
  for (const name of names) {
    const cap = readCount(body, scan, name, MAX_OUTPUT_TOKENS)
    const span = scan.members.get(name)
    if (span === undefined) continue
    if (cap !== null) tokens = Math.max(tokens ?? 0, cap)
    spans.push(span)
  }
  return { tokens, spans }
}

/** Checks `messages`: a list of objects, each with a role of the protocol. */
export function checkRoles(body: Buffer, scan: JsonScan, roles: ReadonlySet<string>): void {
  const messages = scan.members.get('messages')
  if (messages === undefined) throw invalidField('messages', 'is required.')
  if (body[messages.start] !== 0x5b) throw invalidField('messages', 'must be a list.')
  if (scan.unwatched > 0) throw invalidField('messages', 'each must be an object with a role.')
  if (scan.watched.length === 0) throw invalidField('messages', 'must not be empty.')
  for (const span of scan.watched) {
    if (!roles.has(body.toString('latin1', span.start + 1, span.end - 1))) {
      throw invalidField('messages', `each role must be one of ${[...roles].join(', ')}.`)
    }
  }
}

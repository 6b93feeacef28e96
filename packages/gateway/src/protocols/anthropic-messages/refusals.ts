import type { ProviderRefusal } from '../../contracts/conversation.ts'
import type { ErrorReply } from '../../contracts/protocol.ts'
import { isRecord } from '../../lib/is-record.ts'
import { parseAnswer, textOrNull } from '../read-answer.ts'
import { errorType, OVERLOADED_STATUS } from './error.ts'
import type { Fields } from './fields.ts'

type Kind = ProviderRefusal['kind']

const MAX_MESSAGE_CHARS = 2000

/** All types of the vendor, with the status that each comes with. As in the official client 1.11, read 2026-11-21. */
const TYPES: ReadonlyMap<unknown, { kind: Kind; status: number }> = new Map([
  ['invalid_request_error', { kind: 'invalid_request', status: 400 }],
  ['authentication_error', { kind: 'authentication', status: 401 }],
  ['billing_error', { kind: 'quota', status: 402 }],
  ['permission_error', { kind: 'permission', status: 403 }],
  ['not_found_error', { kind: 'not_found', status: 404 }],
  ['conflict_error', { kind: 'upstream', status: 409 }],
  ['memory_path_conflict_error', { kind: 'upstream', status: 409 }],
  ['memory_precondition_failed_error', { kind: 'invalid_request', status: 412 }],
  ['request_too_large', { kind: 'too_large', status: 413 }],
  ['rate_limit_error', { kind: 'rate_limit', status: 429 }],
  ['api_error', { kind: 'upstream', status: 500 }],
  ['timeout_error', { kind: 'timeout', status: 504 }],
  ['overloaded_error', { kind: 'overloaded', status: OVERLOADED_STATUS }],
] satisfies [string, { kind: Kind; status: number }][])

/** For bodies that are no error of this protocol: a proxy's page, say. */
const STATUSES: ReadonlyMap<number, Kind> = new Map([
  [400, 'invalid_request'],
  [401, 'authentication'],
  [402, 'quota'],
  [403, 'permission'],
  [404, 'not_found'],
  [408, 'timeout'],
  [413, 'too_large'],
  [422, 'invalid_request'],
  [429, 'rate_limit'],
  [503, 'overloaded'],
  [504, 'timeout'],
  [OVERLOADED_STATUS, 'overloaded'],
] satisfies [number, Kind][])

const WRITTEN_STATUS: Readonly<Record<Kind, number>> = {
  invalid_request: 400,
  context_overflow: 400,
  content_filter: 400,
  authentication: 401,
  quota: 402,
  permission: 403,
  not_found: 404,
  too_large: 413,
  rate_limit: 429,
  internal: 500,
  upstream: 500,
  timeout: 504,
  overloaded: OVERLOADED_STATUS,
}

const OVERFLOW = /prompt is too long|exceed context limit|context window/i
const FILTERED = /content filtering policy/i
/** Counts in messages such as "maximum context length is 128000 tokens … resulted in 130412 tokens". */
const COUNTS = /\d{4,9}/g

export function readRefusal(status: number, body: Buffer): ProviderRefusal {
  return refusalOfError(status, parseAnswer(body) ?? {})
}

/** `status` null: an event inside a stream, whose status was 200. */
export function refusalOfError(status: number | null, answer: Fields): ProviderRefusal {
  const error = isRecord(answer['error']) ? answer['error'] : {}
  const known = TYPES.get(error['type'])
  const kind = known?.kind ?? kindOfStatus(status ?? 500)
  const message = textOrNull(error['message'])?.slice(0, MAX_MESSAGE_CHARS) ?? ''
  return {
    status: status ?? known?.status ?? 500,
    kind: kind === 'invalid_request' ? narrow(message) : kind,
    message: message === '' ? 'The provider gave no reason.' : message,
    code: textOrNull(error['type']),
  }
}

function kindOfStatus(status: number): Kind {
  return STATUSES.get(status) ?? (status >= 500 ? 'upstream' : 'invalid_request')
}

function narrow(message: string): Kind {
  if (OVERFLOW.test(message)) return 'context_overflow'
  return FILTERED.test(message) ? 'content_filter' : 'invalid_request'
}

export function writeRefusal(refusal: ProviderRefusal, requestId: string): ErrorReply {
  return {
    status: WRITTEN_STATUS[refusal.kind],
    headers: { 'request-id': requestId },
    body: refusalBody(refusal, requestId),
  }
}

export function refusalFrame(refusal: ProviderRefusal, requestId: string): string {
  return `event: error\ndata: ${refusalBody(refusal, requestId)}\n\n`
}

function refusalBody({ kind, message }: ProviderRefusal, requestId: string): string {
  const isInvalid = kind === 'context_overflow' || kind === 'content_filter'
  const type = errorType(isInvalid ? 'invalid_request' : kind)
  const text = kind === 'context_overflow' ? overflowMessage(message) : message
  return JSON.stringify({ type: 'error', error: { type, message: text }, request_id: requestId })
}

/** Agents know these words, and shorten the conversation. */
function overflowMessage(message: string): string {
  if (/^prompt is too long/i.test(message)) return message
  const counts = (message.match(COUNTS) ?? []).map(Number)
  const used = Math.max(...counts)
  const most = Math.min(...counts)
  const numbers = counts.length > 1 && used > most ? `${used} tokens > ${most} maximum` : message
  return `prompt is too long: ${numbers}`
}

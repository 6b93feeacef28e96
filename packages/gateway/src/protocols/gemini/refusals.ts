import type { ProviderRefusal } from '../../contracts/conversation.ts'
import type { ErrorReply } from '../../contracts/protocol.ts'
import type { ErrorKind } from '../../errors/gateway-error.ts'
import { isRecord } from '../../lib/is-record.ts'
import { parseJson } from '../kept-frames.ts'
import { textOrNull } from '../read-answer.ts'
import { readRetryDelay } from '../read-retry-delay.ts'
import { errorJson } from './error.ts'
import type { Members } from './members.ts'

const MAX_MESSAGE_CHARS = 2000
/** How Google says that a prompt is too long; from general knowledge. */
const TOO_LONG = /token count .{0,80}exceeds|exceeds the maximum number of tokens/i

/** Google says with 400 what others say with 401; from general knowledge. */
const KEY_REFUSED = /^API key (?:not valid|expired)/

type Kind = ProviderRefusal['kind']

/** @see https://ai.google.dev/gemini-api/docs/troubleshooting and google.rpc.Code (from general knowledge) */
const KINDS: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ['INVALID_ARGUMENT', 'invalid_request'],
  ['FAILED_PRECONDITION', 'invalid_request'],
  ['OUT_OF_RANGE', 'invalid_request'],
  ['UNIMPLEMENTED', 'invalid_request'],
  ['UNAUTHENTICATED', 'authentication'],
  ['PERMISSION_DENIED', 'permission'],
  ['NOT_FOUND', 'not_found'],
  ['RESOURCE_EXHAUSTED', 'rate_limit'],
  ['DEADLINE_EXCEEDED', 'timeout'],
  ['CANCELLED', 'timeout'],
  ['UNAVAILABLE', 'overloaded'],
  ['INTERNAL', 'upstream'],
  ['UNKNOWN', 'upstream'],
])

const KIND_OF_STATUS: ReadonlyMap<number, Kind> = new Map<number, Kind>([
  [401, 'authentication'],
  [403, 'permission'],
  [404, 'not_found'],
  [408, 'timeout'],
  [413, 'too_large'],
  [429, 'rate_limit'],
  [503, 'overloaded'],
  [504, 'timeout'],
  [529, 'overloaded'],
])

export function readRefusal(status: number, body: Buffer): ProviderRefusal {
  const parsed = parseJson(body.toString('utf8'))
  // A stream that was not asked for as events answers with a list.
  const outer: unknown = Array.isArray(parsed) ? parsed[0] : parsed
  const error = isRecord(outer) ? outer['error'] : null
  return refusalOf(isRecord(error) ? error : {}, status)
}

/** `status` null: an error inside a stream, which states its own. */
export function refusalOf(error: Members, status: number | null): ProviderRefusal {
  const stated = error['code']
  const known =
    status ?? (typeof stated === 'number' && stated >= 400 && stated < 600 ? stated : 500)
  const code = textOrNull(error['status'])
  const message = (textOrNull(error['message']) ?? `The provider answered ${known}.`).slice(
    0,
    MAX_MESSAGE_CHARS,
  )
  const retryAfterMs = readRetryDelay(error)
  const kind = KEY_REFUSED.test(message) ? 'authentication' : kindOf(known, code, message)
  const refusal: ProviderRefusal = { status: known, kind, message, code }
  return retryAfterMs === null ? refusal : { ...refusal, retryAfterMs }
}

function kindOf(status: number, code: string | null, message: string): Kind {
  const byStatus = KIND_OF_STATUS.get(status) ?? (status >= 500 ? 'upstream' : 'invalid_request')
  const kind = (code === null ? undefined : KINDS.get(code)) ?? byStatus
  return kind === 'invalid_request' && TOO_LONG.test(message) ? 'context_overflow' : kind
}

/** Google has no status beyond those of HTTP's standard. */
const OVERLOADED_STATUS = 529
const UNAVAILABLE_STATUS = 503

export function writeRefusal(refusal: ProviderRefusal, requestId: string): ErrorReply {
  return { status: statusOf(refusal), headers: {}, body: refusalJson(refusal, requestId) }
}

export function refusalJson(refusal: ProviderRefusal, requestId: string): string {
  const { kind, code, message } = refusal
  const isOwn = kind === 'context_overflow' || kind === 'content_filter'
  const errorKind: ErrorKind = isOwn ? 'invalid_request' : kind
  return errorJson(
    {
      status: statusOf(refusal),
      kind: errorKind,
      message: kind === 'context_overflow' ? overflowMessage(message) : message,
      reason: isOwn ? kind : code,
      param: null,
      retryAfterMs: null,
    },
    requestId,
  )
}

/** Clients of this protocol know a prompt that is too long by these words. */
function overflowMessage(message: string): string {
  if (TOO_LONG.test(message)) return message
  return `The input token count exceeds the maximum number of tokens allowed. ${message}`
}

function statusOf({ status }: ProviderRefusal): number {
  return status === OVERLOADED_STATUS ? UNAVAILABLE_STATUS : status
}

import type { ProviderRefusal } from '../../contracts/conversation.ts'
import { isRecord } from '../../lib/is-record.ts'
import { parseJson } from '../kept-frames.ts'
import { parseAnswer, textOrNull } from '../read-answer.ts'

type Kind = ProviderRefusal['kind']

const MAX_MESSAGE_CHARS = 2000

/** Names of exceptions in lower case: streams begin them with a small letter. From general knowledge of the API's reference. */
const EXCEPTIONS: ReadonlyMap<string, Kind> = new Map([
  ['validationexception', 'invalid_request'],
  ['accessdeniedexception', 'permission'],
  ['unrecognizedclientexception', 'authentication'],
  ['invalidsignatureexception', 'authentication'],
  ['expiredtokenexception', 'authentication'],
  ['missingauthenticationtokenexception', 'authentication'],
  ['resourcenotfoundexception', 'not_found'],
  ['conflictexception', 'upstream'],
  ['modeltimeoutexception', 'timeout'],
  ['modelerrorexception', 'upstream'],
  ['modelstreamerrorexception', 'upstream'],
  ['modelnotreadyexception', 'overloaded'],
  ['throttlingexception', 'rate_limit'],
  ['servicequotaexceededexception', 'quota'],
  ['serviceunavailableexception', 'overloaded'],
  ['internalserverexception', 'upstream'],
] satisfies [string, Kind][])

const STATUSES: ReadonlyMap<number, Kind> = new Map([
  [400, 'invalid_request'],
  [401, 'authentication'],
  [403, 'permission'],
  [404, 'not_found'],
  [408, 'timeout'],
  [413, 'too_large'],
  [429, 'rate_limit'],
  [503, 'overloaded'],
  [504, 'timeout'],
] satisfies [number, Kind][])

/** Of an exception inside a stream, whose status was 200. */
const STREAM_STATUS: Partial<Record<Kind, number>> = {
  invalid_request: 400,
  context_overflow: 400,
  rate_limit: 429,
  overloaded: 503,
  timeout: 504,
}

const OVERFLOW =
  /input is too long|prompt is too long|exceed context limit|too many input tokens|context (?:window|length)/i
const FILTERED = /content filter|guardrail/i

/** The type stands in a header too, which is not read: the body mostly has it, and the status says the rest. */
export function readRefusal(status: number, body: Buffer): ProviderRefusal {
  const error = parseAnswer(body) ?? {}
  const code = exceptionName(textOrNull(error['__type']))
  const kind = EXCEPTIONS.get(code?.toLowerCase() ?? '') ?? kindOfStatus(status)
  return refusal({ status, kind, code, message: error['message'] ?? error['Message'] })
}

/** `data`: JSON with a message, or the message. */
export function refusalOfException(name: string, data: string): ProviderRefusal {
  const error = parseJson(data)
  const message = isRecord(error) ? error['message'] : data
  const kind = EXCEPTIONS.get(name.toLowerCase()) ?? 'upstream'
  return refusal({ status: STREAM_STATUS[kind] ?? 500, kind, code: name, message })
}

function refusal(parts: {
  readonly status: number
  readonly kind: Kind
  readonly code: string | null
  readonly message: unknown
}): ProviderRefusal {
  const message = textOrNull(parts.message)?.slice(0, MAX_MESSAGE_CHARS) ?? ''
  return {
    status: parts.status,
    kind: parts.kind === 'invalid_request' ? narrow(message) : parts.kind,
    message: message === '' ? 'The provider gave no reason.' : message,
    code: parts.code === '' ? null : parts.code,
  }
}

/** `com.amazon.coral.service#ValidationException:http://…`: what stands between. */
function exceptionName(type: string | null): string | null {
  return type === null ? null : (type.split('#').at(-1)?.split(':')[0] ?? null)
}

function kindOfStatus(status: number): Kind {
  return STATUSES.get(status) ?? (status >= 500 || status === 424 ? 'upstream' : 'invalid_request')
}

function narrow(message: string): Kind {
  if (OVERFLOW.test(message)) return 'context_overflow'
  return FILTERED.test(message) ? 'content_filter' : 'invalid_request'
}

import type { ProviderRefusal } from '../../contracts/conversation.ts'
import type { ErrorReply } from '../../contracts/protocol.ts'
import { isRecord } from '../../lib/is-record.ts'
import { parseAnswer, textOrNull } from '../read-answer.ts'
import { readRetryDelay } from '../read-retry-delay.ts'

type Kind = ProviderRefusal['kind']

/** Enough to see what is wrong; a provider may answer a whole page. */
const MAX_MESSAGE_CHARS = 2000

/**
 * Codes and types that say more than the status.
 *
 * @see https://platform.openai.com/docs/guides/error-codes (from general knowledge, not read live)
 */
const KINDS: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ['context_length_exceeded', 'context_overflow'],
  ['content_filter', 'content_filter'],
  ['content_policy_violation', 'content_filter'],
  ['ResponsibleAIPolicyViolation', 'content_filter'],
  ['insufficient_quota', 'quota'],
  ['billing_hard_limit_reached', 'quota'],
  ['billing_not_active', 'quota'],
  ['rate_limit_exceeded', 'rate_limit'],
  ['model_not_found', 'not_found'],
  ['DeploymentNotFound', 'not_found'],
  ['invalid_api_key', 'authentication'],
  ['server_is_overloaded', 'overloaded'],
  ['slow_down', 'overloaded'],
  ['server_error', 'upstream'],
])

const KIND_BY_STATUS: ReadonlyMap<number, Kind> = new Map<number, Kind>([
  [401, 'authentication'],
  [402, 'quota'],
  [403, 'permission'],
  [404, 'not_found'],
  [408, 'timeout'],
  [413, 'too_large'],
  [429, 'rate_limit'],
  [503, 'overloaded'],
  [504, 'timeout'],
  [529, 'overloaded'],
])

type Said = { readonly status: number; readonly type: string; readonly code: string | null }

/** How each kind is said here. `code`: what clients match on, where OpenAI has one. */
const SAID: Readonly<Record<Kind, Said>> = {
  invalid_request: { status: 400, type: 'invalid_request_error', code: null },
  authentication: { status: 401, type: 'invalid_request_error', code: null },
  permission: { status: 403, type: 'permission_error', code: null },
  not_found: { status: 404, type: 'invalid_request_error', code: 'model_not_found' },
  too_large: { status: 413, type: 'invalid_request_error', code: null },
  rate_limit: { status: 429, type: 'rate_limit_exceeded', code: 'rate_limit_exceeded' },
  quota: { status: 429, type: 'insufficient_quota', code: 'insufficient_quota' },
  timeout: { status: 504, type: 'server_error', code: null },
  overloaded: { status: 503, type: 'server_error', code: null },
  upstream: { status: 502, type: 'server_error', code: null },
  internal: { status: 500, type: 'server_error', code: null },
  context_overflow: {
    status: 400,
    type: 'invalid_request_error',
    code: 'context_length_exceeded',
  },
  content_filter: { status: 400, type: 'invalid_request_error', code: 'content_filter' },
}

export function readRefusal(status: number, body: Buffer): ProviderRefusal {
  const answer = parseAnswer(body)
  if (answer === null) return refusalOf(status, { message: body.toString('utf8', 0, 4000) })
  const { error } = answer
  if (isRecord(error)) return refusalOf(status, error)
  return refusalOf(status, typeof error === 'string' ? { ...answer, message: error } : answer)
}

/** What an error object means, of a body or inside a stream. Vendors leave out most members, or put words in others. */
export function refusalOf(
  answered: number,
  error: Readonly<Record<string, unknown>>,
): ProviderRefusal {
  const status = statusOf(answered, error['code'])
  const code = textOrNull(error['code'])
  const type = textOrNull(error['type'])
  const message = messageOf(error)
  const retryAfterMs = readRetryDelay(error)
  const refusal: ProviderRefusal = {
    status,
    kind: kindOf(status, [code, type, innerCode(error)], message),
    message: message === '' ? `The provider answered ${status}.` : message,
    code: code ?? type,
  }
  return retryAfterMs === null ? refusal : { ...refusal, retryAfterMs }
}

/** The error object that says a refusal here, and the status beside it. */
export function sayRefusal(refusal: ProviderRefusal): {
  readonly status: number
  readonly error: {
    readonly message: string
    readonly type: string
    readonly param: null
    readonly code: string | null
  }
} {
  const said = SAID[refusal.kind]
  return {
    status: said.status,
    error: {
      message: refusal.message,
      type: said.type,
      param: null,
      code: said.code ?? refusal.code,
    },
  }
}

export function writeRefusal(refusal: ProviderRefusal): ErrorReply {
  const { status, error } = sayRefusal(refusal)
  return { status, headers: {}, body: JSON.stringify({ error }) }
}

function messageOf(error: Readonly<Record<string, unknown>>): string {
  const words = error['message'] ?? error['detail']
  const message = typeof words === 'string' ? words : JSON.stringify(words ?? '')
  return (message === '""' ? '' : message).slice(0, MAX_MESSAGE_CHARS)
}

/** Azure names its filter one level deeper. */
function innerCode(error: Readonly<Record<string, unknown>>): string | null {
  const inner = error['innererror']
  return isRecord(inner) ? textOrNull(inner['code']) : null
}

/** In a stream some vendors give the status as the code. */
function statusOf(status: number, code: unknown): number {
  return typeof code === 'number' && Number.isInteger(code) && code >= 400 && code <= 599
    ? code
    : status
}

function kindOf(status: number, names: readonly (string | null)[], message: string): Kind {
  for (const name of names) {
    const kind = name === null ? undefined : KINDS.get(name)
    if (kind !== undefined) return kind
  }
  if (status === 400 && tellsOverflow(message)) return 'context_overflow'
  return KIND_BY_STATUS.get(status) ?? (status < 500 ? 'invalid_request' : 'upstream')
}

/** Compatible servers give no code for it. Wordings of vLLM, llama.cpp and OpenAI, from general knowledge. */
function tellsOverflow(message: string): boolean {
  const words = message.toLowerCase()
  return words.includes('maximum context length') || words.includes('context size')
}

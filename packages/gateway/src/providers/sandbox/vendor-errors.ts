import type { Ask } from './ask.ts'

export type VendorError = {
  readonly status: number
  readonly message: string
  readonly param: string | null
  readonly quota: boolean
}

type Shape = { readonly type: string; readonly code: string | null }

/** OpenAI's `type` and `code` by status. Source: platform.openai.com/docs/guides/error-codes, from knowledge. */
const CHAT_SHAPES: ReadonlyMap<number, Shape> = new Map<number, Shape>([
  [400, { type: 'invalid_request_error', code: null }],
  [401, { type: 'invalid_request_error', code: 'invalid_api_key' }],
  [403, { type: 'invalid_request_error', code: 'unsupported_country_region_territory' }],
  [404, { type: 'invalid_request_error', code: 'model_not_found' }],
  [429, { type: 'requests', code: 'rate_limit_exceeded' }],
])

/** Anthropic's `error.type` by status. Source: docs.anthropic.com/en/api/errors, from knowledge. */
const MESSAGES_TYPES: ReadonlyMap<number, string> = new Map([
  [400, 'invalid_request_error'],
  [401, 'authentication_error'],
  [402, 'billing_error'],
  [403, 'permission_error'],
  [404, 'not_found_error'],
  [408, 'timeout_error'],
  [409, 'conflict_error'],
  [413, 'request_too_large'],
  [422, 'invalid_request_error'],
  [429, 'rate_limit_error'],
  [504, 'timeout_error'],
  [529, 'overloaded_error'],
])

/** The error object of an answer, or of an in-band event, in the vendor's own shape. */
export function errorBody(
  protocol: Ask['protocol'],
  error: VendorError,
  requestId: string,
): string {
  if (protocol === 'gemini') return JSON.stringify({ error: googleError(error) })
  if (protocol !== 'anthropic-messages') return JSON.stringify({ error: chatError(error) })
  const type = MESSAGES_TYPES.get(error.status) ?? 'api_error'
  return JSON.stringify({
    type: 'error',
    error: { type: error.quota ? 'billing_error' : type, message: error.message },
    request_id: requestId,
  })
}

function chatError(error: VendorError): Record<string, unknown> {
  const { message, param } = error
  if (error.quota) {
    return { message, type: 'insufficient_quota', param, code: 'insufficient_quota' }
  }
  const fallback = error.status < 500 ? 'invalid_request_error' : 'server_error'
  const shape = CHAT_SHAPES.get(error.status) ?? { type: fallback, code: null }
  return { message, type: shape.type, param, code: shape.code }
}

/** Google's `status` by the number. Source: cloud.google.com/apis/design/errors, from knowledge. */
const GOOGLE_STATUSES: ReadonlyMap<number, string> = new Map([
  [400, 'INVALID_ARGUMENT'],
  [401, 'UNAUTHENTICATED'],
  [403, 'PERMISSION_DENIED'],
  [404, 'NOT_FOUND'],
  [409, 'ABORTED'],
  [429, 'RESOURCE_EXHAUSTED'],
  [500, 'INTERNAL'],
  [503, 'UNAVAILABLE'],
  [504, 'DEADLINE_EXCEEDED'],
])

/** How long to wait stands in the body, not in a header. */
function googleError({ message, quota, status }: VendorError): Record<string, unknown> {
  const type = 'type.googleapis.com/google.rpc.RetryInfo'
  const details = status === 429 && !quota ? [{ '@type': type, retryDelay: '2s' }] : []
  return {
    code: status,
    message,
    status: GOOGLE_STATUSES.get(status) ?? 'UNKNOWN',
    ...(details.length === 0 ? {} : { details }),
  }
}

/** The one event without the usual count: it may come at any time. */
function responsesErrorFrame(error: VendorError): string {
  const { code, message, param } = chatError(error)
  const event = { type: 'error', sequence_number: 0, code: code ?? 'server_error', message, param }
  return `event: error\ndata: ${JSON.stringify(event)}\n\n`
}

/** A whole frame that reports a failure after the first byte. */
export function errorFrame(protocol: Ask['protocol'], requestId: string): string {
  const error = simulated(protocol === 'anthropic-messages' ? 529 : 500, false)
  if (protocol === 'openai-responses') return responsesErrorFrame(error)
  const body = errorBody(protocol, error, requestId)
  return protocol === 'anthropic-messages' ? `event: error\ndata: ${body}\n\n` : `data: ${body}\n\n`
}

export function simulated(status: number, quota: boolean): VendorError {
  const message = quota
    ? 'You exceeded your current quota, please check your plan and billing details.'
    : (MESSAGES.get(status) ?? `The sandbox answers ${status}, as asked.`)
  return { status, message, param: null, quota }
}

const MESSAGES: ReadonlyMap<number, string> = new Map([
  [400, 'Invalid request, as asked of the sandbox.'],
  [401, 'Incorrect API key provided: sk-sand*****box.'],
  [404, 'The model does not exist or you do not have access to it.'],
  [429, 'Rate limit reached for requests. Please try again in 2s.'],
  [500, 'The server had an error while processing your request. Sorry about that!'],
  [529, 'Overloaded'],
])

/** Headers of a rate-limited answer. Times are in the vendor's own notation. */
export function errorHeaders(
  protocol: Ask['protocol'],
  error: VendorError,
): Record<string, string> {
  if (error.status !== 429 || error.quota) return {}
  if (protocol === 'gemini') return {}
  if (protocol !== 'anthropic-messages') {
    return {
      'retry-after': '2',
      'retry-after-ms': '2000',
      'x-ratelimit-limit-requests': '60',
      'x-ratelimit-remaining-requests': '0',
      'x-ratelimit-reset-requests': '2s',
      'x-ratelimit-limit-tokens': '150000',
      'x-ratelimit-remaining-tokens': '149984',
      'x-ratelimit-reset-tokens': '6ms',
    }
  }
  return {
    'retry-after': '2',
    'anthropic-ratelimit-requests-limit': '50',
    'anthropic-ratelimit-requests-remaining': '0',
    'anthropic-ratelimit-requests-reset': new Date(Date.now() + 2_000).toISOString(),
  }
}

import type { ErrorReply } from '../../contracts/protocol.ts'
import type { ErrorKind, GatewayError } from '../../errors/gateway-error.ts'

/** @see https://ai.google.dev/gemini-api/docs/troubleshooting and google.rpc.Code (from general knowledge) */
const STATUSES: Readonly<Record<ErrorKind, string>> = {
  invalid_request: 'INVALID_ARGUMENT',
  authentication: 'UNAUTHENTICATED',
  permission: 'PERMISSION_DENIED',
  not_found: 'NOT_FOUND',
  too_large: 'INVALID_ARGUMENT',
  rate_limit: 'RESOURCE_EXHAUSTED',
  quota: 'RESOURCE_EXHAUSTED',
  timeout: 'DEADLINE_EXCEEDED',
  overloaded: 'UNAVAILABLE',
  upstream: 'INTERNAL',
  internal: 'INTERNAL',
}

const TYPES = 'type.googleapis.com/google.rpc.'

export type ErrorObject = {
  readonly status: number
  readonly kind: ErrorKind
  readonly message: string
  /** A code of its own, such as `budget_exceeded`; null: none. */
  readonly reason: string | null
  /** The field at fault; null: none. */
  readonly param: string | null
  readonly retryAfterMs: number | null
  readonly more?: Readonly<Record<string, unknown>>
}

export function renderError(error: GatewayError, requestId: string): ErrorReply {
  return {
    status: error.status,
    headers: error.details.headers ?? {},
    body: errorJson(objectOf(error), requestId),
  }
}

export function renderStreamError(error: GatewayError, requestId: string): string {
  return `data: ${errorJson(objectOf(error), requestId)}\n\n`
}

function objectOf(error: GatewayError): ErrorObject {
  const { limit, param, headers, candidates } = error.details
  return {
    status: error.status,
    kind: error.kind,
    message: error.message,
    reason: error.code,
    param: param ?? null,
    retryAfterMs: error.kind === 'rate_limit' ? retryAfterMs(headers ?? {}) : null,
    ...(limit === undefined ? {} : { more: { limit } }),
    ...(candidates === undefined ? {} : { more: { candidates } }),
  }
}

/** Clients of this protocol read when to come back from the body. */
function retryAfterMs(headers: Readonly<Record<string, string>>): number | null {
  const ms = Number(headers['retry-after-ms'] ?? Number(headers['retry-after'] ?? NaN) * 1000)
  return Number.isFinite(ms) && ms >= 0 ? ms : null
}

export function errorJson(error: ErrorObject, requestId: string): string {
  const { reason, param, retryAfterMs: retryMs } = error
  const details: unknown[] = []
  if (reason !== null) {
    const metadata = { request_id: requestId }
    details.push({
      '@type': `${TYPES}ErrorInfo`,
      reason: reason.toUpperCase(),
      domain: 'tollgate',
      metadata,
    })
  }
  if (param !== null) {
    const fieldViolations = [{ field: param, description: error.message }]
    details.push({ '@type': `${TYPES}BadRequest`, fieldViolations })
  }
  if (retryMs !== null) {
    details.push({ '@type': `${TYPES}RetryInfo`, retryDelay: `${retryMs / 1000}s` })
  }
  return JSON.stringify({
    error: {
      code: error.status,
      message: error.message,
      status: STATUSES[error.kind],
      details,
      ...error.more,
    },
  })
}

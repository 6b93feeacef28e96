import type { ErrorReply } from '../../contracts/protocol.ts'
import type { ErrorKind, GatewayError } from '../../errors/gateway-error.ts'

/** @see https://docs.anthropic.com/en/api/errors (types as in the official client 1.11, read 2026-11-21) */
const TYPES: Readonly<Record<ErrorKind, string>> = {
  invalid_request: 'invalid_request_error',
  authentication: 'authentication_error',
  permission: 'permission_error',
  not_found: 'not_found_error',
  too_large: 'request_too_large',
  rate_limit: 'rate_limit_error',
  quota: 'billing_error',
  timeout: 'timeout_error',
  overloaded: 'overloaded_error',
  upstream: 'api_error',
  internal: 'api_error',
}

/** Anthropic says 529 when the model is overloaded; agents back off by that status. */
export const OVERLOADED_STATUS = 529

export function errorType(kind: ErrorKind): string {
  return TYPES[kind]
}

export function renderError(error: GatewayError, requestId: string): ErrorReply {
  return {
    status: error.code === 'upstream_overloaded' ? OVERLOADED_STATUS : error.status,
    headers: { ...error.details.headers, 'request-id': requestId },
    body: errorBody(error, requestId),
  }
}

export function renderStreamError(error: GatewayError, requestId: string): string {
  return `event: error\ndata: ${errorBody(error, requestId)}\n\n`
}

function errorBody(error: GatewayError, requestId: string): string {
  const { limit, candidates } = error.details
  return JSON.stringify({
    type: 'error',
    error: {
      type: TYPES[error.kind],
      message: error.message,
      ...(limit === undefined ? {} : { limit }),
      ...(candidates === undefined ? {} : { candidates }),
    },
    request_id: requestId,
  })
}

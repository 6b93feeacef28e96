import type { ErrorReply } from '../../contracts/protocol.ts'
import type { ErrorKind, GatewayError } from '../../errors/gateway-error.ts'

/** @see https://platform.openai.com/docs/guides/error-codes (from general knowledge, not read live) */
const TYPES: Readonly<Record<ErrorKind, string>> = {
  invalid_request: 'invalid_request_error',
  authentication: 'invalid_request_error',
  permission: 'permission_error',
  not_found: 'invalid_request_error',
  too_large: 'invalid_request_error',
  rate_limit: 'rate_limit_exceeded',
  quota: 'insufficient_quota',
  timeout: 'server_error',
  overloaded: 'server_error',
  upstream: 'server_error',
  internal: 'server_error',
}

export function renderError(error: GatewayError, _requestId: string): ErrorReply {
  return {
    status: error.status,
    headers: error.details.headers ?? {},
    body: JSON.stringify(errorBody(error)),
  }
}

export function errorBody(error: GatewayError): Record<string, unknown> {
  const { limit, param, candidates } = error.details
  return {
    error: {
      message: error.message,
      type: TYPES[error.kind],
      param: param ?? null,
      code: error.code,
      ...(limit === undefined ? {} : { limit }),
      ...(candidates === undefined ? {} : { candidates }),
    },
  }
}

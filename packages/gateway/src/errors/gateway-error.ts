/**
 * One line per way to fail. `status` is what the client sees, `kind` is what a protocol maps to its own error type,
 * `tryNext` says whether another target may be tried. docs/errors.md lists the same codes; a test keeps both equal.
 */
export const CODES = {
  invalid_request: { status: 400, kind: 'invalid_request', tryNext: false },
  malformed_json: { status: 400, kind: 'invalid_request', tryNext: false },
  protocol_not_served: { status: 400, kind: 'invalid_request', tryNext: false },
  not_translatable: { status: 400, kind: 'invalid_request', tryNext: true },
  request_exceeds_limit: { status: 400, kind: 'invalid_request', tryNext: false },
  context_length_exceeded: { status: 400, kind: 'invalid_request', tryNext: false },
  no_target_fits: { status: 400, kind: 'invalid_request', tryNext: false },
  malformed_http: { status: 400, kind: 'invalid_request', tryNext: false },
  invalid_api_key: { status: 401, kind: 'authentication', tryNext: false },
  model_not_allowed: { status: 403, kind: 'permission', tryNext: false },
  endpoint_not_allowed: { status: 403, kind: 'permission', tryNext: false },
  ip_not_allowed: { status: 403, kind: 'permission', tryNext: false },
  model_unpriced: { status: 403, kind: 'permission', tryNext: false },
  model_not_found: { status: 404, kind: 'not_found', tryNext: false },
  not_found: { status: 404, kind: 'not_found', tryNext: false },
  method_not_allowed: { status: 405, kind: 'invalid_request', tryNext: false },
  request_timeout: { status: 408, kind: 'timeout', tryNext: false },
  idempotency_too_large: { status: 409, kind: 'invalid_request', tryNext: false },
  body_too_large: { status: 413, kind: 'too_large', tryNext: false },
  unsupported_media_type: { status: 415, kind: 'invalid_request', tryNext: false },
  expectation_failed: { status: 417, kind: 'invalid_request', tryNext: false },
  idempotency_mismatch: { status: 422, kind: 'invalid_request', tryNext: false },
  rate_limit_exceeded: { status: 429, kind: 'rate_limit', tryNext: false },
  too_many_wrong_keys: { status: 429, kind: 'rate_limit', tryNext: false },
  targets_set_aside: { status: 429, kind: 'rate_limit', tryNext: false },
  budget_exceeded: { status: 429, kind: 'quota', tryNext: false },
  headers_too_large: { status: 431, kind: 'invalid_request', tryNext: false },
  cancelled: { status: 499, kind: 'invalid_request', tryNext: false },
  internal: { status: 500, kind: 'internal', tryNext: false },
  upstream_auth: { status: 502, kind: 'upstream', tryNext: true },
  upstream_unreachable: { status: 502, kind: 'upstream', tryNext: true },
  upstream_refused_by_guard: { status: 502, kind: 'upstream', tryNext: true },
  upstream_redirect: { status: 502, kind: 'upstream', tryNext: true },
  upstream_invalid: { status: 502, kind: 'upstream', tryNext: true },
  upstream_failed: { status: 502, kind: 'upstream', tryNext: true },
  upstream_truncated: { status: 502, kind: 'upstream', tryNext: true },
  upstream_overloaded: { status: 503, kind: 'overloaded', tryNext: true },
  credential_missing: { status: 503, kind: 'upstream', tryNext: true },
  no_target_available: { status: 503, kind: 'overloaded', tryNext: false },
  limits_unavailable: { status: 503, kind: 'overloaded', tryNext: false },
  idempotency_unavailable: { status: 503, kind: 'overloaded', tryNext: false },
  ledger_unavailable: { status: 503, kind: 'overloaded', tryNext: false },
  upstream_timeout: { status: 504, kind: 'timeout', tryNext: true },
} as const

export type GatewayErrorCode = keyof typeof CODES
export type ErrorKind = (typeof CODES)[GatewayErrorCode]['kind']

/** Facts that accompany some errors into the answer: response headers and extra members of the error object. */
export type ErrorDetails = {
  readonly headers?: Readonly<Record<string, string>>
  /** The field of the request that is wrong, such as `max_tokens`. */
  readonly param?: string
  /** Placed as `error.limit`. */
  readonly limit?: Readonly<Record<string, unknown>>
  /** Placed as `error.candidates`: the targets that were looked at, and why each cannot serve. */
  readonly candidates?: readonly Readonly<Record<string, string>>[]
}

export class GatewayError extends Error {
  override readonly name = 'GatewayError'
  readonly code: GatewayErrorCode
  readonly status: number
  readonly kind: ErrorKind
  readonly tryNext: boolean
  readonly details: ErrorDetails

  /** `message` is shown to the caller of the API: no secret, no upstream body, no stack, no path. Put those in `cause`. */
  constructor(
    code: GatewayErrorCode,
    message: string,
    options: { cause?: unknown; details?: ErrorDetails } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.status = CODES[code].status
    this.kind = CODES[code].kind
    this.tryNext = CODES[code].tryNext
    this.details = options.details ?? {}
  }
}

/** Anything thrown, as an error that may be answered. What is not ours is our bug: `internal`. */
export function toGatewayError(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown
  return new GatewayError('internal', 'The gateway failed; the request id names it in the log.', {
    cause: thrown,
  })
}

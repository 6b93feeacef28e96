import { ConfigError, formatPath, type ConfigProblem } from '../config/config-error.ts'
import type { Finding } from '../config/validate.ts'
import { ServerAway } from '../contracts/script-server.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import { StoreError } from '../errors/store-error.ts'
import { PlanError } from '../plan/plan-error.ts'
import type { ErrorBody, KeyReference } from './admin-api.ts'

/** Every way in which the admin API fails. docs/reference/admin-api.md lists the same codes. */
export const ADMIN_CODES = {
  invalid_request: 400,
  malformed_json: 400,
  invalid_policy: 400,
  policy_conflict: 400,
  invalid_config: 400,
  unauthorized: 401,
  origin_refused: 403,
  host_refused: 403,
  not_found: 404,
  method_not_allowed: 405,
  ambiguous_id: 409,
  file_owned: 409,
  key_revoked: 409,
  policy_in_use: 409,
  no_counter: 409,
  replay_running: 409,
  body_too_large: 413,
  internal: 500,
  not_available: 501,
  store_unavailable: 503,
  too_many_listeners: 503,
} as const

export type AdminCode = keyof typeof ADMIN_CODES

export type AdminErrorDetails = {
  /** The field that is wrong. */
  readonly path?: string
  readonly problems?: readonly ConfigProblem[]
  readonly matches?: readonly KeyReference[]
  readonly keys?: readonly KeyReference[]
  readonly headers?: Readonly<Record<string, string>>
}

/** Refused, and why. `message` is for the administrator; it holds no secret. */
export class AdminError extends Error {
  override readonly name = 'AdminError'
  readonly code: AdminCode
  readonly status: (typeof ADMIN_CODES)[AdminCode]
  readonly details: AdminErrorDetails

  constructor(code: AdminCode, message: string, details: AdminErrorDetails = {}) {
    super(message)
    this.code = code
    this.status = ADMIN_CODES[code]
    this.details = details
  }
}

/** Anything thrown, as an error that may be answered. What is not known is our bug, and its text is not shown. */
export function toAdminError(thrown: unknown): AdminError {
  if (thrown instanceof AdminError) return thrown
  if (thrown instanceof PlanError) {
    return new AdminError('invalid_policy', thrown.message, { path: thrown.at })
  }
  if (thrown instanceof ConfigError) return configProblems('invalid_config', thrown.problems)
  if (thrown instanceof StoreError) {
    return new AdminError('store_unavailable', storeProblem(thrown))
  }
  if (thrown instanceof ServerAway) {
    return new AdminError(
      'store_unavailable',
      'The counters are in Redis, which does not answer. Look at them before you try a change again: it may have been made.',
    )
  }
  if (thrown instanceof GatewayError && thrown.status === 400) {
    const { param } = thrown.details
    return new AdminError(
      'invalid_request',
      thrown.message,
      param === undefined ? {} : { path: param },
    )
  }
  return new AdminError('internal', 'Something went wrong inside the gateway.')
}

function storeProblem({ reason }: StoreError): string {
  if (reason === 'away') {
    return 'The database does not answer. Nothing can be looked up or changed until it does; keys that are loaded go on working.'
  }
  return `The store cannot be used (${reason}).`
}

/** The first problem is the message; all of them are listed. */
export function configProblems(
  code: 'invalid_request' | 'invalid_policy' | 'invalid_config',
  problems: readonly ConfigProblem[],
): AdminError {
  const [first] = problems
  const path = first?.path ?? ''
  const message = first?.message ?? 'is not valid'
  return new AdminError(code, path === '' ? message : `${path}: ${message}`, { path, problems })
}

/** As `configProblems`, for what does not fit the schema of a body or query. */
export function badRequest(findings: readonly Finding[]): AdminError {
  return configProblems(
    'invalid_request',
    findings.map(({ path, message }) => ({
      path: formatPath(path),
      line: null,
      column: null,
      message,
    })),
  )
}

export function errorBody({ code, message, details }: AdminError): ErrorBody {
  const { path, problems, matches, keys } = details
  return {
    error: {
      code,
      message,
      ...(path === undefined || path === '' ? {} : { path }),
      ...(problems === undefined
        ? {}
        : { problems: problems.map(({ column: _column, ...problem }) => problem) }),
      ...(matches === undefined ? {} : { matches }),
      ...(keys === undefined ? {} : { keys }),
    },
  }
}

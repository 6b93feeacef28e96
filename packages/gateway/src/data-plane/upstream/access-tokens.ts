import { GatewayError } from '../../errors/gateway-error.ts'
import { isRecord } from '../../lib/is-record.ts'
import type { TokenGrant } from '../../lib/token-grant.ts'
import type { ProviderPlan } from '../../plan/gateway-plan.ts'
import { type CallTools, collectBody, UpstreamCall, type UpstreamRequest } from './upstream-call.ts'

/** A new token is asked for while the old one still holds, so that no request waits. */
const REFRESH_BEFORE_MS = 5 * 60_000
/** After a failure nobody asks again at once. */
const RETRY_AFTER_MS = 5000
const FIRST_BYTE_MS = 10_000
const TOTAL_MS = 15_000
const MAX_ANSWER_BYTES = 64 * 1024
const DEFAULT_SECONDS = 3600
const MAX_SECONDS = 24 * 3600
/** Codes of OAuth, such as `invalid_grant`. */
const ERROR_CODE = /^[a-z_]{1,40}$/

/** One per grant, for as long as a plan holds it. */
const TOKENS = new WeakMap<TokenGrant, AccessToken>()

/** The request with the provider's access token, where it takes one. */
export function withAccessToken(
  provider: ProviderPlan,
  request: UpstreamRequest,
  tools: CallTools,
): UpstreamRequest | Promise<UpstreamRequest> {
  if (provider.tokenGrant === null) return request
  const token = accessToken(provider, provider.tokenGrant, tools)
  return typeof token === 'string'
    ? authorized(request, token)
    : token.then((value) => authorized(request, value))
}

function authorized(request: UpstreamRequest, token: string): UpstreamRequest {
  return { ...request, headers: [...request.headers, 'authorization', `Bearer ${token}`] }
}

/** Rejects with `upstream_auth`, or with what befell the call for a token. */
export function accessToken(
  provider: ProviderPlan,
  grant: TokenGrant,
  tools: CallTools,
  nowMs: number = Date.now(),
): string | Promise<string> {
  let token = TOKENS.get(grant)
  if (token === undefined) {
    token = new AccessToken(grant)
    TOKENS.set(grant, token)
  }
  return token.get(provider, tools, nowMs)
}

/** Asked for once at a time, kept until shortly before it ends, and never written anywhere. */
class AccessToken {
  private readonly grant: TokenGrant
  private value = ''
  private endsAtMs = 0
  private pending: Promise<string> | null = null
  private failure: { readonly error: unknown; readonly atMs: number } | null = null

  constructor(grant: TokenGrant) {
    this.grant = grant
  }

  get(provider: ProviderPlan, tools: CallTools, nowMs: number): string | Promise<string> {
    if (nowMs < this.endsAtMs - REFRESH_BEFORE_MS) return this.value
    const holds = nowMs < this.endsAtMs
    const failedJustNow = this.failure !== null && nowMs - this.failure.atMs < RETRY_AFTER_MS
    if (this.pending === null && failedJustNow) {
      return holds ? this.value : Promise.reject(toError(this.failure?.error))
    }
    this.pending ??= this.refresh(provider, tools, nowMs)
    if (!holds) return this.pending
    // Told to whoever finds the token at its end.
    this.pending.catch(() => {})
    return this.value
  }

  private async refresh(provider: ProviderPlan, tools: CallTools, nowMs: number): Promise<string> {
    try {
      const answer = await ask(provider, this.grant, { tools, nowMs })
      this.value = answer.token
      this.endsAtMs = nowMs + answer.seconds * 1000
      this.failure = null
      return this.value
    } catch (thrown) {
      this.failure = { error: thrown, atMs: nowMs }
      throw thrown
    } finally {
      this.pending = null
    }
  }
}

async function ask(
  provider: ProviderPlan,
  { url, form }: TokenGrant,
  { tools, nowMs }: { readonly tools: CallTools; readonly nowMs: number },
): Promise<{ readonly token: string; readonly seconds: number }> {
  const timeouts = { ...provider.timeouts, firstByteMs: FIRST_BYTE_MS, totalMs: TOTAL_MS }
  const request: UpstreamRequest = {
    method: 'POST',
    path: url.pathname + url.search,
    headers: [
      'content-type',
      'application/x-www-form-urlencoded',
      'accept',
      'application/json',
      'accept-encoding',
      'identity',
    ],
    body: Buffer.from(form(nowMs)),
  }
  const call = new UpstreamCall({ ...provider, origin: url.origin, timeouts }, request, tools)
  await call.head
  const answer = parse(await collectBody(call, MAX_ANSWER_BYTES))
  const { access_token: token, expires_in: seconds, error } = answer
  if (call.status === 200 && typeof token === 'string' && /^[\x21-\x7e]+$/.test(token)) {
    return { token, seconds: typeof seconds === 'number' ? clamp(seconds) : DEFAULT_SECONDS }
  }
  const code = typeof error === 'string' && ERROR_CODE.test(error) ? `${error}, ` : ''
  throw new GatewayError(
    'upstream_auth',
    `The provider ${provider.name} gives no access token for the gateway's credential (${code}${call.status}).`,
  )
}

function clamp(seconds: number): number {
  return Math.min(Math.max(0, seconds), MAX_SECONDS)
}

function parse(body: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    return isRecord(value) ? value : {}
  } catch {
    return {}
  }
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new GatewayError('upstream_auth', 'No access token.')
}

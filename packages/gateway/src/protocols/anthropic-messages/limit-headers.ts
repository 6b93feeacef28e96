import type { LimitState } from '../../contracts/limit.ts'
import { remainingOf, tightestLimit } from '../../lib/tightest-limit.ts'

type Names = { readonly limit: string; readonly remaining: string; readonly reset: string }

const REQUESTS: Names = {
  limit: 'anthropic-ratelimit-requests-limit',
  remaining: 'anthropic-ratelimit-requests-remaining',
  reset: 'anthropic-ratelimit-requests-reset',
}
const TOKENS: Names = {
  limit: 'anthropic-ratelimit-tokens-limit',
  remaining: 'anthropic-ratelimit-tokens-remaining',
  reset: 'anthropic-ratelimit-tokens-reset',
}

/**
 * Anthropic's rate headers for the tightest requests and tokens limits; the reset is an RFC 3339 time.
 *
 * @see https://docs.anthropic.com/en/api/rate-limits (from general knowledge, not read live)
 */
export function limitHeaders(states: readonly LimitState[]): readonly string[] {
  const headers: string[] = []
  addHeaders(headers, REQUESTS, tightestLimit(states, 'requests'))
  addHeaders(headers, TOKENS, tightestLimit(states, 'tokens'))
  return headers
}

function addHeaders(headers: string[], names: Names, state: LimitState | null): void {
  if (state === null) return
  const remaining = String(Math.floor(remainingOf(state)))
  headers.push(names.limit, String(state.amount), names.remaining, remaining)
  if (state.resetsAtMs === null) return
  headers.push(names.reset, new Date(state.resetsAtMs).toISOString())
}

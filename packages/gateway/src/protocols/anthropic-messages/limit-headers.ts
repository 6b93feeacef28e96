import type { LimitState } from '../../contracts/limit.ts'
import { tightestLimit } from '../../lib/tightest-limit.ts'

/**
 * Anthropic's rate headers for the tightest requests and tokens limits; the reset is an RFC 3339 time.
 *
 * @see https://docs.anthropic.com/en/api/rate-limits (from general knowledge, not read live)
 */
export function limitHeaders(states: readonly LimitState[]): Record<string, string> {
  const headers: Record<string, string> = {}
  addHeaders(headers, 'requests', tightestLimit(states, 'requests'))
  addHeaders(headers, 'tokens', tightestLimit(states, 'tokens'))
  return headers
}

function addHeaders(
  headers: Record<string, string>,
  unit: 'requests' | 'tokens',
  state: LimitState | null,
): void {
  if (state === null) return
  const remaining = Math.max(0, Math.floor(state.amount - state.used - state.reserved))
  headers[`anthropic-ratelimit-${unit}-limit`] = String(state.amount)
  headers[`anthropic-ratelimit-${unit}-remaining`] = String(remaining)
  if (state.resetsAtMs === null) return
  headers[`anthropic-ratelimit-${unit}-reset`] = new Date(state.resetsAtMs).toISOString()
}

import type { LimitState } from '../../contracts/limit.ts'
import { remainingOf, tightestLimit } from '../../lib/tightest-limit.ts'

type Names = { readonly limit: string; readonly remaining: string; readonly reset: string }

const REQUESTS: Names = {
  limit: 'x-ratelimit-limit-requests',
  remaining: 'x-ratelimit-remaining-requests',
  reset: 'x-ratelimit-reset-requests',
}
const TOKENS: Names = {
  limit: 'x-ratelimit-limit-tokens',
  remaining: 'x-ratelimit-remaining-tokens',
  reset: 'x-ratelimit-reset-tokens',
}

/**
 * OpenAI's rate headers for the tightest requests and tokens limits; the reset is a duration such as `6m0s`.
 *
 * @see https://platform.openai.com/docs/guides/rate-limits (from general knowledge, not read live)
 */
export function limitHeaders(states: readonly LimitState[], nowMs: number): readonly string[] {
  const headers: string[] = []
  addHeaders(headers, REQUESTS, tightestLimit(states, 'requests'), nowMs)
  addHeaders(headers, TOKENS, tightestLimit(states, 'tokens'), nowMs)
  return headers
}

function addHeaders(
  headers: string[],
  names: Names,
  state: LimitState | null,
  nowMs: number,
): void {
  if (state === null) return
  const remaining = String(Math.floor(remainingOf(state)))
  headers.push(names.limit, String(state.amount), names.remaining, remaining)
  if (state.resetsAtMs === null) return
  headers.push(names.reset, resetDuration(Math.max(0, state.resetsAtMs - nowMs)))
}

function resetDuration(ms: number): string {
  if (ms < 1000) return `${Math.ceil(ms)}ms`
  const seconds = Math.ceil(ms / 1000)
  const hours = Math.floor(seconds / 3600)
  const minutes = Math.floor((seconds % 3600) / 60)
  const hourPart = hours === 0 ? '' : `${hours}h`
  const minutePart = hours === 0 && minutes === 0 ? '' : `${minutes}m`
  return `${hourPart}${minutePart}${seconds % 60}s`
}

import type { LimitState } from '../../contracts/limit.ts'
import { tightestLimit } from '../../lib/tightest-limit.ts'

/**
 * OpenAI's rate headers for the tightest requests and tokens limits; the reset is a duration such as `6m0s`.
 *
 * @see https://platform.openai.com/docs/guides/rate-limits (from general knowledge, not read live)
 */
export function limitHeaders(states: readonly LimitState[], nowMs: number): Record<string, string> {
  const headers: Record<string, string> = {}
  addHeaders(headers, 'requests', tightestLimit(states, 'requests'), nowMs)
  addHeaders(headers, 'tokens', tightestLimit(states, 'tokens'), nowMs)
  return headers
}

function addHeaders(
  headers: Record<string, string>,
  unit: 'requests' | 'tokens',
  state: LimitState | null,
  nowMs: number,
): void {
  if (state === null) return
  const remaining = Math.max(0, Math.floor(state.amount - state.used - state.reserved))
  headers[`x-ratelimit-limit-${unit}`] = String(state.amount)
  headers[`x-ratelimit-remaining-${unit}`] = String(remaining)
  if (state.resetsAtMs === null) return
  headers[`x-ratelimit-reset-${unit}`] = resetDuration(Math.max(0, state.resetsAtMs - nowMs))
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

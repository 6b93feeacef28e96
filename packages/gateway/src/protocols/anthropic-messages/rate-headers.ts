import type { RateHeaders } from '../../contracts/protocol.ts'

const NAMES = [
  ['requests', 'requests'],
  ['tokens', 'tokens'],
  ['tokens', 'input-tokens'],
  ['tokens', 'output-tokens'],
] as const

/** The resets are times in RFC 3339. As in the vendor's documentation of rate limits, from general knowledge. */
export const RATE_HEADERS: readonly RateHeaders[] = NAMES.map(([unit, name]) => ({
  unit,
  remaining: `anthropic-ratelimit-${name}-remaining`,
  reset: `anthropic-ratelimit-${name}-reset`,
}))

/** Of the official clients in all languages. */
export const RETRY_COUNT_HEADER = 'x-stainless-retry-count'

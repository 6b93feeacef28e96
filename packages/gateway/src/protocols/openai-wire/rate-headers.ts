import type { RateHeaders } from '../../contracts/protocol.ts'

/**
 * OpenAI's, which most compatible vendors send too; the last pair is OpenRouter's.
 *
 * @see https://platform.openai.com/docs/guides/rate-limits (from general knowledge, not read live)
 */
export const RATE_HEADERS: readonly RateHeaders[] = [
  {
    unit: 'requests',
    remaining: 'x-ratelimit-remaining-requests',
    reset: 'x-ratelimit-reset-requests',
  },
  {
    unit: 'tokens',
    remaining: 'x-ratelimit-remaining-tokens',
    reset: 'x-ratelimit-reset-tokens',
  },
  { unit: 'requests', remaining: 'x-ratelimit-remaining', reset: 'x-ratelimit-reset' },
]

/** Of the official clients in all languages. */
export const RETRY_COUNT_HEADER = 'x-stainless-retry-count'

import { NO_USAGE, type Usage } from '../../contracts/usage.ts'
import { isRecord } from '../../lib/is-record.ts'
import { tokenCount, without } from '../token-count.ts'

/**
 * Bedrock's usage. `inputTokens` excludes what was read from or written to the cache; reasoning is not told apart.
 *
 * `cacheDetails` splits the writes by time to live; without it all are the 5 minute kind.
 *
 * @see https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html (read 2026-11-21)
 */
export function readUsage(value: unknown): Usage {
  if (!isRecord(value)) return NO_USAGE
  const written = tokenCount(value['cacheWriteInputTokens'])
  const long = longWrites(value['cacheDetails'])
  return {
    ...NO_USAGE,
    inputTokens: tokenCount(value['inputTokens']),
    outputTokens: tokenCount(value['outputTokens']),
    cacheReadTokens: tokenCount(value['cacheReadInputTokens']),
    cacheWrite5mTokens: without(written, long),
    cacheWrite1hTokens: long,
  }
}

function longWrites(details: unknown): number | null {
  if (!Array.isArray(details)) return null
  for (const detail of details) {
    if (isRecord(detail) && detail['ttl'] === '1h') return tokenCount(detail['inputTokens'])
  }
  return null
}

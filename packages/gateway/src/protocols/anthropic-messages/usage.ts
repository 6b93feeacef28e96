import { NO_USAGE, type Usage } from '../../contracts/usage.ts'
import { isRecord } from '../../lib/is-record.ts'
import { tokenCount, without } from '../token-count.ts'

/**
 * Anthropic's usage object. `input_tokens` already excludes what was read from or written to the prompt cache.
 *
 * `cache_creation` splits the writes by time to live; without it all writes are the 5 minute kind.
 * @see https://docs.anthropic.com/en/api/messages (fields as in the official client 1.11, read 2026-11-21)
 */
export function readUsage(value: unknown): Usage {
  if (!isRecord(value)) return NO_USAGE
  const creation = isRecord(value['cache_creation']) ? value['cache_creation'] : {}
  const details = isRecord(value['output_tokens_details']) ? value['output_tokens_details'] : {}
  const tools = isRecord(value['server_tool_use']) ? value['server_tool_use'] : null
  const written = tokenCount(value['cache_creation_input_tokens'])
  const written1h = tokenCount(creation['ephemeral_1h_input_tokens'])
  return {
    inputTokens: tokenCount(value['input_tokens']),
    outputTokens: tokenCount(value['output_tokens']),
    cacheReadTokens: tokenCount(value['cache_read_input_tokens']),
    cacheWrite5mTokens: largest(
      tokenCount(creation['ephemeral_5m_input_tokens']),
      without(written, written1h),
    ),
    cacheWrite1hTokens: written1h,
    reasoningTokens: tokenCount(details['thinking_tokens']),
    audioInputTokens: null,
    audioOutputTokens: null,
    serverToolCalls: tools === null ? null : sumCounts(tools),
  }
}

/**
 * `message_delta` usage is cumulative: what it states replaces what `message_start` said, the rest stays.
 *
 * Merged as written, because a total of cache writes comes there without its split by time to live.
 */
export function laterUsage(
  first: Readonly<Record<string, unknown>>,
  later: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const stated = Object.entries(later).filter(([, value]) => value !== null)
  return { ...first, ...Object.fromEntries(stated) }
}

function sumCounts(tools: Record<string, unknown>): number {
  let sum = 0
  for (const value of Object.values(tools)) sum += tokenCount(value) ?? 0
  return sum
}

/** A split that does not add up to its total leaves the rest to the shorter time to live. */
function largest(split: number | null, rest: number | null): number | null {
  if (split === null || rest === null) return split ?? rest
  return Math.max(split, rest)
}

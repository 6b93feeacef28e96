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
    cacheWrite5mTokens:
      tokenCount(creation['ephemeral_5m_input_tokens']) ?? without(written, written1h),
    cacheWrite1hTokens: written1h,
    reasoningTokens: tokenCount(details['thinking_tokens']),
    audioInputTokens: null,
    audioOutputTokens: null,
    serverToolCalls: tools === null ? null : sumCounts(tools),
  }
}

/** `message_delta` usage is cumulative: what it states replaces what `message_start` said, the rest stays. */
export function laterUsage(first: Usage, later: Usage): Usage {
  return {
    inputTokens: later.inputTokens ?? first.inputTokens,
    outputTokens: later.outputTokens ?? first.outputTokens,
    cacheReadTokens: later.cacheReadTokens ?? first.cacheReadTokens,
    cacheWrite5mTokens: later.cacheWrite5mTokens ?? first.cacheWrite5mTokens,
    cacheWrite1hTokens: later.cacheWrite1hTokens ?? first.cacheWrite1hTokens,
    reasoningTokens: later.reasoningTokens ?? first.reasoningTokens,
    audioInputTokens: null,
    audioOutputTokens: null,
    serverToolCalls: later.serverToolCalls ?? first.serverToolCalls,
  }
}

function sumCounts(tools: Record<string, unknown>): number {
  let sum = 0
  for (const value of Object.values(tools)) sum += tokenCount(value) ?? 0
  return sum
}

import { NO_USAGE, type Usage } from '../../contracts/usage.ts'
import { isRecord } from '../../lib/is-record.ts'
import { tokenCount, without } from '../token-count.ts'

/**
 * OpenAI's usage object, of chat or embeddings. `prompt_tokens` includes cached and audio input, so cached is taken out.
 *
 * `prompt_cache_hit_tokens` is DeepSeek's name for the same count.
 * @see https://platform.openai.com/docs/api-reference/chat/object (fields as in the official client 7.55, read 2026-11-21)
 */
export function readUsage(value: unknown): Usage {
  if (!isRecord(value)) return NO_USAGE
  const prompt = isRecord(value['prompt_tokens_details']) ? value['prompt_tokens_details'] : {}
  const completion = isRecord(value['completion_tokens_details'])
    ? value['completion_tokens_details']
    : {}
  const cacheReadTokens =
    tokenCount(prompt['cached_tokens']) ?? tokenCount(value['prompt_cache_hit_tokens'])
  const cacheWriteTokens = tokenCount(prompt['cache_write_tokens'])
  return {
    inputTokens: without(tokenCount(value['prompt_tokens']), cacheReadTokens, cacheWriteTokens),
    outputTokens: tokenCount(value['completion_tokens']),
    cacheReadTokens,
    cacheWrite5mTokens: cacheWriteTokens,
    cacheWrite1hTokens: null,
    reasoningTokens: tokenCount(completion['reasoning_tokens']),
    audioInputTokens: tokenCount(prompt['audio_tokens']),
    audioOutputTokens: tokenCount(completion['audio_tokens']),
    serverToolCalls: null,
  }
}

import { writtenTokens } from '../openai-wire/written-tokens.ts'
import { totalInputTokens, type Usage } from '../../contracts/usage.ts'

/** OpenAI counts cached input inside the prompt. Null: the provider said nothing. */
export function writeUsage(usage: Usage): Record<string, unknown> | null {
  const { inputTokens, outputTokens, cacheReadTokens, reasoningTokens } = usage
  if (inputTokens === null && outputTokens === null) return null
  const prompt = totalInputTokens(usage)
  const completion = outputTokens ?? 0
  const written = writtenTokens(usage)
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: {
      cached_tokens: cacheReadTokens ?? 0,
      ...(written === null ? {} : { cache_write_tokens: written }),
      ...(usage.audioInputTokens === null ? {} : { audio_tokens: usage.audioInputTokens }),
    },
    completion_tokens_details: {
      reasoning_tokens: reasoningTokens ?? 0,
      ...(usage.audioOutputTokens === null ? {} : { audio_tokens: usage.audioOutputTokens }),
    },
  }
}

import { NO_USAGE, totalInputTokens, type Usage } from '../../contracts/usage.ts'
import { isRecord } from '../../lib/is-record.ts'
import { asList, asMembers, type Members } from '../openai-wire/values.ts'
import { writtenTokens } from '../openai-wire/written-tokens.ts'
import { tokenCount, without } from '../token-count.ts'

/** Output items that stand for one run of a tool on the provider's side. `image_generation_call` costs by its own tokens. */
const SERVER_TOOL_ITEMS: ReadonlySet<unknown> = new Set([
  'web_search_call',
  'file_search_call',
  'code_interpreter_call',
])

/**
 * Usage of a response object. `input_tokens` includes cached input, so that is taken out.
 *
 * @see https://platform.openai.com/docs/api-reference/responses/object (fields as in the official client 7.55, read 2026-11-21)
 */
export function readUsage(response: Members): Usage {
  const { usage } = response
  if (!isRecord(usage)) return NO_USAGE
  const input = asMembers(usage['input_tokens_details'])
  const output = asMembers(usage['output_tokens_details'])
  const cacheReadTokens = tokenCount(input['cached_tokens'])
  const cacheWriteTokens = tokenCount(input['cache_write_tokens'])
  return {
    inputTokens: without(tokenCount(usage['input_tokens']), cacheReadTokens, cacheWriteTokens),
    outputTokens: tokenCount(usage['output_tokens']),
    cacheReadTokens,
    cacheWrite5mTokens: cacheWriteTokens,
    cacheWrite1hTokens: null,
    reasoningTokens: tokenCount(output['reasoning_tokens']),
    audioInputTokens: null,
    audioOutputTokens: null,
    serverToolCalls: countServerTools(response['output']),
  }
}

function countServerTools(output: unknown): number | null {
  let count = 0
  for (const item of asList(output)) if (SERVER_TOOL_ITEMS.has(asMembers(item)['type'])) count++
  return count === 0 ? null : count
}

/** Null: the provider said nothing. */
export function writeUsage(usage: Usage): Record<string, unknown> | null {
  const { inputTokens, outputTokens, cacheReadTokens, reasoningTokens } = usage
  if (inputTokens === null && outputTokens === null) return null
  const input = totalInputTokens(usage)
  const output = outputTokens ?? 0
  return {
    input_tokens: input,
    input_tokens_details: {
      cached_tokens: cacheReadTokens ?? 0,
      cache_write_tokens: writtenTokens(usage) ?? 0,
    },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: reasoningTokens ?? 0 },
    total_tokens: input + output,
  }
}

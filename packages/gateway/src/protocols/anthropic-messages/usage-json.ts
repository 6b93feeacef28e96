import type { Usage } from '../../contracts/usage.ts'

/** Members that both places of usage have. The types of clients have no unknown output. */
function countsJson(usage: Usage): string {
  const { cacheWrite5mTokens: short, cacheWrite1hTokens: long } = usage
  const written = short === null && long === null ? null : (short ?? 0) + (long ?? 0)
  const thinking = usage.reasoningTokens
  const details = thinking === null ? 'null' : `{"thinking_tokens":${thinking}}`
  return (
    `"output_tokens":${usage.outputTokens ?? 0},"cache_creation_input_tokens":${written}` +
    `,"cache_read_input_tokens":${usage.cacheReadTokens},"output_tokens_details":${details}` +
    ',"server_tool_use":null'
  )
}

/** Usage of a whole answer and of `message_start`. Input that nobody knows yet is 0 there; `message_delta` has it. */
export function usageJson(usage: Usage, serviceTier: string | null): string {
  const { cacheWrite5mTokens: short, cacheWrite1hTokens: long } = usage
  const split =
    short === null && long === null
      ? 'null'
      : `{"ephemeral_5m_input_tokens":${short ?? 0},"ephemeral_1h_input_tokens":${long ?? 0}}`
  const tier = writtenTier(serviceTier)
  return (
    `{"input_tokens":${usage.inputTokens ?? 0},${countsJson(usage)},"cache_creation":${split}` +
    `,"service_tier":${tier === null ? 'null' : `"${tier}"`}}`
  )
}

/** Usage of `message_delta`: the last word, so unknown input is null. */
export function deltaUsageJson(usage: Usage): string {
  return `{"input_tokens":${usage.inputTokens},${countsJson(usage)}}`
}

function writtenTier(tier: string | null): string | null {
  if (tier === 'default') return 'standard'
  return tier === 'priority' || tier === 'batch' ? tier : null
}

/** The tier under the name that it has between protocols. */
export function readTier(value: unknown): string | null {
  if (typeof value !== 'string') return null
  return value === 'standard' ? 'default' : value
}

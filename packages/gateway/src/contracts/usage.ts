/**
 * Tokens of one upstream attempt, in kinds that do not overlap (except `reasoningTokens`, a part of the output).
 *
 * `null` means that the provider did not say; `0` means that it said zero. Cost depends on the difference.
 */
export type Usage = {
  /** Fresh input only. OpenAI's `prompt_tokens` includes cached input, so its protocol subtracts it. */
  readonly inputTokens: number | null
  /** All output, reasoning included. */
  readonly outputTokens: number | null
  readonly cacheReadTokens: number | null
  readonly cacheWrite5mTokens: number | null
  readonly cacheWrite1hTokens: number | null
  readonly reasoningTokens: number | null
  readonly audioInputTokens: number | null
  readonly audioOutputTokens: number | null
  /** Calls of tools that the provider itself ran (web search …). */
  readonly serverToolCalls: number | null
}

export const NO_USAGE: Usage = {
  inputTokens: null,
  outputTokens: null,
  cacheReadTokens: null,
  cacheWrite5mTokens: null,
  cacheWrite1hTokens: null,
  reasoningTokens: null,
  audioInputTokens: null,
  audioOutputTokens: null,
  serverToolCalls: null,
}

/** Everything the provider read: fresh, cached and newly cached input. Unknown kinds count as none. */
export function totalInputTokens(usage: Usage): number {
  return (
    (usage.inputTokens ?? 0) +
    (usage.cacheReadTokens ?? 0) +
    (usage.cacheWrite5mTokens ?? 0) +
    (usage.cacheWrite1hTokens ?? 0)
  )
}

import { NO_USAGE, totalInputTokens, type Usage } from '../../contracts/usage.ts'
import { isRecord } from '../../lib/is-record.ts'
import { tokenCount, without } from '../token-count.ts'

/**
 * Gemini's usage object. The prompt includes what was cached; results of the provider's own tools are input beside it;
 * thoughts are output beside the candidates. A count of zero is left out, so that it follows from the total.
 *
 * @see https://ai.google.dev/api/generate-content#UsageMetadata (fields as in the official client 3.1, read 2026-11-21)
 */
export function readUsage(value: unknown): Usage {
  if (!isRecord(value)) return NO_USAGE
  const prompt = tokenCount(value['promptTokenCount'])
  const cached = tokenCount(value['cachedContentTokenCount'])
  const toolUse = tokenCount(value['toolUsePromptTokenCount'])
  const thoughts = tokenCount(value['thoughtsTokenCount'])
  const fresh = without(prompt, cached)
  return {
    ...NO_USAGE,
    inputTokens: fresh === null ? toolUse : fresh + (toolUse ?? 0),
    outputTokens: outputOf(value, { prompt, toolUse, thoughts }),
    cacheReadTokens: cached,
    reasoningTokens: thoughts,
    audioInputTokens: audioOf(value['promptTokensDetails']),
    audioOutputTokens: audioOf(value['candidatesTokensDetails']),
  }
}

function outputOf(
  value: Record<string, unknown>,
  known: {
    readonly prompt: number | null
    readonly toolUse: number | null
    readonly thoughts: number | null
  },
): number | null {
  const candidates = tokenCount(value['candidatesTokenCount'])
  if (candidates !== null) return candidates + (known.thoughts ?? 0)
  const total = tokenCount(value['totalTokenCount'])
  return known.prompt === null ? known.thoughts : without(total, known.prompt, known.toolUse)
}

function audioOf(details: unknown): number | null {
  if (!Array.isArray(details)) return null
  let sum: number | null = null
  for (const detail of details) {
    if (!isRecord(detail) || detail['modality'] !== 'AUDIO') continue
    sum = (sum ?? 0) + (tokenCount(detail['tokenCount']) ?? 0)
  }
  return sum
}

/** In Gemini's own counting, as JSON; null when nothing is known. */
export function usageJson(usage: Usage): string | null {
  if (usage.inputTokens === null && usage.outputTokens === null) return null
  const prompt = totalInputTokens(usage)
  const output = usage.outputTokens ?? 0
  const thoughts = Math.min(usage.reasoningTokens ?? 0, output)
  return JSON.stringify({
    promptTokenCount: prompt,
    candidatesTokenCount: output - thoughts,
    totalTokenCount: prompt + output,
    ...(usage.cacheReadTokens === null ? {} : { cachedContentTokenCount: usage.cacheReadTokens }),
    ...(thoughts === 0 ? {} : { thoughtsTokenCount: thoughts }),
    ...audioJson('promptTokensDetails', usage.audioInputTokens),
    ...audioJson('candidatesTokensDetails', usage.audioOutputTokens),
  })
}

function audioJson(name: string, tokens: number | null): Record<string, unknown> {
  return (tokens ?? 0) === 0 ? {} : { [name]: [{ modality: 'AUDIO', tokenCount: tokens }] }
}

import { NO_USAGE, type Usage } from '../../../contracts/usage.ts'
import { isRecord } from '../../../lib/is-record.ts'
import { tokenCount, without } from '../../token-count.ts'
import { readUsage } from '../usage.ts'

/**
 * The usage object of images and audio. Seconds of audio (`type: duration`) are no tokens: then nothing is known.
 *
 * @see https://developers.openai.com/api/reference (fields as in the official client 7.55, read 2026-11-21)
 */
export function readMediaUsage(value: unknown): Usage {
  if (!isRecord(value)) return NO_USAGE
  if (value['input_tokens'] === undefined) return readUsage(value)
  const details = value['input_tokens_details'] ?? value['input_token_details']
  const input = isRecord(details) ? details : {}
  const cacheReadTokens = tokenCount(input['cached_tokens'])
  return {
    ...NO_USAGE,
    inputTokens: without(tokenCount(value['input_tokens']), cacheReadTokens),
    outputTokens: tokenCount(value['output_tokens']),
    cacheReadTokens,
    audioInputTokens: tokenCount(input['audio_tokens']),
  }
}

/** Each image of a stream tells its own. */
export function addUsage(sum: Usage, more: Usage): Usage {
  return {
    ...more,
    inputTokens: add(sum.inputTokens, more.inputTokens),
    outputTokens: add(sum.outputTokens, more.outputTokens),
    cacheReadTokens: add(sum.cacheReadTokens, more.cacheReadTokens),
    audioInputTokens: add(sum.audioInputTokens, more.audioInputTokens),
  }
}

function add(one: number | null, other: number | null): number | null {
  return one === null && other === null ? null : (one ?? 0) + (other ?? 0)
}

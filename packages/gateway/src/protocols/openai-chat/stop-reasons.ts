import type { StopReason } from '../../contracts/conversation.ts'

/**
 * OpenAI's finish reasons, and those of compatible vendors.
 *
 * @see https://platform.openai.com/docs/api-reference/chat/object (as in the official client 7.55, read 2026-11-21; vendors'
 * own words from general knowledge)
 */
const READ: ReadonlyMap<string, StopReason> = new Map<string, StopReason>([
  ['stop', 'end'],
  ['eos', 'end'],
  ['end_turn', 'end'],
  ['length', 'length'],
  ['max_tokens', 'length'],
  ['model_length', 'context_overflow'],
  ['tool_calls', 'tool_use'],
  ['function_call', 'tool_use'],
  ['content_filter', 'content_filter'],
])

/** `pause` and `malformed_call` have no twin: the answer ends where it ends. */
const WRITTEN: Readonly<Record<StopReason, string>> = {
  end: 'stop',
  length: 'length',
  stop_sequence: 'stop',
  tool_use: 'tool_calls',
  refusal: 'content_filter',
  content_filter: 'content_filter',
  pause: 'stop',
  context_overflow: 'length',
  malformed_call: 'stop',
  other: 'stop',
}

/** Some vendors say `stop` after calls of tools. */
export function readStopReason(
  reason: string,
  held: { readonly calls: boolean; readonly refusal: boolean },
): StopReason {
  const stop = READ.get(reason) ?? 'other'
  if (stop !== 'end') return stop
  if (held.calls) return 'tool_use'
  return held.refusal ? 'refusal' : 'end'
}

/** A refusal in words is an ordinary stop here; without words it is the filter's. */
export function writeStopReason(
  stop: StopReason,
  held: { readonly calls: boolean; readonly refusal: boolean },
): string {
  if (stop === 'refusal' && held.refusal) return 'stop'
  return stop === 'end' && held.calls ? 'tool_calls' : WRITTEN[stop]
}

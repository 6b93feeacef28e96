import type { StopReason } from '../../contracts/conversation.ts'

/** @see https://docs.anthropic.com/en/api/handling-stop-reasons (as in the official client 1.11, read 2026-11-21) */
const READ: ReadonlyMap<unknown, StopReason> = new Map<unknown, StopReason>([
  ['end_turn', 'end'],
  ['max_tokens', 'length'],
  ['stop_sequence', 'stop_sequence'],
  ['tool_use', 'tool_use'],
  ['pause_turn', 'pause'],
  ['refusal', 'refusal'],
  ['model_context_window_exceeded', 'context_overflow'],
])

const WRITTEN: Readonly<Record<StopReason, string>> = {
  end: 'end_turn',
  length: 'max_tokens',
  stop_sequence: 'stop_sequence',
  tool_use: 'tool_use',
  refusal: 'refusal',
  content_filter: 'refusal',
  pause: 'pause_turn',
  context_overflow: 'model_context_window_exceeded',
  malformed_call: 'end_turn',
  other: 'end_turn',
}

export function readStopReason(reason: unknown): StopReason {
  return READ.get(reason) ?? 'other'
}

/** Agents run tools only after `tool_use`; some providers say `end` beside a call. */
export function writtenStopReason(
  stop: StopReason,
  facts: { called: boolean; refused: boolean },
): string {
  if (stop === 'end' && facts.called) return 'tool_use'
  return stop === 'end' && facts.refused ? 'refusal' : WRITTEN[stop]
}

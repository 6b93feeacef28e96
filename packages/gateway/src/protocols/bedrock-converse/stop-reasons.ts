import type { StopReason } from '../../contracts/conversation.ts'

/** @see https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (from general knowledge) */
const READ: ReadonlyMap<unknown, StopReason> = new Map<unknown, StopReason>([
  ['end_turn', 'end'],
  ['tool_use', 'tool_use'],
  ['max_tokens', 'length'],
  ['stop_sequence', 'stop_sequence'],
  ['guardrail_intervened', 'content_filter'],
  ['content_filtered', 'content_filter'],
  ['malformed_tool_use', 'malformed_call'],
  ['malformed_model_output', 'other'],
  ['model_context_window_exceeded', 'context_overflow'],
])

export function readStopReason(reason: unknown): StopReason {
  return READ.get(reason) ?? 'other'
}

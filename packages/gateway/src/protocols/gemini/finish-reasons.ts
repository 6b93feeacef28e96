import type { StopReason } from '../../contracts/conversation.ts'

/**
 * What each finish reason means. `STOP` behind a function call is a tool call; see `stopOf`.
 *
 * @see https://ai.google.dev/api/generate-content#FinishReason (values as in the official client 3.1, read 2026-11-21)
 */
const STOPS: ReadonlyMap<unknown, StopReason> = new Map([
  ['STOP', 'end'],
  ['MAX_TOKENS', 'length'],
  ['CONTINUATION', 'length'],
  ['SAFETY', 'content_filter'],
  ['RECITATION', 'content_filter'],
  ['BLOCKLIST', 'content_filter'],
  ['PROHIBITED_CONTENT', 'content_filter'],
  ['SPII', 'content_filter'],
  ['IMAGE_SAFETY', 'content_filter'],
  ['IMAGE_PROHIBITED_CONTENT', 'content_filter'],
  ['IMAGE_RECITATION', 'content_filter'],
  ['MALFORMED_FUNCTION_CALL', 'malformed_call'],
  ['UNEXPECTED_TOOL_CALL', 'malformed_call'],
  ['TOO_MANY_TOOL_CALLS', 'other'],
  ['MALFORMED_RESPONSE', 'other'],
  ['LANGUAGE', 'other'],
  ['NO_IMAGE', 'other'],
  ['IMAGE_OTHER', 'other'],
  ['OTHER', 'other'],
])

const UNSPECIFIED = new Set<unknown>([
  'FINISH_REASON_UNSPECIFIED',
  'BLOCKED_REASON_UNSPECIFIED',
  '',
])

/** Whether a reason says that the answer is over. */
export function isFinish(reason: unknown): boolean {
  return typeof reason === 'string' && !UNSPECIFIED.has(reason)
}

export function stopOf(reason: unknown, calledTools: boolean): StopReason {
  const stop = STOPS.get(reason) ?? 'other'
  return stop === 'end' && calledTools ? 'tool_use' : stop
}

/** The reverse. What has no twin is told in `finishMessage` too. */
const REASONS: Readonly<Record<StopReason, string>> = {
  end: 'STOP',
  stop_sequence: 'STOP',
  tool_use: 'STOP',
  length: 'MAX_TOKENS',
  context_overflow: 'MAX_TOKENS',
  refusal: 'SAFETY',
  content_filter: 'SAFETY',
  malformed_call: 'MALFORMED_FUNCTION_CALL',
  pause: 'OTHER',
  other: 'OTHER',
}

const MESSAGES: ReadonlyMap<StopReason, string> = new Map([
  ['context_overflow', 'The context of the model is full.'],
  ['refusal', 'The model refused.'],
  ['pause', 'The model paused; send its answer back to go on.'],
])

/** Members of a candidate that say why it ended, as JSON without braces. */
export function finishJson(stop: StopReason): string {
  const message = MESSAGES.get(stop)
  const told = message === undefined ? '' : `,"finishMessage":${JSON.stringify(message)}`
  return `"finishReason":"${REASONS[stop]}"${told}`
}

import type { Signature, ToolCallBlock } from '../../contracts/conversation.ts'
import { isRecord } from '../../lib/is-record.ts'
import { asMembers, type Members } from '../openai-wire/values.ts'
import { textOrNull } from '../read-answer.ts'

/** One entry of `tool_calls`; null when it is none that can be told apart. `fallbackId`: for vendors that leave ids out. */
export function readCall(call: Members, fallbackId: string): ToolCallBlock | null {
  const custom = call['type'] === 'custom'
  const body = asMembers(custom ? call['custom'] : call['function'])
  const name = textOrNull(body['name'])
  if (name === null) return null
  return {
    type: 'tool_call',
    id: textOrNull(call['id']) ?? fallbackId,
    name,
    input: argumentsText(custom ? body['input'] : body['arguments']),
    custom,
    signature: readCallSignature(call),
    cache: null,
  }
}

/** Arguments are a string, maybe of broken JSON; some vendors send the object itself. */
export function argumentsText(value: unknown): string {
  if (typeof value === 'string') return value
  return value === undefined || value === null ? '' : JSON.stringify(value)
}

/**
 * Gemini's compatible endpoint signs calls, and refuses the next turn without the signature.
 *
 * @see https://ai.google.dev/gemini-api/docs/thought-signatures (from general knowledge, not read live)
 */
export function readCallSignature(call: Members): Signature | null {
  const extra = call['extra_content']
  const google = isRecord(extra) ? extra['google'] : null
  const value = isRecord(google) ? textOrNull(google['thought_signature']) : null
  return value === null ? null : { value, origin: null }
}

export function extraContent(signature: Signature): Record<string, unknown> {
  return { google: { thought_signature: signature.value } }
}

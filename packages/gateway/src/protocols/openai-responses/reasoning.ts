import type { Signature, ThinkingBlock } from '../../contracts/conversation.ts'
import { asList, asMembers, type Members } from '../openai-wire/values.ts'
import { textOrNull } from '../read-answer.ts'
import { openSignature, sealSignature } from '../translation/seal.ts'

/** The signature of reasoning that a server shows in clear and takes back in clear, without any proof. */
const IN_CLEAR = 'reasoning_text'
/** Stands before the sealed state of a thinking block that shows nothing else. */
const REDACTED = 'redacted_'
const BETWEEN_PARTS = '\n\n'

/** A reasoning item, of an answer or given back by a client. Null: there is nothing in it. */
export function readReasoning(item: Members): ThinkingBlock | null {
  const shown = textsOf(item['content'])
  const text = shown === '' ? textsOf(item['summary']) : shown
  const state = textOrNull(item['encrypted_content'])
  if (state !== null && state !== '') return withState(text, state)
  if (text === '') return null
  const signature = shown === '' ? null : { value: IN_CLEAR, origin: null }
  return { type: 'thinking', text, signature, redacted: false }
}

function withState(text: string, state: string): ThinkingBlock {
  const redacted = state.startsWith(REDACTED)
  const signature = openSignature(redacted ? state.slice(REDACTED.length) : state)
  return { type: 'thinking', text, signature, redacted }
}

function textsOf(parts: unknown): string {
  const texts = asList(parts).map((part) => textOrNull(asMembers(part)['text']) ?? '')
  return texts.join(BETWEEN_PARTS)
}

/** The signature of a reasoning item of a stream, whose texts came in deltas. */
export function signatureOf(item: Members, inClear: boolean): Signature | null {
  const state = textOrNull(item['encrypted_content'])
  if (state !== null && state !== '') return { value: state, origin: null }
  return inClear ? { value: IN_CLEAR, origin: null } : null
}

/** As the provider that issued it takes it back. Its own ids are not needed where nothing is stored. */
export function giveBack(text: string, signature: Signature, redacted: boolean): Members {
  if (signature.value === IN_CLEAR) {
    return { type: 'reasoning', summary: [], content: [{ type: IN_CLEAR, text }] }
  }
  const state = redacted ? REDACTED + signature.value : signature.value
  return { type: 'reasoning', summary: summaryOf(text), encrypted_content: state }
}

export function summaryOf(text: string): readonly Members[] {
  return text === '' ? [] : [{ type: 'summary_text', text }]
}

/** What a client keeps of a thinking block. */
export function stateOf(signature: Signature, redacted: boolean): string {
  return redacted ? REDACTED + sealSignature(signature) : sealSignature(signature)
}

import type { Signature } from '../../contracts/conversation.ts'
import { callInput } from '../translation/call-input.ts'

/** Parts as JSON. Made from texts, because building and printing objects would be most of a translation's cost. */
export function textJson(text: string, signature: string | null = null): string {
  return `{"text":${JSON.stringify(text)}${signed(signature)}}`
}

/** `text` null: nothing to show, as with a redacted block. */
export function thoughtJson(text: string | null, signature: string | null): string {
  const shown = text === null ? '' : `"text":${JSON.stringify(text)},`
  return `{${shown}"thought":true${signed(signature)}}`
}

export type WrittenCall = { readonly id: string; readonly name: string; readonly input: string }

export function callJson({ id, name, input }: WrittenCall, signature: string | null): string {
  const head = `"id":${JSON.stringify(id)},"name":${JSON.stringify(name)}`
  return `{"functionCall":{${head},"args":${callInput(input).json}}${signed(signature)}}`
}

function signed(signature: string | null): string {
  return signature === null ? '' : `,"thoughtSignature":${JSON.stringify(signature)}`
}

/** A part that may still get a signature. */
export type DraftPart =
  | { readonly kind: 'text'; readonly text: string; signature: string | null }
  | { readonly kind: 'call'; readonly call: WrittenCall; signature: string | null }
  | { readonly kind: 'whole'; readonly json: string }

export function partJson(part: DraftPart): string {
  if (part.kind === 'text') return textJson(part.text, part.signature)
  return part.kind === 'call' ? callJson(part.call, part.signature) : part.json
}

/** The signature where it may go to; null where it may not. */
export function valueOf(
  signature: Signature | null,
  keeps: (signature: Signature) => boolean,
): string | null {
  return signature !== null && keeps(signature) ? signature.value : null
}

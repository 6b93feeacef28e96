import { isRecord } from '../../lib/is-record.ts'

const NO_ARGUMENTS = { json: '{}', broken: false } as const

/** Arguments of a call as the JSON text of an object. */
export type CallInput = { readonly json: string; readonly broken: boolean }

/**
 * The arguments of a call for a protocol that wants an object where another one has a text.
 *
 * The text itself, so that no number and no order changes. What is no object (a model may write broken JSON) travels as
 * `{"_raw_arguments": "the text"}`, so that the model sees what it wrote.
 */
export function callInput(text: string): CallInput {
  if (text === '' || text === '{}') return NO_ARGUMENTS
  try {
    const value: unknown = JSON.parse(text)
    if (isRecord(value)) return { json: text, broken: false }
  } catch {
    // Broken, and carried as it is.
  }
  return { json: JSON.stringify({ _raw_arguments: text }), broken: true }
}

/** What a provider gave as an object, as the text that stands for it between protocols. Too deep to be written: none. */
export function inputText(input: unknown): string {
  try {
    return JSON.stringify(input ?? {})
  } catch {
    return '{}'
  }
}

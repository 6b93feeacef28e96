import type { ByteEdit, Envelope } from '../../contracts/envelope.ts'
import { addMember } from '../edits.ts'

/** The path names the model; a body that names it too is renamed with it. */
export function renameModel({ modelSpan }: Envelope, model: string): ByteEdit | null {
  return modelSpan === null ? null : { ...modelSpan, text: JSON.stringify(`models/${model}`) }
}

/** The cap stands inside `generationConfig`, in whichever spelling the client chose. */
export function capOutput(envelope: Envelope, tokens: number): readonly ByteEdit[] {
  const { maxOutputSpans, capSlot } = envelope
  if (maxOutputSpans.length > 0) {
    return maxOutputSpans.map(({ start, end }) => ({ start, end, text: String(tokens) }))
  }
  if (capSlot === undefined) {
    return [addMember(envelope, 'generationConfig', `{"maxOutputTokens":${tokens}}`)]
  }
  const { start, end, before, after } = capSlot
  return [{ start, end, text: before + tokens + after }]
}

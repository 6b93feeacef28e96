import type { ByteEdit, Envelope } from '../contracts/envelope.ts'

/** Puts the upstream's own model name in place of the public one. */
export function renameModel(envelope: Envelope, model: string): ByteEdit | null {
  return envelope.modelSpan === null ? null : { ...envelope.modelSpan, text: JSON.stringify(model) }
}

/** Adds a member behind the last one, so that the prefix of the body stays as the client wrote it. */
export function addMember(envelope: Envelope, name: string, json: string): ByteEdit {
  const at = envelope.membersEndAt
  return { start: at, end: at, text: `${envelope.members.size === 0 ? '' : ','}"${name}":${json}` }
}

/** Lowers every cap that the client wrote, or adds one under `name`. */
export function capOutput(envelope: Envelope, name: string, tokens: number): readonly ByteEdit[] {
  if (envelope.maxOutputSpans.length === 0) return [addMember(envelope, name, String(tokens))]
  return envelope.maxOutputSpans.map((span) => ({ ...span, text: String(tokens) }))
}

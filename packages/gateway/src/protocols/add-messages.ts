import type { ByteEdit, Envelope } from '../contracts/envelope.ts'
import type { Prompt } from '../contracts/protocol.ts'

/** Prompts as messages of their own, before the first or behind the last of the client's, which are at least one. */
export function addMessages(
  _body: Buffer,
  envelope: Envelope,
  prompts: readonly Prompt[],
): readonly ByteEdit[] {
  const list = envelope.members.get('messages')
  if (list === undefined) return []
  const first = list.start + 1
  const last = list.end - 1
  const before = prompts.filter(({ position }) => position === 'start').map(messageJson)
  const behind = prompts.filter(({ position }) => position === 'end').map(messageJson)
  return [
    ...before.map((json) => ({ start: first, end: first, text: `${json},` })),
    ...behind.map((json) => ({ start: last, end: last, text: `,${json}` })),
  ]
}

function messageJson({ role, content }: Prompt): string {
  return JSON.stringify({ role, content })
}

import type { ByteEdit, Envelope, Span } from '../../contracts/envelope.ts'
import type { Prompt } from '../../contracts/protocol.ts'
import { addMember } from '../edits.ts'
import { invalidField } from '../read-body.ts'

const QUOTE = 0x22
const OPEN_ARRAY = 0x5b
/** The first byte of `null`, which is as good as absent. */
const NULL_START = 0x6e

/** Prompts as messages of their own in `input`. A string becomes the one message that it stands for. */
export function addPrompts(
  body: Buffer,
  envelope: Envelope,
  prompts: readonly Prompt[],
): readonly ByteEdit[] {
  const span = envelope.members.get('input')
  const before = prompts.filter(({ position }) => position === 'start').map(itemJson)
  const behind = prompts.filter(({ position }) => position === 'end').map(itemJson)
  const all = `[${[...before, ...behind].join(',')}]`
  if (span === undefined) return [addMember(envelope, 'input', all)]
  const first = body[span.start]
  if (first === NULL_START) return [{ ...span, text: all }]
  if (first === QUOTE) {
    return [
      insertion(span.start, `[${before.map(ahead).join('')}{"role":"user","content":`),
      insertion(span.end, `}${behind.map(after).join('')}]`),
    ]
  }
  if (first === OPEN_ARRAY) return intoList(body, span, { before, behind })
  throw invalidField('input', 'must be a string or a list of items.')
}

function intoList(
  body: Buffer,
  span: Span,
  { before, behind }: { readonly before: readonly string[]; readonly behind: readonly string[] },
): readonly ByteEdit[] {
  const first = span.start + 1
  const last = span.end - 1
  if (body.toString('latin1', first, last).trim() === '') {
    return [insertion(first, [...before, ...behind].join(','))]
  }
  return [
    ...before.map((json) => insertion(first, ahead(json))),
    ...behind.map((json) => insertion(last, after(json))),
  ]
}

function ahead(json: string): string {
  return `${json},`
}

function after(json: string): string {
  return `,${json}`
}

function insertion(at: number, text: string): ByteEdit {
  return { start: at, end: at, text }
}

function itemJson({ role, content }: Prompt): string {
  return JSON.stringify({ role, content })
}

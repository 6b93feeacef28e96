import type { ByteEdit, Envelope, Span } from '../../contracts/envelope.ts'
import type { Prompt } from '../../contracts/protocol.ts'
import { addMessages } from '../add-messages.ts'
import { addMember } from '../edits.ts'
import { invalidField } from '../read-body.ts'

const QUOTE = 0x22
const OPEN_ARRAY = 0x5b
/** The first byte of `null`, which is as good as absent. */
const NULL_START = 0x6e
const EMPTY_STRING_BYTES = 2
const SEPARATOR = '\n\n'

/**
 * System texts go into `system`, in the form that the client chose: into its string, or as blocks beside its blocks.
 *
 * Neither moves nor changes a block of the client, so that `cache_control` marks stay where they are.
 */
export function addPrompts(
  body: Buffer,
  envelope: Envelope,
  prompts: readonly Prompt[],
): readonly ByteEdit[] {
  const turns = prompts.filter((prompt) => !isSystem(prompt))
  const system = prompts.filter(isSystem)
  return [
    ...(system.length === 0 ? [] : addSystem(body, envelope, system)),
    ...(turns.length === 0 ? [] : addMessages(body, envelope, turns)),
  ]
}

/** This protocol knows no developer; what is meant is the same. */
function isSystem({ role }: Prompt): boolean {
  return role === 'system' || role === 'developer'
}

function addSystem(
  body: Buffer,
  envelope: Envelope,
  prompts: readonly Prompt[],
): readonly ByteEdit[] {
  const span = envelope.members.get('system')
  const whole = JSON.stringify(prompts.map(({ content }) => content).join(SEPARATOR))
  if (span === undefined) return [addMember(envelope, 'system', whole)]
  const before = prompts.filter(({ position }) => position === 'start')
  const behind = prompts.filter(({ position }) => position === 'end')
  const first = body[span.start]
  const isEmpty = first === QUOTE && span.end - span.start === EMPTY_STRING_BYTES
  if (first === NULL_START || isEmpty) return [{ ...span, text: whole }]
  if (first === QUOTE) return intoString(span, before, behind)
  if (first === OPEN_ARRAY) return intoList(body, span, { before, behind })
  throw invalidField('system', 'must be a string or a list of blocks.')
}

function intoString(
  span: Span,
  before: readonly Prompt[],
  behind: readonly Prompt[],
): readonly ByteEdit[] {
  const first = span.start + 1
  const last = span.end - 1
  return [
    ...before.map(({ content }) => insertion(first, escaped(content + SEPARATOR))),
    ...behind.map(({ content }) => insertion(last, escaped(SEPARATOR + content))),
  ]
}

function intoList(
  body: Buffer,
  span: Span,
  prompts: { readonly before: readonly Prompt[]; readonly behind: readonly Prompt[] },
): readonly ByteEdit[] {
  const first = span.start + 1
  const last = span.end - 1
  if (body.toString('latin1', first, last).trim() === '') {
    const blocks = [...prompts.before, ...prompts.behind].map(blockJson)
    return [insertion(first, blocks.join(','))]
  }
  return [
    ...prompts.before.map((prompt) => insertion(first, `${blockJson(prompt)},`)),
    ...prompts.behind.map((prompt) => insertion(last, `,${blockJson(prompt)}`)),
  ]
}

function insertion(at: number, text: string): ByteEdit {
  return { start: at, end: at, text }
}

/** As it stands between the quotes of a JSON string. */
function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}

function blockJson({ content }: Prompt): string {
  return JSON.stringify({ type: 'text', text: content })
}

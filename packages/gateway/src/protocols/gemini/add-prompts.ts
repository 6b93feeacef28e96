import type { ByteEdit, Envelope, Span } from '../../contracts/envelope.ts'
import type { Prompt } from '../../contracts/protocol.ts'
import { scanJsonObject } from '../../lib/json-scan.ts'
import { addMember } from '../edits.ts'
import { invalidField } from '../read-body.ts'

const OPEN_OBJECT = 0x7b
const OPEN_ARRAY = 0x5b
const NULL_START = 0x6e
/** The body was checked before. */
const INNER_SCAN = { maxDepth: Infinity, refuseDuplicateKeys: false, watch: null } as const

type Ends = { readonly before: readonly string[]; readonly behind: readonly string[] }

/** System texts go into `systemInstruction` as parts beside the client's, turns into `contents`. */
export function addPrompts(
  body: Buffer,
  envelope: Envelope,
  prompts: readonly Prompt[],
): readonly ByteEdit[] {
  const system = prompts.filter(isSystem)
  const turns = prompts.filter((prompt) => !isSystem(prompt))
  const contents = envelope.members.get('contents')
  return [
    ...(system.length === 0 ? [] : addSystem(body, envelope, endsOf(system, partJson))),
    ...(turns.length === 0 || contents === undefined
      ? []
      : addTo(body, contents, endsOf(turns, contentJson))),
  ]
}

/** This protocol knows no developer; what is meant is the same. */
function isSystem({ role }: Prompt): boolean {
  return role === 'system' || role === 'developer'
}

function endsOf(prompts: readonly Prompt[], json: (prompt: Prompt) => string): Ends {
  return {
    before: prompts.filter(({ position }) => position === 'start').map(json),
    behind: prompts.filter(({ position }) => position === 'end').map(json),
  }
}

function addSystem(body: Buffer, envelope: Envelope, parts: Ends): readonly ByteEdit[] {
  const { members } = envelope
  const span = members.get('systemInstruction') ?? members.get('system_instruction')
  const list = `[${[...parts.before, ...parts.behind].join(',')}]`
  if (span === undefined) return [addMember(envelope, 'systemInstruction', `{"parts":${list}}`)]
  if (body[span.start] === NULL_START) return [{ ...span, text: `{"parts":${list}}` }]
  if (body[span.start] !== OPEN_OBJECT) {
    throw invalidField('systemInstruction', 'must be an object with parts.')
  }
  const inner = scanJsonObject(body, INNER_SCAN, span.start, span.end)
  const own = inner.members.get('parts')
  if (own !== undefined && body[own.start] !== NULL_START) return addTo(body, own, parts)
  if (own !== undefined) return [{ ...own, text: list }]
  const comma = inner.members.size === 0 ? '' : ','
  return [{ start: inner.membersEndAt, end: inner.membersEndAt, text: `${comma}"parts":${list}` }]
}

/** Adds to a list; an element that stands alone becomes one of a list. */
function addTo(body: Buffer, span: Span, { before, behind }: Ends): readonly ByteEdit[] {
  const first = body[span.start]
  if (first === OPEN_OBJECT) {
    const own = body.toString('utf8', span.start, span.end)
    return [{ ...span, text: `[${[...before, own, ...behind].join(',')}]` }]
  }
  if (first !== OPEN_ARRAY) throw invalidField('contents', 'must be a list.')
  const start = span.start + 1
  const end = span.end - 1
  if (body.toString('latin1', start, end).trim() === '') {
    return [insertion(start, [...before, ...behind].join(','))]
  }
  return [
    ...before.map((json) => insertion(start, `${json},`)),
    ...behind.map((json) => insertion(end, `,${json}`)),
  ]
}

function insertion(at: number, text: string): ByteEdit {
  return { start: at, end: at, text }
}

function partJson({ content }: Prompt): string {
  return JSON.stringify({ text: content })
}

function contentJson({ role, content }: Prompt): string {
  return JSON.stringify({
    role: role === 'assistant' ? 'model' : 'user',
    parts: [{ text: content }],
  })
}

import type {
  Block,
  TextBlock,
  ToolCallBlock,
  ToolResultBlock,
  Turn,
} from '../../contracts/conversation.ts'
import type { LossList } from '../../contracts/dialect.ts'
import { readCache, textBlock } from '../openai-wire/parts.ts'
import {
  asList,
  isStated,
  listUnknown,
  type Members,
  needMembers,
  needText,
  notTranslatable,
  readList,
  readText,
} from '../openai-wire/values.ts'
import { invalidField } from '../read-body.ts'
import { openCallId } from '../translation/seal.ts'
import { readCall } from './read-calls.ts'
import { readAnnotations, readContent } from './read-parts.ts'
import { readThinking } from './reasoning.ts'

type Draft = {
  readonly system: TextBlock[]
  readonly turns: Turn[]
  /** Results of neighbouring `tool` messages; null when the message before was another. */
  results: Block[] | null
  /** Name and id of legacy calls that wait for their `function` message. */
  readonly legacyCalls: { readonly name: string; readonly id: string }[]
  readonly losses: LossList
}

type MessageReader = (draft: Draft, message: Members, at: string) => void

const READERS: ReadonlyMap<string, MessageReader> = new Map<string, MessageReader>([
  ['system', readSystem],
  ['developer', readSystem],
  ['user', readUser],
  ['assistant', readAssistant],
  ['tool', readTool],
  ['function', readFunction],
])

const KNOWN: ReadonlySet<string> = new Set([
  'role',
  'content',
  'cache_control',
  'tool_calls',
  'tool_call_id',
  'function_call',
  'refusal',
  'annotations',
  'audio',
  'reasoning_content',
  'reasoning',
  'reasoning_details',
])
/** Members of an assistant's message that answers carry for the client alone, so that they are no loss. */
const ECHOED: ReadonlySet<string> = new Set(['parsed', 'logprobs'])
const KNOWN_OF_ASSISTANT: ReadonlySet<string> = new Set([...KNOWN, ...ECHOED])

/** System texts before the first turn lead the conversation; later ones are turns of their own. */
export function readMessages(
  request: Members,
  losses: LossList,
): { readonly system: readonly TextBlock[]; readonly turns: readonly Turn[] } {
  const draft: Draft = { system: [], turns: [], results: null, legacyCalls: [], losses }
  for (const [i, value] of readList(request, 'messages').entries()) {
    const at = `messages[${i}]`
    const message = needMembers(value, at)
    const { role } = message
    const read = typeof role === 'string' ? READERS.get(role) : undefined
    if (read === undefined) throw invalidField(`${at}.role`, 'is not known.')
    const known = role === 'assistant' ? KNOWN_OF_ASSISTANT : KNOWN
    // A function's message is told by its name.
    if (role !== 'function') listUnknown(message, known, { prefix: 'messages[].', losses })
    if (role !== 'tool' && role !== 'function') draft.results = null
    read(draft, message, at)
  }
  return draft
}

function readSystem(draft: Draft, message: Members, at: string): void {
  const texts = contentOf(draft, message, at).map((block) => {
    if (block.type !== 'text') throw invalidField(`${at}.content`, 'must be text.')
    return block
  })
  if (draft.turns.length === 0) draft.system.push(...texts)
  else addTurn(draft, 'system', texts)
}

function readUser(draft: Draft, message: Members, at: string): void {
  addTurn(draft, 'user', contentOf(draft, message, at))
}

function readAssistant(draft: Draft, message: Members, at: string): void {
  if (isStated(message['audio'])) {
    throw notTranslatable(
      `${at}.audio`,
      'earlier audio answers are only known to their own provider.',
    )
  }
  const blocks: Block[] = readThinking(message)
  blocks.push(...withCitations(contentOf(draft, message, at), message['annotations']))
  const refusal = readText(message, 'refusal', `${at}.refusal`)
  if (refusal !== null && refusal !== '') blocks.push({ type: 'refusal', text: refusal })
  for (const [i, value] of readList(message, 'tool_calls', `${at}.tool_calls`).entries()) {
    const path = `${at}.tool_calls[${i}]`
    const call = readCall(needMembers(value, path), `call_${draft.turns.length}_${i}`)
    if (call === null) throw invalidField(path, 'must name a function.')
    blocks.push(opened(call))
  }
  if (isStated(message['function_call'])) readLegacyCall(draft, { message, at, blocks })
  addTurn(draft, 'assistant', blocks)
}

/** The id that a client gives back may hold the signature of its call. */
function opened(call: ToolCallBlock): ToolCallBlock {
  const { id, signature } = openCallId(call.id)
  return signature === null ? call : { ...call, id, signature }
}

/** A legacy call has no id: its place gives it one. */
function readLegacyCall(
  draft: Draft,
  { message, at, blocks }: { message: Members; at: string; blocks: Block[] },
): void {
  const id = `call_${draft.turns.length}`
  const call = readCall({ function: message['function_call'] }, id)
  if (call === null) throw invalidField(`${at}.function_call`, 'must name a function.')
  blocks.push(call)
  draft.legacyCalls.push({ name: call.name, id })
}

function readTool(draft: Draft, message: Members, at: string): void {
  const callId = openCallId(needText(message, 'tool_call_id', `${at}.tool_call_id`)).id
  addResult(draft, callId, { message, at })
}

function readFunction(draft: Draft, message: Members, at: string): void {
  const name = needText(message, 'name', `${at}.name`)
  const waiting = draft.legacyCalls.findIndex((call) => call.name === name)
  const [call] = waiting === -1 ? [] : draft.legacyCalls.splice(waiting, 1)
  if (call === undefined) throw invalidField(`${at}.name`, 'answers no call of this function.')
  addResult(draft, call.id, { message, at })
}

function addResult(
  draft: Draft,
  callId: string,
  { message, at }: { message: Members; at: string },
): void {
  const content = contentOf(draft, message, at).map((block) => {
    if (block.type !== 'audio' && block.type !== 'refusal') return block
    throw notTranslatable(`${at}.content`, 'results of tools hold text, images and files only.')
  })
  const cache = readCache(message)
  const result: ToolResultBlock = { type: 'tool_result', callId, content, isError: false, cache }
  if (draft.results === null) {
    draft.results = [result]
    draft.turns.push({ role: 'user', blocks: draft.results })
  } else draft.results.push(result)
}

function contentOf(
  { losses }: Draft,
  message: Members,
  at: string,
): ReturnType<typeof readContent> {
  const blocks = readContent(message['content'], { path: `${at}.content`, losses })
  const cache = message['role'] === 'tool' ? null : readCache(message)
  const last = blocks.at(-1)
  if (cache === null || last === undefined || last.type === 'audio' || last.type === 'refusal') {
    return blocks
  }
  return [...blocks.slice(0, -1), { ...last, cache }]
}

/** Annotations belong to the message's text, which is one block wherever they come from an answer. */
function withCitations(
  blocks: ReturnType<typeof readContent>,
  annotations: unknown,
): readonly Block[] {
  const [first, ...rest] = blocks
  if (asList(annotations).length === 0 || first?.type !== 'text') return blocks
  return [
    { ...textBlock(first.text, first.cache), citations: readAnnotations(annotations) },
    ...rest,
  ]
}

function addTurn(draft: Draft, role: Turn['role'], blocks: readonly Block[]): void {
  if (blocks.length > 0) draft.turns.push({ role, blocks })
}

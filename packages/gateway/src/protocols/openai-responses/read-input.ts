import type { Block, TextBlock, ToolResultBlock, Turn } from '../../contracts/conversation.ts'
import type { LossList } from '../../contracts/dialect.ts'
import { textBlock } from '../openai-wire/parts.ts'
import {
  isStated,
  listUnknown,
  type Members,
  needMembers,
  needText,
  notTranslatable,
} from '../openai-wire/values.ts'
import { textOrNull } from '../read-answer.ts'
import { invalidField } from '../read-body.ts'
import { openCallId } from '../translation/seal.ts'
import { readContent } from './read-content.ts'
import { readReasoning } from './reasoning.ts'

type OpenTurn = { readonly role: Turn['role']; readonly blocks: Block[] }

type Draft = {
  readonly system: TextBlock[]
  readonly turns: OpenTurn[]
  /** The turn that neighbouring items of the same kind belong to. */
  current: { readonly kind: string; readonly turn: OpenTurn } | null
  readonly losses: LossList
}

type ItemReader = (draft: Draft, item: Members, at: string) => void

const READERS: ReadonlyMap<string, ItemReader> = new Map<string, ItemReader>([
  ['message', readMessage],
  ['reasoning', readReasoningItem],
  ['function_call', readCall],
  ['custom_tool_call', readCall],
  ['function_call_output', readOutput],
  ['custom_tool_call_output', readOutput],
  ['item_reference', refuse],
  ['compaction', refuse],
])

const KNOWN: ReadonlySet<string> = new Set([
  'type',
  'id',
  'status',
  'role',
  'content',
  'summary',
  'encrypted_content',
  'call_id',
  'name',
  'arguments',
  'input',
  'output',
])

/** Items as turns: what a model gave in a row is one turn of it, results in a row are one turn of the user. */
export function readInput(
  request: Members,
  losses: LossList,
): { readonly system: readonly TextBlock[]; readonly turns: readonly Turn[] } {
  const draft: Draft = { system: [], turns: [], current: null, losses }
  const { instructions, input } = request
  if (typeof instructions === 'string' && instructions !== '') {
    draft.system.push(textBlock(instructions))
  } else if (isStated(instructions) && typeof instructions !== 'string') {
    throw invalidField('instructions', 'must be a string.')
  }
  if (typeof input === 'string') {
    if (input !== '') addBlocks(draft, 'user', [textBlock(input)])
    return draft
  }
  if (!Array.isArray(input)) throw invalidField('input', 'must be a string or a list of items.')
  for (const [i, value] of input.entries()) readItem(draft, value, `input[${i}]`)
  return draft
}

function readItem(draft: Draft, value: unknown, at: string): void {
  const item = needMembers(value, at)
  const type = textOrNull(item['type']) ?? 'message'
  const read = READERS.get(type)
  if (read === undefined) {
    draft.losses.add(`input[].type=${type}`)
    return
  }
  listUnknown(item, KNOWN, { prefix: 'input[].', losses: draft.losses })
  read(draft, item, at)
}

function readMessage(draft: Draft, item: Members, at: string): void {
  const { role } = item
  const blocks = readContent(item['content'], { path: `${at}.content`, losses: draft.losses })
  if (role === 'assistant') return addBlocks(draft, 'assistant', blocks)
  if (role === 'user') {
    draft.current = null
    return addBlocks(draft, 'user', blocks)
  }
  if (role !== 'system' && role !== 'developer') throw invalidField(`${at}.role`, 'is not known.')
  const texts = blocks.map((block) => {
    if (block.type !== 'text') throw invalidField(`${at}.content`, 'must be text.')
    return block
  })
  if (draft.turns.length === 0) draft.system.push(...texts)
  else addBlocks(draft, 'system', texts)
}

function readReasoningItem(draft: Draft, item: Members): void {
  const block = readReasoning(item)
  if (block !== null) addBlocks(draft, 'assistant', [block])
}

function readCall(draft: Draft, item: Members, at: string): void {
  const custom = item['type'] === 'custom_tool_call'
  const { id, signature } = openCallId(needText(item, 'call_id', `${at}.call_id`))
  const name = needText(item, 'name', `${at}.name`)
  const input = textOrNull(custom ? item['input'] : item['arguments']) ?? ''
  addBlocks(draft, 'assistant', [
    { type: 'tool_call', id, name, input, custom, signature, cache: null },
  ])
}

function readOutput(draft: Draft, item: Members, at: string): void {
  const callId = openCallId(needText(item, 'call_id', `${at}.call_id`)).id
  const blocks = readContent(item['output'], { path: `${at}.output`, losses: draft.losses })
  const content = blocks.map((block) => {
    if (block.type !== 'audio' && block.type !== 'refusal') return block
    throw notTranslatable(`${at}.output`, 'results of tools hold text, images and files only.')
  })
  const result: ToolResultBlock = {
    type: 'tool_result',
    callId,
    content,
    isError: false,
    cache: null,
  }
  addTo(draft, 'results', { role: 'user', blocks: [result] })
}

function refuse(_draft: Draft, item: Members, at: string): void {
  const type = textOrNull(item['type']) ?? ''
  throw notTranslatable(`${at}.type`, `an item of the type ${type} is known to its provider only.`)
}

function addBlocks(draft: Draft, role: Turn['role'], blocks: readonly Block[]): void {
  if (blocks.length > 0) addTo(draft, role, { role, blocks })
}

function addTo(draft: Draft, kind: string, { role, blocks }: Turn): void {
  if (draft.current?.kind === kind) {
    draft.current.turn.blocks.push(...blocks)
    return
  }
  const turn: OpenTurn = { role, blocks: [...blocks] }
  draft.turns.push(turn)
  draft.current = { kind, turn }
}

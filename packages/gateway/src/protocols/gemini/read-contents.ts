import type { Block, TextBlock, ToolResultBlock, Turn } from '../../contracts/conversation.ts'
import type { LossList } from '../../contracts/dialect.ts'
import { isRecord } from '../../lib/is-record.ts'
import { invalidField } from '../read-body.ts'
import { openSignature } from '../translation/seal.ts'
import { CallIds } from './calls.ts'
import { codeText, resultText } from './code-parts.ts'
import { readFileData, readInlineData } from './media.ts'
import { listUnread, type Members, optionalText } from './members.ts'
import { NO_SIGNATURE } from './signatures.ts'
import { camelMembers, messageMembers, repeated } from './spelling.ts'

const PART = 'contents[].parts[]'
const CONTENT_READ: ReadonlySet<string> = new Set(['role', 'parts'])
const RESPONSE_READ: ReadonlySet<string> = new Set(['id', 'name', 'response', 'parts'])
/** Members that say something about a part whose kind another member says. */
const MODIFIERS: ReadonlySet<string> = new Set(['thought', 'thoughtSignature'])

const ROLES: ReadonlyMap<unknown, Turn['role']> = new Map<unknown, Turn['role']>([
  [undefined, 'user'],
  [null, 'user'],
  ['', 'user'],
  ['user', 'user'],
  ['function', 'user'],
  ['model', 'assistant'],
  ['system', 'system'],
])

type Draft = { readonly losses: LossList; readonly calls: CallIds; blocks: Block[] }

/**
 * Contents as turns. Neighbours of the model become one turn, and its neighbouring texts and thoughts one block each,
 * because clients give back a stream chunk by chunk.
 */
export function readContents(value: unknown, losses: LossList): readonly Turn[] {
  const draft: Draft = { losses, calls: new CallIds(), blocks: [] }
  const turns: { role: Turn['role']; blocks: Block[] }[] = []
  for (const entry of repeated(value)) {
    if (!isRecord(entry)) throw invalidField('contents[]', 'must be an object.')
    const content = camelMembers(entry, 'contents[]')
    const role = ROLES.get(content['role'])
    if (role === undefined) throw invalidField('contents[].role', 'must be user or model.')
    listUnread(content, CONTENT_READ, { at: 'contents[]', losses })
    const last = turns.at(-1)
    const goesOn = role === 'assistant' && last?.role === role
    draft.blocks = goesOn ? last.blocks : []
    readParts(draft, content['parts'], role === 'assistant')
    if (!goesOn && draft.blocks.length > 0) turns.push({ role, blocks: draft.blocks })
  }
  return turns
}

/** The texts of `systemInstruction`. */
export function readSystem(value: unknown, losses: LossList): readonly TextBlock[] {
  const content = messageMembers(value, 'systemInstruction')
  if (content === null) return []
  const texts: TextBlock[] = []
  for (const part of repeated(content['parts'])) {
    const text = isRecord(part) ? part['text'] : null
    if (typeof text !== 'string') losses.add('systemInstruction.parts[]')
    else if (text !== '') texts.push(textBlock(text))
  }
  return texts
}

function readParts(draft: Draft, parts: unknown, byModel: boolean): void {
  for (const entry of repeated(parts)) {
    if (!isRecord(entry)) throw invalidField(PART, 'must be an object.')
    const part = camelMembers(entry, PART)
    if (typeof part['text'] === 'string' || part['thought'] === true) {
      readText(draft, part, byModel)
      continue
    }
    let known = false
    for (const name in part) {
      const read = READERS.get(name)
      if (read !== undefined && isRecord(part[name])) {
        read(draft, camelMembers(part[name], `${PART}.${name}`), part)
        known = true
      } else if (!MODIFIERS.has(name) && part[name] !== null) draft.losses.add(`${PART}.${name}`)
    }
    if (!known) readText(draft, part, byModel)
  }
}

const TEXT_READ: ReadonlySet<string> = new Set(['text', 'thought', 'thoughtSignature'])

/**
 * A text or a thought, with its signature. The model has no signed texts: the signature of one becomes a thought without
 * words behind it.
 */
function readText({ blocks, losses }: Draft, part: Members, byModel: boolean): void {
  listUnread(part, TEXT_READ, { at: PART, losses })
  if (part['thought'] === true) return readThought(blocks, part)
  const text = optionalText(part, 'text', PART) ?? ''
  const signature = signatureOf(part)
  const last = blocks.at(-1)
  if (byModel && last?.type === 'text') {
    blocks[blocks.length - 1] = { ...last, text: last.text + text }
  } else if (text !== '') blocks.push(textBlock(text))
  if (signature !== null) blocks.push({ type: 'thinking', text: '', signature, redacted: false })
}

function readThought(blocks: Block[], part: Members): void {
  const text = optionalText(part, 'text', PART)
  const signature = signatureOf(part)
  const last = blocks.at(-1)
  if (last?.type === 'thinking' && last.signature === null && !last.redacted) {
    blocks[blocks.length - 1] = { ...last, text: last.text + (text ?? ''), signature }
  } else if (text !== null || signature !== null) {
    blocks.push({ type: 'thinking', text: text ?? '', signature, redacted: text === null })
  }
}

type PartReader = (draft: Draft, value: Members, part: Members) => void

const READERS: ReadonlyMap<string, PartReader> = new Map<string, PartReader>([
  [
    'inlineData',
    (draft, data) => void draft.blocks.push(readInlineData(data, `${PART}.inlineData`)),
  ],
  ['fileData', (draft, data) => void draft.blocks.push(readFileData(data, `${PART}.fileData`))],
  ['functionCall', readCall],
  ['functionResponse', readResponse],
  ['executableCode', (draft, code) => void draft.blocks.push(textBlock(codeText(code)))],
  ['codeExecutionResult', (draft, result) => void draft.blocks.push(textBlock(resultText(result)))],
])

function readCall(draft: Draft, call: Members, part: Members): void {
  const name = requiredName(call, 'functionCall')
  const args = call['args'] ?? {}
  if (!isRecord(args)) throw invalidField(`${PART}.functionCall.args`, 'must be an object.')
  const id = optionalText(call, 'id', `${PART}.functionCall`)
  draft.blocks.push({
    type: 'tool_call',
    id: draft.calls.call(id === '' ? null : id, name),
    name,
    input: JSON.stringify(args),
    custom: false,
    signature: signatureOf(part),
    cache: null,
  })
}

function readResponse(draft: Draft, answer: Members): void {
  const at = `${PART}.functionResponse`
  const name = requiredName(answer, 'functionResponse')
  listUnread(answer, RESPONSE_READ, { at, losses: draft.losses })
  const id = optionalText(answer, 'id', at)
  const callId = draft.calls.result(id === '' ? null : id, name)
  if (callId === null) throw invalidField(at, 'answers no functionCall before it.')
  const { text, isError } = readOutput(answer['response'])
  const content: ToolResultBlock['content'][number][] = text === '' ? [] : [textBlock(text)]
  for (const entry of repeated(answer['parts'])) {
    const block = isRecord(entry) ? readResponsePart(camelMembers(entry, at)) : null
    if (block === null || block.type === 'audio') draft.losses.add(`${at}.parts[]`)
    else content.push(block)
  }
  draft.blocks.push({ type: 'tool_result', callId, content, isError, cache: null })
}

function readResponsePart(part: Members): ReturnType<typeof readInlineData> | null {
  const at = `${PART}.functionResponse.parts[]`
  const { inlineData, fileData } = part
  if (isRecord(inlineData)) return readInlineData(camelMembers(inlineData, at), at)
  return isRecord(fileData) ? readFileData(camelMembers(fileData, at), at) : null
}

/** `output` and `error` alone are what they say; anything else is output as a whole. */
function readOutput(response: unknown): { readonly text: string; readonly isError: boolean } {
  if (!isRecord(response)) return { text: '', isError: false }
  const names = Object.keys(response)
  const [name] = names
  if (names.length !== 1 || (name !== 'output' && name !== 'error')) {
    return { text: names.length === 0 ? '' : JSON.stringify(response), isError: false }
  }
  const value = response[name]
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return { text, isError: name === 'error' }
}

function requiredName(message: Members, kind: string): string {
  const name = optionalText(message, 'name', `${PART}.${kind}`)
  if (name === null || name === '') throw invalidField(`${PART}.${kind}.name`, 'is required.')
  return name
}

function signatureOf(part: Members): ReturnType<typeof openSignature> | null {
  const value = part['thoughtSignature']
  if (typeof value !== 'string' || value === '' || value === NO_SIGNATURE) return null
  return openSignature(value)
}

function textBlock(text: string): TextBlock {
  return { type: 'text', text, citations: [], cache: null }
}

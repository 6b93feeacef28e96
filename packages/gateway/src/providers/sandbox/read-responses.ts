import { isRecord } from '../../lib/is-record.ts'
import { type Ask, BadAsk, type Tool, type ToolChoice } from './ask.ts'
import {
  checkNumber,
  readBoolean,
  readInteger,
  readRecords,
  readText,
  textOr,
} from './read-fields.ts'
import { isProof } from './reasoning-state.ts'

/** The vendor's least and ours most. Source: platform.openai.com/docs/api-reference/responses, from knowledge. */
const MIN_OUTPUT_TOKENS = 16
const MAX_OUTPUT_TOKENS = 1_000_000
const ROLES = new Set(['user', 'assistant', 'system', 'developer'])

type Draft = {
  readonly texts: string[]
  itemCount: number
  imageCount: number
  lastUserText: string
  toolResults: number
}

type Item = Readonly<Record<string, unknown>>
type ItemReader = (draft: Draft, item: Item, at: string) => void

/** Reads and checks a Responses request. Nothing is kept between requests, so that ids of earlier answers are unknown. */
export function readResponses(body: Record<string, unknown>): Ask {
  const model = readText(body, 'model')
  checkNumber(body, 'temperature', 0, 2)
  checkNumber(body, 'top_p', 0, 1)
  if (body['previous_response_id'] !== undefined && body['previous_response_id'] !== null) {
    throw new BadAsk('Previous response not found.', 'previous_response_id')
  }
  const draft: Draft = { texts: [], itemCount: 0, imageCount: 0, lastUserText: '', toolResults: 0 }
  if (typeof body['instructions'] === 'string') readMessageText(draft, body['instructions'])
  readInput(draft, body)
  const listed = readRecords(body, 'tools')
  if (listed.length > 0) draft.texts.push(JSON.stringify(listed))
  const { reasoning } = body
  return {
    protocol: 'openai-responses',
    model,
    stream: readBoolean(body, 'stream'),
    texts: draft.texts,
    messageCount: draft.itemCount,
    imageCount: draft.imageCount,
    lastUserText: draft.lastUserText,
    toolResults: draft.toolResults,
    tools: listed.flatMap(readTool),
    toolChoice: readToolChoice(body['tool_choice']),
    maxTokens: readInteger(body, 'max_output_tokens', MIN_OUTPUT_TOKENS, MAX_OUTPUT_TOKENS),
    stop: [],
    choices: 1,
    streamUsage: true,
    jsonSchema: readFormat(body['text']),
    showsReasoning: isRecord(reasoning) && typeof reasoning['summary'] === 'string',
    tellsState: asksForState(body['include']),
    unprovenCall: null,
  }
}

function asksForState(include: unknown): boolean {
  return Array.isArray(include) && include.includes('reasoning.encrypted_content')
}

function readInput(draft: Draft, body: Item): void {
  if (typeof body['input'] === 'string') {
    readMessageText(draft, body['input'])
    draft.lastUserText = body['input']
    return
  }
  const items = readRecords(body, 'input')
  if (items.length === 0) throw new BadAsk("Missing required parameter: 'input'.", 'input')
  items.forEach((item, i) => {
    const type = textOr(item['type'], 'message')
    const read = ITEMS.get(type)
    if (read === undefined) {
      throw new BadAsk(`Invalid value: '${type}'.`, `input[${i}].type`)
    }
    read(draft, item, `input[${i}]`)
  })
}

function readMessageText(draft: Draft, text: string): void {
  draft.itemCount += 1
  draft.texts.push(text)
}

const ITEMS: ReadonlyMap<string, ItemReader> = new Map<string, ItemReader>([
  ['message', readMessage],
  ['function_call', (draft, item) => readCall(draft, item, 'arguments')],
  ['custom_tool_call', (draft, item) => readCall(draft, item, 'input')],
  ['function_call_output', readOutput],
  ['custom_tool_call_output', readOutput],
  ['reasoning', readReasoning],
])

function readMessage(draft: Draft, item: Item, at: string): void {
  const { role } = item
  if (typeof role !== 'string' || !ROLES.has(role)) {
    throw new BadAsk(`Invalid value: '${textOr(role, typeof role)}'.`, `${at}.role`)
  }
  const from = draft.texts.length
  draft.itemCount += 1
  readContent(draft, item['content'], `${at}.content`)
  if (role !== 'user') return
  draft.lastUserText = draft.texts.slice(from).join('\n')
  draft.toolResults = 0
}

function readContent(draft: Draft, content: unknown, at: string): void {
  if (typeof content === 'string') {
    draft.texts.push(content)
    return
  }
  if (!Array.isArray(content)) throw new BadAsk(`Invalid type for '${at}'.`, at)
  content.forEach((part: unknown, i) => {
    if (!isRecord(part)) throw new BadAsk(`Invalid type for '${at}[${i}]'.`, at)
    const { type } = part
    if (type === 'input_text' || type === 'output_text') draft.texts.push(textOr(part['text'], ''))
    else if (type === 'refusal') draft.texts.push(textOr(part['refusal'], ''))
    else if (typeof type === 'string' && type.startsWith('input_')) draft.imageCount += 1
    else throw new BadAsk(`Invalid value for '${at}[${i}].type'.`, `${at}[${i}].type`)
  })
}

function readCall(draft: Draft, item: Item, member: string): void {
  readText(item, 'call_id')
  draft.itemCount += 1
  draft.texts.push(readText(item, 'name'), textOr(item[member], ''))
}

function readOutput(draft: Draft, item: Item, at: string): void {
  readText(item, 'call_id')
  draft.itemCount += 1
  draft.toolResults += 1
  readContent(draft, item['output'], `${at}.output`)
}

function readReasoning(draft: Draft, item: Item, at: string): void {
  const state = item['encrypted_content']
  if (state !== undefined && state !== null && !isProof('openai-responses', state)) {
    throw new BadAsk('The encrypted content could not be verified.', `${at}.encrypted_content`)
  }
  for (const part of readRecords(item, 'summary')) draft.texts.push(textOr(part['text'], ''))
}

function readTool(tool: Item): readonly Tool[] {
  if (tool['type'] === 'custom')
    return [{ name: readText(tool, 'name'), schema: null, custom: true }]
  if (tool['type'] !== 'function') return []
  return [{ name: readText(tool, 'name'), schema: tool['parameters'] }]
}

function readToolChoice(choice: unknown): ToolChoice {
  if (choice === 'none') return { kind: 'none' }
  if (choice === 'required') return { kind: 'any' }
  if (isRecord(choice) && typeof choice['name'] === 'string') {
    return { kind: 'named', name: choice['name'] }
  }
  return { kind: 'auto' }
}

function readFormat(text: unknown): unknown {
  const format = isRecord(text) ? text['format'] : null
  if (!isRecord(format)) return undefined
  if (format['type'] === 'json_object') return null
  return format['type'] === 'json_schema' ? (format['schema'] ?? null) : undefined
}

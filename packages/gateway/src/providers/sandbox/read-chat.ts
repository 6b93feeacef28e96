import { isRecord } from '../../lib/is-record.ts'
import { type Ask, BadAsk, type Tool, type ToolChoice } from './ask.ts'
import {
  checkNumber,
  readBoolean,
  readInteger,
  readMessages,
  readRecords,
  readStrings,
  readText,
  textOr,
} from './read-fields.ts'

const ROLES = new Set(['system', 'developer', 'user', 'assistant', 'tool', 'function'])
const MAX_OUTPUT_TOKENS = 1_000_000

type Draft = {
  readonly texts: string[]
  imageCount: number
  lastUserText: string
  toolResults: number
}

/** Reads and checks a chat completion request. Throws `BadAsk`. */
export function readChat(body: Record<string, unknown>): Ask {
  const model = readText(body, 'model')
  const messages = readMessages(body)
  const stream = readBoolean(body, 'stream')
  checkNumber(body, 'temperature', 0, 2)
  checkNumber(body, 'top_p', 0, 1)
  const draft: Draft = { texts: [], imageCount: 0, lastUserText: '', toolResults: 0 }
  messages.forEach((message, i) => readMessage(draft, message, `messages[${i}]`))
  const tools = readTools(body, draft)
  return {
    protocol: 'openai-chat',
    model,
    stream,
    texts: draft.texts,
    messageCount: messages.length,
    imageCount: draft.imageCount,
    lastUserText: draft.lastUserText,
    toolResults: draft.toolResults,
    tools,
    toolChoice: readToolChoice(body['tool_choice']),
    maxTokens:
      readInteger(body, 'max_completion_tokens', 1, MAX_OUTPUT_TOKENS) ??
      readInteger(body, 'max_tokens', 1, MAX_OUTPUT_TOKENS),
    stop: readStrings(body['stop'], 'stop', 4),
    choices: readInteger(body, 'n', 1, 128) ?? 1,
    streamUsage: readStreamUsage(body, stream),
    jsonSchema: readFormat(body['response_format']),
    showsReasoning: true,
    tellsState: false,
    unprovenCall: null,
  }
}

function readMessage(draft: Draft, message: Record<string, unknown>, at: string): void {
  const role = message['role']
  if (typeof role !== 'string' || !ROLES.has(role)) {
    throw new BadAsk(
      `Invalid value: '${textOr(role, typeof role)}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.`,
      `${at}.role`,
    )
  }
  const from = draft.texts.length
  readContent(draft, message['content'], at)
  for (const call of readRecords(message, 'tool_calls')) readCall(draft, call, at)
  if (role === 'tool') readToolMessage(draft, message, at)
  if (role === 'user') {
    draft.lastUserText = draft.texts.slice(from).join('\n')
    draft.toolResults = 0
  }
}

function readContent(draft: Draft, content: unknown, at: string): void {
  if (content === null || content === undefined) return
  if (typeof content === 'string') {
    draft.texts.push(content)
    return
  }
  if (!Array.isArray(content)) {
    throw new BadAsk(
      `Invalid type for '${at}.content': expected a string or an array of objects.`,
      `${at}.content`,
    )
  }
  content.forEach((part: unknown, i) => {
    const param = `${at}.content[${i}]`
    if (!isRecord(part)) throw new BadAsk(`Invalid type for '${param}'.`, param)
    if (part['type'] === 'text') draft.texts.push(readText(part, 'text'))
    else if (typeof part['type'] === 'string') draft.imageCount += 1
    else throw new BadAsk(`Missing required parameter: '${param}.type'.`, `${param}.type`)
  })
}

function readCall(draft: Draft, call: Record<string, unknown>, at: string): void {
  const fn = call['function']
  if (typeof call['id'] !== 'string' || !isRecord(fn)) {
    throw new BadAsk(`Missing required parameter: '${at}.tool_calls[0].id'.`, `${at}.tool_calls`)
  }
  draft.texts.push(readText(fn, 'name'), textOr(fn['arguments'], ''))
}

function readToolMessage(draft: Draft, message: Record<string, unknown>, at: string): void {
  if (typeof message['tool_call_id'] !== 'string') {
    throw new BadAsk(`Missing required parameter: '${at}.tool_call_id'.`, `${at}.tool_call_id`)
  }
  draft.toolResults += 1
}

function readTools(body: Record<string, unknown>, draft: Draft): readonly Tool[] {
  const listed = readRecords(body, 'tools')
  const tools = listed.flatMap((tool, i) => {
    const fn = tool['function']
    if (tool['type'] !== 'function') return []
    if (!isRecord(fn)) {
      throw new BadAsk(
        `Missing required parameter: 'tools[${i}].function'.`,
        `tools[${i}].function`,
      )
    }
    return [{ name: readText(fn, 'name'), schema: fn['parameters'] }]
  })
  if (listed.length > 0) draft.texts.push(JSON.stringify(listed))
  return tools
}

function readToolChoice(choice: unknown): ToolChoice {
  if (choice === 'none') return { kind: 'none' }
  if (choice === 'required') return { kind: 'any' }
  if (isRecord(choice) && isRecord(choice['function'])) {
    return { kind: 'named', name: readText(choice['function'], 'name') }
  }
  return { kind: 'auto' }
}

function readStreamUsage(body: Record<string, unknown>, stream: boolean): boolean {
  const options = body['stream_options']
  if (options === undefined || options === null) return false
  if (!stream) {
    throw new BadAsk(
      "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
      'stream_options',
    )
  }
  return isRecord(options) && readBoolean(options, 'include_usage')
}

function readFormat(format: unknown): unknown {
  if (!isRecord(format)) return undefined
  if (format['type'] === 'json_object') return null
  const schema = format['json_schema']
  if (format['type'] !== 'json_schema') return undefined
  return isRecord(schema) ? (schema['schema'] ?? null) : null
}

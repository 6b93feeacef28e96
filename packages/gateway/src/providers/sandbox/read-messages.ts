import { isRecord } from '../../lib/is-record.ts'
import { type Ask, BadAsk, type ToolChoice } from './ask.ts'
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
import { isProof } from './reasoning-state.ts'

/** `system` inside `messages` is a beta; agents send it with its header, so it is taken. */
const ROLES = new Set(['user', 'assistant', 'system'])
const MAX_OUTPUT_TOKENS = 1_000_000

type Draft = {
  readonly texts: string[]
  imageCount: number
  lastUserText: string
  toolResults: number
}

/** Reads and checks a Messages request; `count_tokens` has no `max_tokens`. Throws `BadAsk`. */
export function readMessagesAsk(body: Record<string, unknown>, counting = false): Ask {
  const model = readText(body, 'model')
  const maxTokens = readInteger(body, 'max_tokens', 1, MAX_OUTPUT_TOKENS)
  if (maxTokens === null && !counting) throw new BadAsk('max_tokens: Field required', 'max_tokens')
  const messages = readMessages(body)
  checkNumber(body, 'temperature', 0, 1)
  const draft: Draft = { texts: [], imageCount: 0, lastUserText: '', toolResults: 0 }
  readContent(draft, body['system'], 'system')
  messages.forEach((message, i) => readMessage(draft, message, `messages.${i}`))
  const listed = readRecords(body, 'tools')
  if (listed.length > 0) draft.texts.push(JSON.stringify(listed))
  return {
    protocol: 'anthropic-messages',
    model,
    stream: readBoolean(body, 'stream'),
    texts: draft.texts,
    messageCount: messages.length,
    imageCount: draft.imageCount,
    lastUserText: draft.lastUserText,
    toolResults: draft.toolResults,
    tools: listed.map((tool) => ({ name: readText(tool, 'name'), schema: tool['input_schema'] })),
    toolChoice: readToolChoice(body['tool_choice']),
    maxTokens,
    stop: readStrings(body['stop_sequences'], 'stop_sequences', 64),
    choices: 1,
    streamUsage: true,
    jsonSchema: readFormat(body),
    showsReasoning: true,
    tellsState: true,
    unprovenCall: unprovenCall(body, messages),
  }
}

function readMessage(draft: Draft, message: Record<string, unknown>, at: string): void {
  const role = message['role']
  if (typeof role !== 'string' || !ROLES.has(role)) {
    throw new BadAsk(`${at}.role: Input should be 'user' or 'assistant'`, `${at}.role`)
  }
  if (message['content'] === undefined) throw new BadAsk(`${at}.content: Field required`)
  const from = draft.texts.length
  const resultsBefore = draft.toolResults
  readContent(draft, message['content'], `${at}.content`)
  if (role !== 'user' || draft.toolResults > resultsBefore) return
  draft.lastUserText = draft.texts.slice(from).join('\n')
  draft.toolResults = 0
}

function readContent(draft: Draft, content: unknown, at: string): void {
  if (content === undefined || content === null) return
  if (typeof content === 'string') {
    draft.texts.push(content)
    return
  }
  if (!Array.isArray(content)) throw new BadAsk(`${at}: Input should be a valid list`)
  content.forEach((block: unknown, i) => {
    if (!isRecord(block)) throw new BadAsk(`${at}.${i}: Input should be an object`)
    readBlock(draft, block, `${at}.${i}`)
  })
}

type BlockReader = (draft: Draft, block: Record<string, unknown>, at: string) => void

const BLOCKS: ReadonlyMap<string, BlockReader> = new Map<string, BlockReader>([
  [
    'text',
    (draft, block, at) => {
      const text = block['text']
      if (typeof text !== 'string') throw new BadAsk(`${at}.text: Field required`)
      if (text === '') throw new BadAsk('messages: text content blocks must be non-empty')
      draft.texts.push(text)
    },
  ],
  [
    'tool_use',
    (draft, block) => {
      draft.texts.push(readText(block, 'name'), JSON.stringify(block['input'] ?? {}))
    },
  ],
  [
    'tool_result',
    (draft, block, at) => {
      if (typeof block['tool_use_id'] !== 'string') {
        throw new BadAsk(`${at}.tool_use_id: Field required`)
      }
      draft.toolResults += 1
      readContent(draft, block['content'], `${at}.content`)
    },
  ],
  [
    'thinking',
    (draft, block, at) => {
      if (!isProof('anthropic-messages', block['signature'])) {
        throw new BadAsk(`${at}: Invalid \`signature\` in \`thinking\` block`)
      }
      draft.texts.push(textOr(block['thinking'], ''))
    },
  ],
])

function readBlock(draft: Draft, block: Record<string, unknown>, at: string): void {
  const type = block['type']
  if (typeof type !== 'string') throw new BadAsk(`${at}.type: Field required`)
  const read = BLOCKS.get(type)
  if (read === undefined) draft.imageCount += 1
  else read(draft, block, at)
}

/**
 * With thinking enabled, an answer that calls tools comes back with its thinking first, and the thinking with its signature.
 * Source: docs.anthropic.com/en/docs/build-with-claude/extended-thinking, from knowledge.
 */
function unprovenCall(
  body: Record<string, unknown>,
  messages: readonly Record<string, unknown>[],
): string | null {
  const thinking = body['thinking']
  if (!isRecord(thinking) || thinking['type'] === 'disabled') return null
  const last = messages.findLastIndex(({ role }) => role === 'assistant')
  const content = messages[last]?.['content']
  if (last !== messages.length - 2 || !Array.isArray(content)) return null
  const [first] = content
  if (!content.some((block) => isRecord(block) && block['type'] === 'tool_use')) return null
  const proven =
    isRecord(first) &&
    first['type'] === 'thinking' &&
    isProof('anthropic-messages', first['signature'])
  return proven ? null : `messages.${last}.content.0`
}

function readToolChoice(choice: unknown): ToolChoice {
  if (!isRecord(choice)) return { kind: 'auto' }
  if (choice['type'] === 'none') return { kind: 'none' }
  if (choice['type'] === 'any') return { kind: 'any' }
  if (choice['type'] === 'tool') return { kind: 'named', name: readText(choice, 'name') }
  return { kind: 'auto' }
}

/** `output_config.format` (or the older `output_format`) with a JSON schema. */
function readFormat(body: Record<string, unknown>): unknown {
  const config = body['output_config']
  const format = isRecord(config) ? config['format'] : body['output_format']
  return isRecord(format) && format['type'] === 'json_schema'
    ? (format['schema'] ?? null)
    : undefined
}

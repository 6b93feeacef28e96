import type { Conversation, OutputFormat, Reasoning } from '../../contracts/conversation.ts'
import type { LossList } from '../../contracts/dialect.ts'
import { isRecord } from '../../lib/is-record.ts'
import {
  asList,
  asMembers,
  isStated,
  listUnknown,
  type Members,
  needMembers,
  notTranslatable,
  readBoolean,
  readNumber,
  readText,
  readTexts,
} from '../openai-wire/values.ts'
import { invalidField } from '../read-body.ts'
import { readEffort } from '../translation/effort.ts'
import { readMessages } from './read-messages.ts'
import { readTools } from './read-tools.ts'

/** Left by the reader for the writer of answers: the client knows `function_call` only. */
export const LEGACY_MARK = 'functions'

/** What is read, what only concerns the way an answer travels, and what is checked by itself. */
const KNOWN: ReadonlySet<string> = new Set([
  'model',
  'messages',
  'tools',
  'functions',
  'tool_choice',
  'function_call',
  'parallel_tool_calls',
  'temperature',
  'top_p',
  'top_k',
  'frequency_penalty',
  'presence_penalty',
  'seed',
  'max_tokens',
  'max_completion_tokens',
  'stop',
  'response_format',
  'reasoning_effort',
  'reasoning',
  'stream',
  'stream_options',
  'user',
  'safety_identifier',
  'metadata',
  'service_tier',
  'prompt_cache_key',
  'n',
  'logprobs',
  'top_logprobs',
  'modalities',
  'audio',
  'store',
])

export function readRequest(
  request: Members,
  asked: { readonly model: string; readonly stream: boolean; readonly losses: LossList },
): Conversation {
  const { model, stream, losses } = asked
  refuseWhatChangesTheAnswer(request)
  listUnknown(request, KNOWN, { prefix: '', losses })
  if (request['store'] === true) losses.add('store')
  const { system, turns } = readMessages(request, losses)
  const { tools, toolChoice, legacy } = readTools(request, losses)
  return {
    model,
    system,
    turns,
    tools,
    toolChoice,
    parallelTools: readBoolean(request, 'parallel_tool_calls'),
    sampling: {
      temperature: readNumber(request, 'temperature'),
      topP: readNumber(request, 'top_p'),
      topK: readNumber(request, 'top_k'),
      frequencyPenalty: readNumber(request, 'frequency_penalty'),
      presencePenalty: readNumber(request, 'presence_penalty'),
      seed: readNumber(request, 'seed'),
    },
    maxOutputTokens:
      readNumber(request, 'max_completion_tokens') ?? readNumber(request, 'max_tokens'),
    stop: readStop(request['stop']),
    output: readFormat(request['response_format']),
    reasoning: readReasoning(request, losses),
    stream,
    user: readUser(request, losses),
    metadata: readTexts(request, 'metadata'),
    serviceTier: readText(request, 'service_tier'),
    cacheKey: readText(request, 'prompt_cache_key'),
    ...(legacy ? { clientMark: LEGACY_MARK } : {}),
  }
}

function refuseWhatChangesTheAnswer(request: Members): void {
  if (isStated(request['n']) && request['n'] !== 1) {
    throw notTranslatable('n', 'the target speaks another protocol, which gives one answer.')
  }
  if (request['logprobs'] === true || (readNumber(request, 'top_logprobs') ?? 0) > 0) {
    const param = request['logprobs'] === true ? 'logprobs' : 'top_logprobs'
    throw notTranslatable(param, 'the target speaks another protocol, which has none.')
  }
  const { audio } = request
  if (isStated(audio) || asList(request['modalities']).some((one) => one !== 'text')) {
    const param = isStated(audio) ? 'audio' : 'modalities'
    throw notTranslatable(param, 'the target speaks another protocol, which answers text only.')
  }
}

function readStop(stop: unknown): readonly string[] {
  if (!isStated(stop)) return []
  if (typeof stop === 'string') return [stop]
  return asStrings(stop)
}

function asStrings(list: unknown): readonly string[] {
  if (!Array.isArray(list)) throw invalidField('stop', 'must be a string or a list of strings.')
  return list.map((text: unknown) => {
    if (typeof text !== 'string') throw invalidField('stop', 'must hold only strings.')
    return text
  })
}

function readFormat(value: unknown): OutputFormat {
  if (!isStated(value)) return { kind: 'text' }
  const format = needMembers(value, 'response_format')
  if (format['type'] === 'text') return { kind: 'text' }
  if (format['type'] === 'json_object') return { kind: 'json' }
  if (format['type'] !== 'json_schema') {
    throw notTranslatable('response_format.type', 'only text, json_object and json_schema are.')
  }
  const at = 'response_format.json_schema'
  const stated = needMembers(format['json_schema'], at)
  return {
    kind: 'schema',
    name: readText(stated, 'name', `${at}.name`),
    description: readText(stated, 'description', `${at}.description`),
    schema: asMembers(stated['schema']),
    strict: readBoolean(stated, 'strict', `${at}.strict`),
  }
}

/** `reasoning` is OpenRouter's way to say it. */
function readReasoning(request: Members, losses: LossList): Reasoning | null {
  const { reasoning_effort: stated, reasoning } = request
  const more = isRecord(reasoning) ? reasoning : null
  const named = stated ?? more?.['effort']
  const effort = readEffort(named)
  if (isStated(named) && effort === null) losses.add('reasoning_effort')
  const budgetTokens = more === null ? null : readNumber(more, 'max_tokens')
  const hidden = more?.['exclude'] === true
  if (effort === null && budgetTokens === null && !hidden) return null
  return { effort, budgetTokens, shown: hidden ? false : null }
}

/** Two names for one thing; the newer one counts. */
function readUser(request: Members, losses: LossList): string | null {
  const user = readText(request, 'user')
  const identifier = readText(request, 'safety_identifier')
  if (identifier !== null && user !== null && identifier !== user) losses.add('user')
  return identifier ?? user
}

import type { Conversation, OutputFormat, Reasoning } from '../../contracts/conversation.ts'
import type { LossList } from '../../contracts/dialect.ts'
import {
  asMembers,
  isStated,
  listUnknown,
  type Members,
  needMembers,
  notTranslatable,
  readBoolean,
  readList,
  readNumber,
  readText,
  readTexts,
} from '../openai-wire/values.ts'
import { readEffort } from '../translation/effort.ts'
import { STORED_MEMBERS } from './input.ts'
import { readInput } from './read-input.ts'
import { readTools } from './read-tools.ts'

const KNOWN: ReadonlySet<string> = new Set([
  'model',
  'input',
  'instructions',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'temperature',
  'top_p',
  'max_output_tokens',
  'text',
  'reasoning',
  'include',
  'store',
  'stream',
  'stream_options',
  'truncation',
  'metadata',
  'user',
  'safety_identifier',
  'prompt_cache_key',
  'service_tier',
  'background',
  'top_logprobs',
  ...STORED_MEMBERS,
])
const TEXT_MEMBERS: ReadonlySet<string> = new Set(['format'])
const REASONING_MEMBERS: ReadonlySet<string> = new Set(['effort', 'summary', 'generate_summary'])
const ENCRYPTED = 'reasoning.encrypted_content'
const LOGPROBS = 'message.output_text.logprobs'

export function readRequest(
  request: Members,
  asked: { readonly model: string; readonly stream: boolean; readonly losses: LossList },
): Conversation {
  const { model, stream, losses } = asked
  refuseWhatChangesTheAnswer(request)
  listUnknown(request, KNOWN, { prefix: '', losses })
  listUnsaid(request, losses)
  const { system, turns } = readInput(request, losses)
  const { tools, toolChoice } = readTools(request, losses)
  const user = readText(request, 'user')
  const identifier = readText(request, 'safety_identifier')
  if (identifier !== null && user !== null && identifier !== user) losses.add('user')
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
      topK: null,
      frequencyPenalty: null,
      presencePenalty: null,
      seed: null,
    },
    maxOutputTokens: readNumber(request, 'max_output_tokens'),
    stop: [],
    output: readFormat(request, losses),
    reasoning: readReasoning(request['reasoning'], losses),
    stream,
    user: identifier ?? user,
    metadata: readTexts(request, 'metadata'),
    serviceTier: readText(request, 'service_tier'),
    cacheKey: readText(request, 'prompt_cache_key'),
  }
}

/** What names a stored past is refused: without it the model would answer something else. */
function refuseWhatChangesTheAnswer(request: Members): void {
  for (const name of STORED_MEMBERS) {
    if (isStated(request[name])) {
      throw notTranslatable(name, 'only the provider that stored it knows it.')
    }
  }
  if (request['background'] === true) {
    throw notTranslatable(
      'background',
      'the target speaks another protocol, which answers at once.',
    )
  }
  const logprobs = readList(request, 'include').includes(LOGPROBS)
  if (logprobs || (readNumber(request, 'top_logprobs') ?? 0) > 0) {
    const param = logprobs ? 'include' : 'top_logprobs'
    throw notTranslatable(
      param,
      'the target speaks another protocol, which has no log probabilities.',
    )
  }
}

function listUnsaid(request: Members, losses: LossList): void {
  if (request['store'] === true) losses.add('store')
  if (isStated(request['truncation']) && request['truncation'] !== 'disabled') {
    losses.add('truncation')
  }
  if (readList(request, 'include').some((one) => one !== ENCRYPTED)) losses.add('include')
}

function readFormat(request: Members, losses: LossList): OutputFormat {
  if (!isStated(request['text'])) return { kind: 'text' }
  const text = needMembers(request['text'], 'text')
  listUnknown(text, TEXT_MEMBERS, { prefix: 'text.', losses })
  if (!isStated(text['format'])) return { kind: 'text' }
  const format = needMembers(text['format'], 'text.format')
  if (format['type'] === 'text') return { kind: 'text' }
  if (format['type'] === 'json_object') return { kind: 'json' }
  if (format['type'] !== 'json_schema') {
    throw notTranslatable('text.format.type', 'only text, json_object and json_schema are.')
  }
  return {
    kind: 'schema',
    name: readText(format, 'name', 'text.format.name'),
    description: readText(format, 'description', 'text.format.description'),
    schema: asMembers(format['schema']),
    strict: readBoolean(format, 'strict', 'text.format.strict'),
  }
}

/** A summary is what is shown of the thinking. */
function readReasoning(value: unknown, losses: LossList): Reasoning | null {
  if (!isStated(value)) return null
  const stated = needMembers(value, 'reasoning')
  listUnknown(stated, REASONING_MEMBERS, { prefix: 'reasoning.', losses })
  const effort = readEffort(stated['effort'])
  if (isStated(stated['effort']) && effort === null) losses.add('reasoning.effort')
  const shown = isStated(stated['summary'] ?? stated['generate_summary'])
  if (effort === null && !shown) return null
  return { effort, budgetTokens: null, shown: shown ? true : null }
}

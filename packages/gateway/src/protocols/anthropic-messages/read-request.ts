import type {
  Conversation,
  OutputFormat,
  Sampling,
  TextBlock,
  Turn,
} from '../../contracts/conversation.ts'
import type { LossList } from '../../contracts/dialect.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { isRecord } from '../../lib/is-record.ts'
import { invalidField } from '../read-body.ts'
import {
  type Fields,
  listUnknown,
  optionalNumber,
  optionalRecord,
  optionalText,
  requiredText,
} from './fields.ts'
import { readBlocks, readTextBlocks } from './read-blocks.ts'
import { readReasoning } from './read-reasoning.ts'
import { readToolChoice, readTools } from './read-tools.ts'

const KNOWN: ReadonlySet<string> = new Set([
  'model',
  'max_tokens',
  'messages',
  'system',
  'stream',
  'temperature',
  'top_p',
  'top_k',
  'stop_sequences',
  'tools',
  'tool_choice',
  'thinking',
  'output_config',
  'output_format',
  'metadata',
  'service_tier',
  'inference_geo',
])
const MESSAGE: ReadonlySet<string> = new Set(['role', 'content'])
const METADATA: ReadonlySet<string> = new Set(['user_id'])
const OUTPUT_CONFIG: ReadonlySet<string> = new Set(['effort', 'format'])
const FORMAT: ReadonlySet<string> = new Set(['type', 'schema'])

/** @see https://docs.anthropic.com/en/api/messages (members as in the official client 1.11, read 2026-11-21) */
export function readRequest(
  request: Fields,
  asked: { readonly model: string; readonly stream: boolean; readonly losses: LossList },
): Conversation {
  const { losses } = asked
  listUnknown(request, KNOWN, { path: '', losses })
  refuseRegion(request)
  const tools = readTools(request['tools'], losses)
  const { toolChoice, parallelTools } = readToolChoice(request, tools, losses)
  return {
    model: asked.model,
    system: readSystem(request['system'], losses),
    turns: readTurns(request['messages'], losses),
    tools,
    toolChoice,
    parallelTools,
    sampling: readSampling(request),
    maxOutputTokens: optionalNumber(request, 'max_tokens'),
    stop: readStop(request['stop_sequences']),
    output: readOutput(request, losses),
    reasoning: readReasoning(request, losses),
    stream: asked.stream,
    user: readUser(request, losses),
    metadata: {},
    serviceTier: readServiceTier(request),
    cacheKey: null,
  }
}

/** Where a request is processed is a promise to somebody; another provider does not know of it. */
function refuseRegion(request: Fields): void {
  if (request['inference_geo'] === undefined || request['inference_geo'] === null) return
  const problem = 'inference_geo: cannot be kept by a provider that speaks another protocol.'
  throw new GatewayError('not_translatable', problem, { details: { param: 'inference_geo' } })
}

function readSystem(value: unknown, losses: LossList): readonly TextBlock[] {
  if (value === undefined || value === null) return []
  return readTextBlocks(value, { path: 'system', losses })
}

function readTurns(value: unknown, losses: LossList): readonly Turn[] {
  if (!Array.isArray(value)) throw invalidField('messages', 'must be a list.')
  return value.map((message: unknown) => readTurn(message, losses))
}

function readTurn(message: unknown, losses: LossList): Turn {
  if (!isRecord(message)) throw invalidField('messages', 'each must be an object with a role.')
  listUnknown(message, MESSAGE, { path: 'messages[]', losses })
  const { role, content } = message
  if (role === 'user' || role === 'assistant') return { role, blocks: readBlocks(content, losses) }
  if (role !== 'system') throw invalidField('messages', 'each must have a known role.')
  return { role, blocks: readTextBlocks(content, { path: 'messages[].content', losses }) }
}

function readSampling(request: Fields): Sampling {
  return {
    temperature: optionalNumber(request, 'temperature'),
    topP: optionalNumber(request, 'top_p'),
    topK: optionalNumber(request, 'top_k'),
    frequencyPenalty: null,
    presencePenalty: null,
    seed: null,
  }
}

function readStop(value: unknown): readonly string[] {
  if (value === undefined || value === null) return []
  const problem = 'must be a list of strings.'
  if (!Array.isArray(value)) throw invalidField('stop_sequences', problem)
  return value.map((one: unknown) => {
    if (typeof one !== 'string') throw invalidField('stop_sequences', problem)
    return one
  })
}

/** `output_format` is the older name of `output_config.format`. */
function readOutput(request: Fields, losses: LossList): OutputFormat {
  const config = optionalRecord(request, 'output_config')
  if (config !== null) listUnknown(config, OUTPUT_CONFIG, { path: 'output_config', losses })
  const format =
    (config === null ? null : optionalRecord(config, 'format')) ??
    optionalRecord(request, 'output_format')
  if (format === null) return { kind: 'text' }
  listUnknown(format, FORMAT, { path: 'output_config.format', losses })
  const { type, schema } = format
  if (type !== 'json_schema' || !isRecord(schema)) {
    throw invalidField('output_config.format', 'must be of type json_schema, with a schema.')
  }
  return { kind: 'schema', name: null, description: null, schema, strict: null }
}

function readUser(request: Fields, losses: LossList): string | null {
  const metadata = optionalRecord(request, 'metadata')
  if (metadata === null) return null
  listUnknown(metadata, METADATA, { path: 'metadata', losses })
  return optionalText(metadata, 'user_id', 'metadata.user_id')
}

/** The model has one name for the tier that costs nothing more. */
function readServiceTier(request: Fields): string | null {
  const { service_tier: tier } = request
  if (tier === undefined || tier === null) return null
  const text = requiredText(request, 'service_tier', 'service_tier')
  return text === 'standard_only' ? 'default' : text
}

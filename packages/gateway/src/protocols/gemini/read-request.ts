import type { Conversation, OutputFormat, Sampling } from '../../contracts/conversation.ts'
import type { LossList } from '../../contracts/dialect.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { isRecord } from '../../lib/is-record.ts'
import { invalidField } from '../read-body.ts'
import { listUnread, type Members, optionalNumber, optionalText } from './members.ts'
import { readContents, readSystem } from './read-contents.ts'
import { readTools, readToolChoice } from './read-tools.ts'
import { readThinking } from './reasoning.ts'
import { toJsonSchema } from './schema.ts'
import { camelMembers, messageMembers } from './spelling.ts'

const CONFIG = 'generationConfig'
const REQUEST_READ: ReadonlySet<string> = new Set([
  'model',
  'contents',
  'systemInstruction',
  'tools',
  'toolConfig',
  CONFIG,
  'labels',
  'serviceTier',
])
const CONFIG_READ: ReadonlySet<string> = new Set([
  'temperature',
  'topP',
  'topK',
  'frequencyPenalty',
  'presencePenalty',
  'seed',
  'maxOutputTokens',
  'stopSequences',
  'thinkingConfig',
  'responseMimeType',
  'responseSchema',
  'responseJsonSchema',
  'candidateCount',
  'responseModalities',
])
/** What an answer without it would not be an answer to. */
const REFUSED: readonly string[] = ['cachedContent', 'continuationToken']
const REFUSED_CONFIG: readonly string[] = [
  'responseLogprobs',
  'logprobs',
  'responseFormat',
  'speechConfig',
]

/** Gemini's tiers by the names that most protocols use. */
const TIERS: ReadonlyMap<string, string | null> = new Map([
  ['standard', 'default'],
  ['unspecified', null],
])

export function readRequest(
  values: Members,
  asked: { readonly model: string; readonly stream: boolean; readonly losses: LossList },
): Conversation {
  const { losses } = asked
  const request = camelMembers(values, '')
  for (const name of REFUSED) refuse(request, name, '')
  listUnread(request, REQUEST_READ, { at: '', losses })
  const config = messageMembers(request[CONFIG], CONFIG) ?? {}
  checkConfig(config)
  listUnread(config, CONFIG_READ, { at: CONFIG, losses })
  return {
    model: asked.model,
    system: readSystem(request['systemInstruction'], losses),
    turns: readContents(request['contents'], losses),
    tools: readTools(request['tools'], losses),
    toolChoice: readToolChoice(request['toolConfig'], losses),
    parallelTools: null,
    sampling: readSampling(config),
    maxOutputTokens: optionalNumber(config, 'maxOutputTokens', CONFIG),
    stop: readStop(config['stopSequences']),
    output: readOutput(config),
    reasoning: readThinking(config['thinkingConfig']),
    stream: asked.stream,
    user: null,
    metadata: readLabels(request['labels'], losses),
    serviceTier: readTier(request),
    cacheKey: null,
  }
}

function checkConfig(config: Members): void {
  for (const name of REFUSED_CONFIG) refuse(config, name, `${CONFIG}.`)
  const { candidateCount, responseModalities } = config
  if (typeof candidateCount === 'number' && candidateCount > 1) {
    throw notTranslatable(`${CONFIG}.candidateCount`)
  }
  const modalities: readonly unknown[] = Array.isArray(responseModalities) ? responseModalities : []
  const odd = modalities.some(
    (one) => typeof one !== 'string' || !/^(?:text|modality_unspecified)$/i.test(one),
  )
  if (odd) throw notTranslatable(`${CONFIG}.responseModalities`)
}

function refuse(members: Members, name: string, at: string): void {
  const value = members[name]
  if (value === undefined || value === null || value === false || value === '') return
  throw notTranslatable(at + name)
}

function notTranslatable(param: string): GatewayError {
  return new GatewayError(
    'not_translatable',
    `${param}: the target speaks another protocol, which has no such thing.`,
    {
      details: { param },
    },
  )
}

function readSampling(config: Members): Sampling {
  const number = (name: string): number | null => optionalNumber(config, name, CONFIG)
  return {
    temperature: number('temperature'),
    topP: number('topP'),
    topK: number('topK'),
    frequencyPenalty: number('frequencyPenalty'),
    presencePenalty: number('presencePenalty'),
    seed: number('seed'),
  }
}

function readStop(value: unknown): readonly string[] {
  if (value === undefined || value === null) return []
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  return list.map((text) => {
    if (typeof text === 'string') return text
    throw invalidField(`${CONFIG}.stopSequences`, 'must be a list of strings.')
  })
}

function readOutput(config: Members): OutputFormat {
  const type = optionalText(config, 'responseMimeType', CONFIG) ?? 'text/plain'
  if (type === 'text/plain') return { kind: 'text' }
  if (type !== 'application/json') throw notTranslatable(`${CONFIG}.responseMimeType`)
  const { responseJsonSchema, responseSchema } = config
  const older = isRecord(responseSchema) ? toJsonSchema(responseSchema) : null
  const schema = isRecord(responseJsonSchema) ? responseJsonSchema : older
  if (schema === null) return { kind: 'json' }
  return { kind: 'schema', name: null, description: null, schema, strict: null }
}

function readLabels(value: unknown, losses: LossList): Readonly<Record<string, string>> {
  const labels: [string, string][] = []
  for (const [name, label] of isRecord(value) ? Object.entries(value) : []) {
    if (typeof label === 'string') labels.push([name, label])
    else losses.add('labels')
  }
  return Object.fromEntries(labels)
}

function readTier(request: Members): string | null {
  const tier = optionalText(request, 'serviceTier', '')?.toLowerCase() ?? null
  if (tier === null) return null
  const known = TIERS.get(tier)
  return known === undefined ? tier : known
}

import type { Conversation, TextBlock, Turn } from '../../contracts/conversation.ts'
import type { LossList, RenderOptions } from '../../contracts/dialect.ts'
import { fitSampling } from '../claude-thinking.ts'
import { closeSchema } from '../close-schema.ts'
import { JSON_INSTRUCTION } from '../translation/json-instruction.ts'
import { mergeTurns } from '../translation/merge-turns.ts'
import { CachePoints } from './cache-points.ts'
import { modelFields, type ModelFields } from './model-fields.ts'
import { blocksJson, DocumentNames, fitBlock } from './write-blocks.ts'
import { toolMembers } from './write-tools.ts'

const TIERS: ReadonlySet<string> = new Set(['default', 'priority', 'flex', 'reserved'])
const MAX_METADATA = 16
const METADATA = /^[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}$/

/** JSON text. The model and whether to stream stand in the path. */
export function writeRequest(conversation: Conversation, options: RenderOptions): string {
  const { losses } = options
  const points = new CachePoints(conversation.model, losses)
  const { system, turns } = mergeTurns(conversation.turns, {
    fit: (block, role) => fitBlock(block, role, options),
    losses,
  })
  const fields = modelFields(conversation, turns, options)
  listLosses(conversation, losses)
  const members = [
    ...toolMembers(conversation, turns, { points, losses }),
    ...systemMember([...conversation.system, ...system], conversation, points),
    messagesMember(turns, points),
    ...inferenceMember(conversation, fields, losses),
  ]
  if (fields.json !== null) members.push(`"additionalModelRequestFields":${fields.json}`)
  members.push(...outputMember(conversation, losses), ...otherMembers(conversation, losses))
  return `{${members.join(',')}}`
}

function messagesMember(turns: readonly Turn[], points: CachePoints): string {
  const names = new DocumentNames()
  const messages = turns.map(
    ({ role, blocks }) => `{"role":"${role}","content":[${blocksJson(blocks, points, names)}]}`,
  )
  return `"messages":[${messages.join(',')}]`
}

function systemMember(
  texts: readonly TextBlock[],
  { output }: Conversation,
  points: CachePoints,
): readonly string[] {
  const blocks: string[] = []
  for (const { text, cache } of texts) {
    if (text.trim() !== '') blocks.push(`{"text":${JSON.stringify(text)}}${points.behind(cache)}`)
  }
  if (output.kind === 'json') blocks.push(`{"text":${JSON.stringify(JSON_INSTRUCTION)}}`)
  return blocks.length === 0 ? [] : [`"system":[${blocks.join(',')}]`]
}

function inferenceMember(
  conversation: Conversation,
  { maxTokens }: ModelFields,
  losses: LossList,
): readonly string[] {
  const parts: string[] = []
  if (maxTokens !== null) parts.push(`"maxTokens":${maxTokens}`)
  const { temperature, topP } = fitSampling(conversation, losses)
  if (temperature !== null) parts.push(`"temperature":${temperature}`)
  if (topP !== null) parts.push(`"topP":${topP}`)
  if (conversation.stop.length > 0) {
    parts.push(`"stopSequences":${JSON.stringify(conversation.stop)}`)
  }
  return parts.length === 0 ? [] : [`"inferenceConfig":{${parts.join(',')}}`]
}

/** The schema travels as a text. Read 2026-11-21 in the user guide, "structured output". */
function outputMember({ output }: Conversation, losses: LossList): readonly string[] {
  if (output.kind !== 'schema') return []
  const schema = JSON.stringify(JSON.stringify(closeSchema(output.schema, losses)))
  const name = output.name === null ? '' : `,"name":${JSON.stringify(output.name)}`
  const description =
    output.description === null ? '' : `,"description":${JSON.stringify(output.description)}`
  const structure = `{"jsonSchema":{"schema":${schema}${name}${description}}}`
  return [`"outputConfig":{"textFormat":{"type":"json_schema","structure":${structure}}}`]
}

function otherMembers(
  { serviceTier, metadata }: Conversation,
  losses: LossList,
): readonly string[] {
  const members: string[] = []
  if (serviceTier !== null && serviceTier !== 'auto') {
    if (TIERS.has(serviceTier)) members.push(`"serviceTier":{"type":"${serviceTier}"}`)
    else losses.add('service_tier')
  }
  const pairs = Object.entries(metadata)
  const kept = pairs
    .filter(([name, value]) => METADATA.test(name) && METADATA.test(value))
    .slice(0, MAX_METADATA)
  if (kept.length < pairs.length) losses.add('metadata')
  if (kept.length > 0) {
    members.push(`"requestMetadata":${JSON.stringify(Object.fromEntries(kept))}`)
  }
  return members
}

function listLosses({ sampling, output, cacheKey, user }: Conversation, losses: LossList): void {
  if (sampling.frequencyPenalty !== null) losses.add('frequency_penalty')
  if (sampling.presencePenalty !== null) losses.add('presence_penalty')
  if (sampling.seed !== null) losses.add('seed')
  if (cacheKey !== null) losses.add('prompt_cache_key')
  if (user !== null) losses.add('user')
  if (output.kind === 'json') losses.add('output_format')
}

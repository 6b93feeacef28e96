import type { Conversation, TextBlock } from '../../contracts/conversation.ts'
import type { LossList, RenderOptions } from '../../contracts/dialect.ts'
import { fitSampling, fitTopK, planThinking, type ThinkingPlan } from '../claude-thinking.ts'
import { closeSchema } from '../close-schema.ts'
import { JSON_INSTRUCTION } from '../translation/json-instruction.ts'
import { mergeTurns } from '../translation/merge-turns.ts'
import { blockJson, fitBlock } from './write-blocks.ts'
import { CacheMarks } from './cache-marks.ts'
import { toolMembers } from './write-tools.ts'

const MAX_USER_CHARS = 256
/** JSON text, member by member, in an order that keeps the cacheable prefix in front. */
export function writeRequest(conversation: Conversation, options: RenderOptions): string {
  const { losses } = options
  const marks = new CacheMarks(losses)
  const maxTokens = conversation.maxOutputTokens ?? options.maxOutputTokens
  const { system, turns } = mergeTurns(conversation.turns, {
    fit: (block, role) => fitBlock(block, role, options),
    losses,
  })
  const thinking = planThinking(conversation, turns, { maxTokens, losses })
  listLosses(conversation, losses)
  const members = [
    `"model":${JSON.stringify(conversation.model)}`,
    `"max_tokens":${maxTokens}`,
    ...toolMembers(conversation, marks, losses),
    ...systemMember([...conversation.system, ...system], conversation, marks),
  ]
  const messages = turns.map(
    ({ role, blocks }) =>
      `{"role":"${role}","content":[${blocks.map((block) => blockJson(block, marks)).join(',')}]}`,
  )
  members.push(
    `"messages":[${messages.join(',')}]`,
    ...thinkingMember(conversation, thinking),
    ...outputMember(conversation, thinking, losses),
    ...otherMembers(conversation, losses),
  )
  if (conversation.stream) members.push('"stream":true')
  return `{${members.join(',')}}`
}

function systemMember(
  texts: readonly TextBlock[],
  conversation: Conversation,
  marks: CacheMarks,
): readonly string[] {
  const blocks: string[] = []
  for (const text of texts) if (text.text !== '') blocks.push(blockJson(text, marks))
  if (conversation.output.kind === 'json') {
    blocks.push(`{"type":"text","text":${JSON.stringify(JSON_INSTRUCTION)}}`)
  }
  return blocks.length === 0 ? [] : [`"system":[${blocks.join(',')}]`]
}

function thinkingMember({ reasoning }: Conversation, plan: ThinkingPlan): readonly string[] {
  if (plan.mode === 'unset') return []
  if (plan.mode === 'disabled') return ['"thinking":{"type":"disabled"}']
  const budget = plan.mode === 'enabled' ? `,"budget_tokens":${plan.budgetTokens}` : ''
  const shown = reasoning?.shown ?? null
  const display = shown === null ? '' : `,"display":"${shown ? 'summarized' : 'omitted'}"`
  return [`"thinking":{"type":"${plan.mode}"${budget}${display}}`]
}

function outputMember(
  { output }: Conversation,
  { effort }: ThinkingPlan,
  losses: LossList,
): readonly string[] {
  const parts: string[] = []
  if (effort !== null) parts.push(`"effort":"${effort}"`)
  if (output.kind === 'schema') {
    const schema = JSON.stringify(closeSchema(output.schema, losses))
    if (output.description !== null) losses.add('output_format.description')
    parts.push(`"format":{"type":"json_schema","schema":${schema}}`)
  }
  return parts.length === 0 ? [] : [`"output_config":{${parts.join(',')}}`]
}

function otherMembers(conversation: Conversation, losses: LossList): readonly string[] {
  const members: string[] = []
  const { temperature, topP } = fitSampling(conversation, losses)
  const topK = fitTopK(conversation, losses)
  if (temperature !== null) members.push(`"temperature":${temperature}`)
  if (topP !== null) members.push(`"top_p":${topP}`)
  if (topK !== null) members.push(`"top_k":${topK}`)
  const stop = fitStop(conversation.stop, losses)
  if (stop.length > 0) members.push(`"stop_sequences":${JSON.stringify(stop)}`)
  const { user } = conversation
  if (user !== null && user.length > MAX_USER_CHARS) losses.add('user')
  else if (user !== null) members.push(`"metadata":{"user_id":${JSON.stringify(user)}}`)
  const tier = serviceTier(conversation.serviceTier, losses)
  if (tier !== null) members.push(`"service_tier":"${tier}"`)
  return members
}

/** A sequence of nothing but white space is refused. */
function fitStop(stop: readonly string[], losses: LossList): readonly string[] {
  const fitting = stop.filter((text) => text.trim() !== '')
  if (fitting.length < stop.length) losses.add('stop')
  return fitting
}

/** Tiers besides these two are agreed with the vendor, not asked for. */
function serviceTier(tier: string | null, losses: LossList): string | null {
  if (tier === null || tier === 'auto') return tier
  if (tier === 'default') return 'standard_only'
  losses.add('service_tier')
  return null
}

function listLosses(conversation: Conversation, losses: LossList): void {
  const { sampling, output } = conversation
  if (sampling.frequencyPenalty !== null) losses.add('frequency_penalty')
  if (sampling.presencePenalty !== null) losses.add('presence_penalty')
  if (sampling.seed !== null) losses.add('seed')
  if (conversation.cacheKey !== null) losses.add('prompt_cache_key')
  for (const _ in conversation.metadata) {
    losses.add('metadata')
    break
  }
  if (output.kind === 'json') losses.add('output_format')
}

import type { Conversation, Reasoning, Turn } from '../../contracts/conversation.ts'
import type { LossList, RenderOptions } from '../../contracts/dialect.ts'
import { fitTopK, planThinking } from '../claude-thinking.ts'
import { effortOf } from '../translation/effort.ts'

/** What Converse has no member for goes to the model in its vendor's own words, or nowhere. */
export type ModelFields = {
  readonly json: string | null
  /** Null: the model's own maximum. */
  readonly maxTokens: number | null
}

type Named = 'low' | 'medium' | 'high'

const EFFORTS: Readonly<Record<NonNullable<Reasoning['effort']>, Named | null>> = {
  none: null,
  minimal: 'low',
  low: 'low',
  medium: 'medium',
  high: 'high',
  xhigh: 'high',
  max: 'high',
}

/** Facts of the vendors from general knowledge of the user guide, "inference parameters". */
export function modelFields(
  conversation: Conversation,
  turns: readonly Turn[],
  options: RenderOptions,
): ModelFields {
  const { model } = conversation
  if (model.includes('claude')) return claudeFields(conversation, turns, options)
  const { losses } = options
  const parts: string[] = []
  const { topK } = conversation.sampling
  const effort = namedEffort(conversation, losses)
  if (model.includes('nova')) {
    if (topK !== null) parts.push(`"inferenceConfig":{"topK":${topK}}`)
    if (effort !== null) {
      parts.push(`"reasoningConfig":{"type":"enabled","maxReasoningEffort":"${effort}"}`)
    }
  } else {
    if (topK !== null) losses.add('top_k')
    if (effort !== null && model.includes('gpt')) parts.push(`"reasoning_effort":"${effort}"`)
    else if (effort !== null) losses.add('reasoning')
  }
  return fieldsOf(parts, conversation.maxOutputTokens)
}

function claudeFields(
  conversation: Conversation,
  turns: readonly Turn[],
  { maxOutputTokens, losses }: RenderOptions,
): ModelFields {
  const maxTokens = conversation.maxOutputTokens ?? maxOutputTokens
  const plan = planThinking(conversation, turns, { maxTokens, losses })
  const parts: string[] = []
  if (plan.mode !== 'unset') {
    const budget = plan.mode === 'enabled' ? `,"budget_tokens":${plan.budgetTokens}` : ''
    parts.push(`"thinking":{"type":"${plan.mode}"${budget}}`)
  }
  if (plan.effort !== null) parts.push(`"output_config":{"effort":"${plan.effort}"}`)
  const topK = fitTopK(conversation, losses)
  if (topK !== null) parts.push(`"top_k":${topK}`)
  return fieldsOf(parts, maxTokens)
}

function fieldsOf(parts: readonly string[], maxTokens: number | null): ModelFields {
  return { json: parts.length === 0 ? null : `{${parts.join(',')}}`, maxTokens }
}

/** The three efforts that others have. None of these models can be told not to think: silence is the least. */
function namedEffort({ reasoning }: Conversation, losses: LossList): Named | null {
  if (reasoning === null) return null
  const { effort, budgetTokens } = reasoning
  if (budgetTokens !== null) losses.add('reasoning.budget')
  return EFFORTS[effort ?? (budgetTokens === null ? 'medium' : effortOf(budgetTokens))]
}

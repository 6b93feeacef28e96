import * as z from 'zod'
import type { ChoiceEvaluation, RewardView } from './reward-api.ts'
import { NAMED_SCHEMAS } from './answer-schemas.ts'

const text = z.string()
const maybeText = text.nullable()
const share = z.number().min(0).max(1)

export const rewardSchema: z.ZodType<RewardView> = z.strictObject({
  at: text,
  request_id: text,
  model: maybeText,
  target: text,
  attempt: z.int(),
  size: text,
  tools: z.boolean(),
  alpha: z.number(),
  beta: z.number(),
  draw: z.number(),
  propensity: share,
  success: z.boolean(),
  error_class: maybeText,
  duration_ms: z.number(),
  cost_nanousd: z.int().nullable(),
  feedback: share.nullable(),
  reward: share,
})
NAMED_SCHEMAS.add(rewardSchema, { id: 'Reward' })

const estimate = z.strictObject({
  value: share,
  low: share,
  high: share,
  observations: z.int(),
  effective_observations: z.number(),
})
export const choiceEvaluationSchema: z.ZodType<ChoiceEvaluation> = z.strictObject({
  records: z.int(),
  truncated: z.boolean(),
  policy: estimate,
  logged: estimate.nullable(),
})
NAMED_SCHEMAS.add(choiceEvaluationSchema, { id: 'ChoiceEvaluation' })

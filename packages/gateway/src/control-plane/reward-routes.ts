import { type AdminRoute, jsonRoute, NO_BODY, NO_QUERY } from './admin-route.ts'
import { pageOfSchema } from './answer-schemas.ts'
import { evaluateRouting, listRewards } from './reward-log.ts'
import { choicePolicyBody, rewardQuery } from './request-schemas.ts'
import { choiceEvaluationSchema, rewardSchema } from './reward-schemas.ts'

export const REWARD_ROUTES: readonly AdminRoute[] = [
  jsonRoute({
    method: 'GET',
    path: '/routing/rewards',
    summary: 'What attempts that the bandit chose were worth, page by page of the usage records',
    query: rewardQuery,
    body: NO_BODY,
    answer: pageOfSchema(rewardSchema),
    handle: ({ control, query }) => listRewards(control, query),
  }),
  jsonRoute({
    method: 'POST',
    path: '/routing/evaluate',
    summary: 'What another way to choose had earned, by the log of the bandit',
    query: NO_QUERY,
    body: choicePolicyBody,
    answer: choiceEvaluationSchema,
    handle: ({ control, body }) => evaluateRouting(control, body),
  }),
]

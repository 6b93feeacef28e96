import * as z from 'zod'
import type { RouteDecisionView } from './admin-api.ts'
import { NAMED_SCHEMAS } from './answer-schemas.ts'

const text = z.string()
const maybeText = z.string().nullable()
const share = z.number().min(0).max(1)

export const decisionSchema: z.ZodType<RouteDecisionView> = z.strictObject({
  strategy: text,
  mode: maybeText,
  alias: maybeText,
  variant: maybeText,
  reason: text,
  candidates: z.array(
    z.strictObject({
      target: text,
      rejected: maybeText,
      detail: z.exactOptional(text),
      cost_nanousd: z.exactOptional(z.int().nullable()),
      latency_ms: z.exactOptional(z.number().nullable()),
      failure_share: z.exactOptional(share),
      weight: z.exactOptional(z.number()),
      in_flight: z.exactOptional(z.int()),
      score: z.exactOptional(z.number()),
      draw: z.exactOptional(share),
      propensity: z.exactOptional(share),
    }),
  ),
})
NAMED_SCHEMAS.add(decisionSchema, { id: 'RouteDecision' })

import * as z from 'zod'
import type { AliasConfig } from '../config/gateway-config.ts'
import { aliasSchema } from '../config/routing-schema.ts'
import type { AliasView, RouteDecisionView } from './routing-api.ts'
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
  arm: z.exactOptional(z.strictObject({ size: text, tools: z.boolean() })),
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
      draw: z.exactOptional(z.number().min(0).max(2)),
      saved_nanousd: z.exactOptional(z.int()),
      bonus: z.exactOptional(share),
      alpha: z.exactOptional(z.number()),
      beta: z.exactOptional(z.number()),
      propensity: z.exactOptional(share),
    }),
  ),
})
NAMED_SCHEMAS.add(decisionSchema, { id: 'RouteDecision' })

/** As in the configuration. */
export const aliasBody: z.ZodType<AliasConfig> = aliasSchema
NAMED_SCHEMAS.add(aliasBody, { id: 'AliasFields' })

export const aliasViewSchema: z.ZodType<AliasView> = z.strictObject({
  name: text,
  owner: z.enum(['api', 'file']),
  variants: z.array(z.strictObject({ model: text, weight: z.number() })),
  sticky: z.enum(['request', 'key', 'session', 'round_robin']),
  enabled: z.boolean(),
  valid: z.boolean(),
  updated_at: maybeText,
})
NAMED_SCHEMAS.add(aliasViewSchema, { id: 'Alias' })

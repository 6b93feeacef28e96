import * as z from 'zod'
import { entryName, modelName, usdAmount } from '../config/schema-parts.ts'
import { strict } from '../config/validate.ts'
import type { RouteSimulation, RouteSimulationBody } from './routing-api.ts'
import { NAMED_SCHEMAS } from './answer-schemas.ts'
import { policyObject } from './request-schemas.ts'
import { decisionSchema } from './routing-schemas.ts'

/** How often one call may choose. */
const MAX_SIMULATIONS = 10_000
const MAX_TOKENS = 1e9
const MAX_LATENCY_MS = 86_400_000

const text = z.string()
const maybeText = z.string().nullable()
const flag = z.exactOptional(z.boolean())
const tokens = z.int().min(0).max(MAX_TOKENS)
const seedText = z.string().min(1).max(256)

/** What the request needs of a target, instead of a body that shows it. */
export const statedNeeds: z.ZodExactOptional<z.ZodType<RouteSimulationBody['needs'] & object>> =
  z.exactOptional(
    strict({
      tools: flag,
      vision: flag,
      audio: flag,
      documents: flag,
      json_schema: flag,
      streaming: flag,
    }),
  )

/** What a simulation is told. */
export const routeSimulationBody: z.ZodType<RouteSimulationBody> = strict({
  model: z.exactOptional(modelName),
  key: z.exactOptional(z.string().min(1).max(256)),
  policy: z.exactOptional(z.union([entryName, policyObject])),
  protocol: z.exactOptional(z.string().max(64)),
  request: z.exactOptional(z.record(z.string(), z.unknown())),
  needs: statedNeeds,
  input_tokens: z.exactOptional(tokens),
  max_tokens: z.exactOptional(tokens.min(1)),
  stream: flag,
  hints: z.exactOptional(
    strict({
      mode: z.exactOptional(entryName),
      max_cost: z.exactOptional(usdAmount),
      max_latency_ms: z.exactOptional(z.number().gt(0).max(MAX_LATENCY_MS)),
      min_weight: z.exactOptional(z.number().min(0).max(1_000_000)),
    }),
  ),
  session: z.exactOptional(seedText),
  seed: z.exactOptional(seedText),
  count: z.exactOptional(z.int().min(1).max(MAX_SIMULATIONS)),
})
NAMED_SCHEMAS.add(routeSimulationBody, { id: 'RouteSimulationBody' })

export const routeSimulationSchema: z.ZodType<RouteSimulation> = z.strictObject({
  model: text,
  seed: text,
  order: z.array(z.strictObject({ target: text, model: text })),
  routing: decisionSchema.nullable(),
  error: z.strictObject({ code: text, status: z.int(), message: text }).nullable(),
  count: z.int(),
  distribution: z.array(
    z.strictObject({ target: maybeText, model: maybeText, count: z.int(), share: z.number() }),
  ),
})
NAMED_SCHEMAS.add(routeSimulationSchema, { id: 'RouteSimulation' })

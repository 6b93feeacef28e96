import * as z from 'zod'
import { type ModeWeights, STRATEGIES } from '../contracts/routing.ts'
import type { AliasConfig, RoutingConfig } from './gateway-config.ts'
import { healthFields } from './health-schema.ts'
import { durationText, entryName, modelName } from './schema-parts.ts'
import { strict } from './validate.ts'

const MAX_VARIANTS = 100

export const strategyName: z.ZodEnum<{ [Name in (typeof STRATEGIES)[number]]: Name }> =
  z.enum(STRATEGIES)

const share = z.number().min(0).max(1)
const modeSchema: z.ZodType<ModeWeights> = strict({
  cost: share.default(0),
  latency: share.default(0),
  failure: share.default(0),
  weight: share.default(0),
})
  .refine(({ cost, latency, failure, weight }) => cost + latency + failure + weight > 0, {
    error: 'must weigh something: cost, latency, failure or weight',
  })
  .describe('How much each term of a score counts, 0 to 1.')

/** The top-level section. */
export const routingConfigSchema: z.ZodType<RoutingConfig> = z.preprocess(
  (value) => value ?? {},
  strict({
    strategy: z.exactOptional(strategyName),
    default_mode: entryName.default('normal'),
    modes: z.record(entryName, modeSchema).default({}),
    thompson: z.preprocess(
      (value) => value ?? {},
      strict({
        half_life: durationText.default('24h'),
        window: z.int().min(20).max(1_000_000).default(400),
      }),
    ),
    wildcard: z.exactOptional(z.array(modelName).min(1).max(1000)),
    ...healthFields,
  }),
)

/** An alias in the configuration, and as the admin API takes it. */
export const aliasSchema: z.ZodType<AliasConfig> = strict({
  variants: z
    .array(strict({ model: modelName, weight: z.number().gt(0).max(1_000_000).default(1) }))
    .min(1)
    .max(MAX_VARIANTS),
  sticky: z.enum(['request', 'key', 'session', 'round_robin']).default('request'),
  enabled: z.boolean().default(true),
}).superRefine(({ variants }, ctx) => {
  const seen = new Set<string>()
  for (const [index, { model }] of variants.entries()) {
    if (seen.has(model)) {
      const message = `another variant is "${model}"`
      ctx.addIssue({ code: 'custom', path: ['variants', index, 'model'], message })
    }
    seen.add(model)
  }
})

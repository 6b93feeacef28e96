import * as z from 'zod'
import { durationText, entryName, modelName } from './schema-parts.ts'
import { strict } from './validate.ts'

/** Members of `routing` that say how targets are judged and how often one is asked again. Durations as written. */
export type HealthConfig = {
  readonly breaker: {
    readonly failures: number
    readonly failure_share: number
    readonly min_requests: number
    readonly window: string
    readonly open_for: string
    readonly max_open_for: string
    readonly when_all_open: 'try' | 'refuse'
  }
  readonly probes: {
    readonly enabled: boolean
    readonly interval: string
    readonly timeout: string
  }
  readonly retry: { readonly max_retries: number; readonly budget: number; readonly burst: number }
  /** How long a target whose account is empty is left alone. */
  readonly quota_set_aside: string
  /** `obey`: no more calls than the vendor says it takes. */
  readonly provider_limits: 'obey' | 'ignore'
  /** TokenGuard's background sync of the global bucket. Null: off, because each costs a completion. */
  readonly sync: {
    readonly every: string
    readonly provider?: string
    readonly model?: string
  } | null
}

/** Absent members, and `breaker:` with nothing behind it, are the defaults. */
const part = <Shape extends z.core.$ZodLooseShape>(
  shape: Shape,
): z.ZodPreprocess<z.ZodObject<Shape, z.core.$strict>> =>
  z.preprocess((value) => value ?? {}, strict(shape))

export const healthFields: {
  readonly [Name in keyof HealthConfig]: z.ZodType<HealthConfig[Name]>
} = {
  breaker: part({
    failures: z.int().min(1).max(1000).default(5).describe('In a row.'),
    failure_share: z.number().gt(0).max(1).default(0.5),
    min_requests: z.int().min(1).max(100_000).default(20),
    window: durationText.default('1m'),
    open_for: durationText.default('5s'),
    max_open_for: durationText.default('10s'),
    when_all_open: z.enum(['try', 'refuse']).default('try'),
  }),
  probes: part({
    enabled: z.boolean().default(true),
    interval: durationText.default('5s'),
    timeout: durationText.default('3s'),
  }),
  retry: part({
    max_retries: z.int().min(0).max(10).default(0),
    budget: z.number().min(0).max(1).default(0.1),
    burst: z.int().min(0).max(1000).default(10),
  }),
  quota_set_aside: durationText.default('10m'),
  provider_limits: z.enum(['obey', 'ignore']).default('obey'),
  sync: strict({
    every: durationText.default('5m'),
    provider: z.exactOptional(entryName),
    model: z.exactOptional(modelName),
  })
    .nullable()
    .default(null),
}

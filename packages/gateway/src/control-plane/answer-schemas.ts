import * as z from 'zod'
import type {
  ConfigView,
  DeletedView,
  ErrorBody,
  HealthReset,
  HealthView,
  JsonObject,
  KeyExplanation,
  KeyView,
  KeyWithSecret,
  LimitChange,
  LimitExplanation,
  LimitView,
  ModelView,
  Page,
  PolicyView,
  ProviderModelsView,
  ProviderTestView,
  ProviderView,
  ReloadView,
} from './admin-api.ts'
import type { PolicyExplanation } from '../plan/explain-policy.ts'
import type { SimulatedLimit } from './what-if-api.ts'

/** Schemas with a name in the OpenAPI document. */
export const NAMED_SCHEMAS: z.core.$ZodRegistry<{ id: string }> = z.registry<{ id: string }>()

function named<T>(id: string, schema: z.ZodType<T>): z.ZodType<T> {
  NAMED_SCHEMAS.add(schema, { id })
  return schema
}

const text = z.string()
const count = z.int()
const maybeText = z.string().nullable()
const time = z.string().describe('RFC 3339, UTC.')
const maybeTime = time.nullable()
const maybeNumber = z.number().nullable()
const texts = z.array(z.string())
const object: z.ZodType<JsonObject> = z.record(z.string(), z.unknown())
const textMap = z.record(z.string(), z.string())

export function pageOfSchema<T>(item: z.ZodType<T>): z.ZodType<Page<T>> {
  return z.strictObject({ items: z.array(item), total: count, next: maybeText })
}

const keyReference = z.strictObject({ id: text, name: text })

export const errorSchema: z.ZodType<ErrorBody> = named(
  'Error',
  z.strictObject({
    error: z.strictObject({
      code: text,
      message: text,
      path: z.exactOptional(text),
      problems: z.exactOptional(
        z.array(z.strictObject({ path: text, line: maybeNumber, message: text })),
      ),
      matches: z.exactOptional(z.array(keyReference)),
      keys: z.exactOptional(z.array(keyReference)),
    }),
  }),
)

const keyFields = {
  id: text,
  name: text,
  last4: text,
  state: z.enum(['active', 'disabled', 'expired', 'overdue', 'revoked']),
  owner: z.enum(['api', 'file']),
  expires_at: maybeTime,
  enabled: z.boolean(),
  revoked_at: maybeTime,
  scopes: texts,
  subject: z.strictObject({
    team: maybeText,
    rolegroup: maybeText,
    role: maybeText,
    user: maybeText,
  }),
  policy: object,
  policies: texts,
  metadata: textMap,
  created_at: maybeTime,
  created_by: text,
  updated_at: maybeTime,
  last_used_at: maybeTime,
  rotated_at: maybeTime,
  rotate_every: maybeText,
  rotation_due_at: maybeTime,
  previous_valid_until: maybeTime,
}

export const keySchema: z.ZodType<KeyView> = named('Key', z.strictObject(keyFields))
export const keyWithSecretSchema: z.ZodType<KeyWithSecret> = named(
  'KeyWithSecret',
  z.strictObject({ ...keyFields, key: z.string().describe('The secret. Shown only here.') }),
)

const explanationFields = {
  layers: texts,
  fields: z.array(z.strictObject({ field: text, value: z.unknown(), from: texts })),
  conflicts: z.array(z.strictObject({ from: text, field: text, problem: text })),
  model: z.strictObject({ name: text, allowed: z.boolean(), entry: maybeText }).nullable(),
}

/** A merged policy: its fields, and where each comes from. */
export const policyExplanationSchema: z.ZodType<PolicyExplanation> = named(
  'PolicyExplanation',
  z.strictObject(explanationFields),
)

export const keyExplanationSchema: z.ZodType<KeyExplanation> = named(
  'KeyExplanation',
  z.strictObject({ key: keyReference, ...explanationFields }),
)

export const policySchema: z.ZodType<PolicyView> = named(
  'Policy',
  z.strictObject({
    name: text,
    owner: z.enum(['api', 'file']),
    policy: object,
    created_at: maybeTime,
    updated_at: maybeTime,
  }),
)
export const deletedSchema: z.ZodType<DeletedView> = z.strictObject({
  name: text,
  deleted: z.literal(true),
})

export const providerSchema: z.ZodType<ProviderView> = named(
  'Provider',
  z.strictObject({
    name: text,
    protocols: texts,
    base_url: text,
    auth: text,
    credential: maybeText,
    credential_missing: z.boolean(),
    allow_private: z.boolean(),
    on_client_abort: z.enum(['abort', 'drain']),
    state: z.enum(['healthy', 'degraded', 'down', 'unknown']),
    timeouts: z.strictObject({ connect: text, first_byte: text, idle: text, total: text }),
  }),
)

const providerTestFields = {
  provider: text,
  ok: z.boolean(),
  status: maybeNumber,
  latency_ms: z.number(),
  problem: maybeText,
}

export const providerTestSchema: z.ZodType<ProviderTestView> = named(
  'ProviderTest',
  z.strictObject(providerTestFields),
)

const rates = {
  input: z.number(),
  output: z.number(),
  cache_read: z.number(),
  cache_write_5m: z.number(),
  cache_write_1h: z.number(),
  reasoning: maybeNumber,
}
const price = z.strictObject({
  ...rates,
  tiers: z.array(z.strictObject({ ...rates, above_input_tokens: count })),
})

export const providerModelsSchema: z.ZodType<ProviderModelsView> = named(
  'ProviderModels',
  z.strictObject({
    ...providerTestFields,
    items: z.array(
      z.strictObject({
        model: text,
        name: text,
        known: z.boolean(),
        declared: z.boolean(),
        price: price.nullable(),
        context: maybeNumber,
        max_output: maybeNumber,
      }),
    ),
  }),
)

export const modelSchema: z.ZodType<ModelView> = named(
  'Model',
  z.strictObject({
    name: text,
    declared: z.boolean(),
    strategy: text,
    priced: z.boolean(),
    price: price.nullable(),
    context: maybeNumber,
    targets: z.array(
      z.strictObject({
        id: text,
        provider: text,
        model: text,
        weight: z.number(),
        enabled: z.boolean(),
        lacks: z.array(text),
        priced: z.boolean(),
        price: price.nullable(),
        context: maybeNumber,
        max_output: z.number(),
      }),
    ),
  }),
)

export const limitSchema: z.ZodType<LimitView> = named(
  'Limit',
  z.strictObject({
    id: text,
    scope: text,
    value: text,
    unit: text,
    used: z.number(),
    reserved: z.number(),
    amount: z.number(),
    resets_at: maybeTime,
  }),
)
const LIMIT_OUTCOMES = ['passes', 'shrinks', 'refused', 'never', 'not_applied', 'depends'] as const
const explainedLimit = z.strictObject({
  id: text,
  scope: text,
  value: maybeText,
  unit: text,
  algorithm: text,
  window: maybeText,
  mode: text,
  from: z.array(text),
  used: maybeNumber,
  reserved: maybeNumber,
  amount: maybeNumber,
  resets_at: maybeTime,
  needs: maybeNumber,
  outcome: z.enum(LIMIT_OUTCOMES),
  reason: text,
})
export const simulatedLimitSchema: z.ZodType<SimulatedLimit> = z.strictObject({
  ...explainedLimit.shape,
  outcome: z.enum([...LIMIT_OUTCOMES, 'not_reached']),
  held: maybeNumber,
})
export const limitExplanationSchema: z.ZodType<LimitExplanation> = named(
  'LimitExplanation',
  z.strictObject({
    key: z.strictObject({ id: text, name: text }),
    model: maybeText,
    target: maybeText,
    request: z.strictObject({ input_tokens: count, output_tokens: count, cost_usd: maybeNumber }),
    passes: z.boolean(),
    refused_by: z.array(text),
    limits: z.array(explainedLimit),
  }),
)
export const limitChangeSchema: z.ZodType<LimitChange> = named(
  'LimitChange',
  z.strictObject({ id: text, changed: count, items: z.array(limitSchema) }),
)

export const healthSchema: z.ZodType<HealthView> = named(
  'Health',
  z.strictObject({
    status: z.enum(['ok', 'degraded']),
    version: text,
    serving: z.boolean(),
    started_at: time,
    checks: textMap,
    targets: z.array(
      z.strictObject({
        target: text,
        provider: text,
        model: text,
        state: text,
        circuit: maybeText,
        set_aside_until: maybeTime,
        consecutive_failures: maybeNumber,
        failure_share: maybeNumber,
        latency_ms: maybeNumber,
        in_flight: maybeNumber,
      }),
    ),
  }),
)

export const healthResetSchema: z.ZodType<HealthReset> = z.strictObject({ reset: z.array(text) })

export const configSchema: z.ZodType<ConfigView> = named(
  'Config',
  z.strictObject({
    file: maybeText,
    revision: count,
    from_env: texts,
    missing_secrets: z.array(z.strictObject({ path: text, reference: text })),
    config: object,
  }),
)
export const reloadSchema: z.ZodType<ReloadView> = z.strictObject({
  reloaded: z.literal(true),
  revision: count,
})

/** Any JSON object: a JSON Schema, or statistics whose shape `observe/` owns. */
export const objectSchema: z.ZodType<JsonObject> = object

import * as z from 'zod'
import { endpointList, entryName, metadataMap, modelName } from '../config/schema-parts.ts'
import { checkedText, strict } from '../config/validate.ts'
import { NAMED_SCHEMAS, policyExplanationSchema, simulatedLimitSchema } from './answer-schemas.ts'
import { policyObject, subjectBody } from './request-schemas.ts'
import { decisionSchema } from './routing-schemas.ts'
import { statedNeeds } from './simulation-schemas.ts'
import type {
  PolicyReplay,
  PolicySimulation,
  PolicySimulationBody,
  ReplayBody,
  ReplayRowView,
  ReplayTotals,
} from './what-if-api.ts'

const MAX_TOKENS = 1e9
const MAX_HEADERS = 100
const MAX_HEADER_CHARS = 8192
const MAX_PATH_CHARS = 2048

const text = z.string()
const maybeText = z.string().nullable()
const maybeNumber = z.number().nullable()
const count = z.int()
const flag = z.exactOptional(z.boolean())
const shortText = z.string().min(1).max(256)
const tokens = z.int().min(0).max(MAX_TOKENS)

const headerName = checkedText((name) =>
  /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/.test(name) ? null : `"${name}" is no name of a header`,
)
const headerValue = checkedText((value) => {
  if (value.length > MAX_HEADER_CHARS) return `must have at most ${MAX_HEADER_CHARS} characters`
  return /^[\t\u0020-\u007e\u0080-\u00ff]*$/.test(value) ? null : 'holds what no header may hold'
})
const headers: z.ZodType<Readonly<Record<string, string>>> = z
  .record(headerName, headerValue)
  .refine((map) => Object.keys(map).length <= MAX_HEADERS, {
    error: `must have at most ${MAX_HEADERS} members`,
  })

export const policySimulationBody: z.ZodType<PolicySimulationBody> = strict({
  key: z.exactOptional(shortText),
  subject: z.exactOptional(subjectBody),
  policy: z.exactOptional(policyObject),
  merge: flag,
  policies: z.exactOptional(z.array(entryName).max(32)),
  scopes: z.exactOptional(endpointList),
  metadata: z.exactOptional(metadataMap),
  endpoint: z.exactOptional(z.string().min(1).max(MAX_PATH_CHARS)),
  headers: z.exactOptional(headers),
  ip: z.exactOptional(z.union([z.ipv4(), z.ipv6()], { error: 'is no address' })),
  body: z.exactOptional(z.record(z.string(), z.unknown())),
  model: z.exactOptional(modelName),
  input_tokens: z.exactOptional(tokens),
  max_tokens: z.exactOptional(tokens.min(1)),
  stream: flag,
  needs: statedNeeds,
  at: z.exactOptional(z.string().min(1).max(64).describe('RFC 3339.')),
  seed: z.exactOptional(shortText),
})
NAMED_SCHEMAS.add(policySimulationBody, { id: 'PolicySimulationBody' })

export const policySimulationSchema: z.ZodType<PolicySimulation> = z.strictObject({
  admitted: z.boolean(),
  refusal: z
    .strictObject({
      status: count,
      code: text,
      message: text,
      detail: maybeText,
      limit: z.record(z.string(), z.unknown()).nullable(),
      retry_after_ms: maybeNumber,
      would_wait: z.boolean(),
    })
    .nullable(),
  at: text,
  key: z.strictObject({ id: text, name: text }).nullable(),
  endpoint: text,
  protocol: text,
  model: maybeText,
  target: maybeText,
  targets: z.array(text),
  decision: decisionSchema.nullable(),
  output_cap: count.nullable(),
  reserved: z
    .strictObject({ input_tokens: count, output_tokens: count, cost_usd: maybeNumber })
    .nullable(),
  limits: z.array(simulatedLimitSchema),
  changes: z
    .strictObject({
      model: maybeText,
      max_output_tokens: count.nullable(),
      prompts: count,
      protocol: maybeText,
      losses: z.array(text),
    })
    .nullable(),
  explain: policyExplanationSchema,
})
NAMED_SCHEMAS.add(policySimulationSchema, { id: 'PolicySimulation' })

export const replayBody: z.ZodType<ReplayBody> = strict({
  since: z.exactOptional(shortText.describe('RFC 3339, or how long ago, such as 24h.')),
  until: z.exactOptional(shortText),
  key: z.exactOptional(shortText),
  team: z.exactOptional(shortText),
  policy: z.exactOptional(policyObject),
  merge: flag,
  config: z.exactOptional(z.record(z.string(), z.unknown())),
})
NAMED_SCHEMAS.add(replayBody, { id: 'ReplayBody' })

const totals: z.ZodType<ReplayTotals> = z.strictObject({
  admitted: count,
  refused: count,
  shrunk: count,
  cost_nanousd: count,
  unknown_cost: count,
})
const replayRow: z.ZodType<ReplayRowView> = z.strictObject({
  name: text,
  requests: count,
  before: totals,
  after: totals,
})
const changes = z.strictObject({
  refused: count,
  admitted: count,
  shrunk: count,
  not_shrunk: count,
  target: count,
})
const replayOutcome = z.strictObject({
  admitted: z.boolean(),
  target: maybeText,
  model: maybeText,
  refused_by: maybeText,
  cost_nanousd: count.nullable(),
  shrunk: z.boolean(),
})

export const policyReplaySchema: z.ZodType<PolicyReplay> = z.strictObject({
  since: maybeText,
  until: maybeText,
  scope: z.strictObject({ kind: z.enum(['all', 'key', 'team']), value: maybeText }),
  records: count,
  truncated: z.boolean(),
  passed_over: z.record(text, count),
  requests: count,
  recorded: z.strictObject({ refused: count, cost_nanousd: count }),
  before: totals,
  after: totals,
  saved_nanousd: count,
  changes,
  refused_by: z.array(z.strictObject({ name: text, before: count, after: count })),
  by_model: z.array(replayRow),
  by_key: z.array(replayRow),
  targets: z.array(
    z.strictObject({
      from: text,
      to: text,
      requests: count,
      before_nanousd: count,
      after_nanousd: count,
    }),
  ),
  examples: z.array(
    z.strictObject({
      request_id: text,
      started_at: text,
      key_id: text,
      model: text,
      change: z.enum(['refused', 'admitted', 'shrunk', 'not_shrunk', 'target']),
      before: replayOutcome,
      after: replayOutcome,
    }),
  ),
  others: z.strictObject({ requests: count, changes }).nullable(),
  notes: z.array(text),
  duration_ms: count,
})
NAMED_SCHEMAS.add(policyReplaySchema, { id: 'PolicyReplay' })

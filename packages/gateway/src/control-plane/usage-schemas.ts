import * as z from 'zod'
import type { UsageRecordView, UsageSummary } from './admin-api.ts'
import { NAMED_SCHEMAS } from './answer-schemas.ts'
import { decisionSchema } from './routing-schemas.ts'

const text = z.string()
const maybeText = z.string().nullable()
const tokens = z.int().nullable()
const milliseconds = z.number().nullable()

export const usageRecordSchema: z.ZodType<UsageRecordView> = z.strictObject({
  id: text,
  request_id: text,
  upstream_request_id: maybeText,
  started_at: text,
  key_id: maybeText,
  key_name: maybeText,
  team: maybeText,
  rolegroup: maybeText,
  role: maybeText,
  user: maybeText,
  endpoint: text,
  protocol: text,
  requested_model: maybeText,
  model: maybeText,
  served_model: maybeText,
  provider: maybeText,
  target: maybeText,
  attempts: z.array(
    z.strictObject({
      target: text,
      status: z.int().nullable(),
      error_class: maybeText,
      duration_ms: z.number(),
    }),
  ),
  status: z.int(),
  error_source: maybeText,
  error_class: maybeText,
  stream: z.boolean(),
  complete: z.boolean(),
  usage: z.strictObject({
    input: tokens,
    output: tokens,
    cache_read: tokens,
    cache_write_5m: tokens,
    cache_write_1h: tokens,
    reasoning: tokens,
    audio_input: tokens,
    audio_output: tokens,
    server_tool_calls: tokens,
  }),
  estimated: z.boolean(),
  cost_nanousd: z.int().nullable(),
  saved_nanousd: z.int(),
  latency_ms: z.number(),
  ttft_ms: milliseconds,
  overhead_ms: z.number(),
  cache: maybeText,
  limits: z.array(text),
  asked: z.strictObject({ input_tokens: tokens, max_output_tokens: tokens }).nullable(),
  project: maybeText,
  user_agent: maybeText,
  session_id: maybeText,
  client_ip: maybeText,
  metadata: z.record(text, text),
  translation: z.nullable(z.strictObject({ protocol: text, losses: z.array(text) })),
  routing: z.nullable(decisionSchema),
})
NAMED_SCHEMAS.add(usageRecordSchema, { id: 'UsageRecord' })

const sum = z.strictObject({
  input: z.int(),
  output: z.int(),
  cache_read: z.int(),
  cache_write_5m: z.int(),
  cache_write_1h: z.int(),
  reasoning: z.int(),
})
const rows = z.array(
  z.strictObject({
    name: text,
    requests: z.int(),
    errors: z.int(),
    usage: sum,
    cost_nanousd: z.int(),
  }),
)

export const usageSummarySchema: z.ZodType<UsageSummary> = z.strictObject({
  since: maybeText,
  until: maybeText,
  requests: z.int(),
  errors: z.int(),
  usage: sum,
  cost_nanousd: z.int(),
  saved_nanousd: z.int(),
  by_model: rows,
  by_key: rows,
  by_provider: rows,
})
NAMED_SCHEMAS.add(usageSummarySchema, { id: 'UsageSummary' })

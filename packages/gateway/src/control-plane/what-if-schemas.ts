import * as z from 'zod'
import { endpointList, entryName, metadataMap, modelName } from '../config/schema-parts.ts'
import { checkedText, strict } from '../config/validate.ts'
import { NAMED_SCHEMAS, policyExplanationSchema, simulatedLimitSchema } from './answer-schemas.ts'
import { policyObject, subjectBody } from './request-schemas.ts'
import { decisionSchema } from './routing-schemas.ts'
import type { PolicySimulation, PolicySimulationBody } from './what-if-api.ts'

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
  needs: z.exactOptional(
    strict({
      tools: flag,
      vision: flag,
      audio: flag,
      documents: flag,
      json_schema: flag,
      streaming: flag,
    }),
  ),
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

import * as z from 'zod'
import { didYouMean } from '../lib/did-you-mean.ts'
import { formatPath, type ConfigProblem } from './config-error.ts'
import { limitSchema } from './limit-schema.ts'
import { repeatedLimitIds } from './limit-shorthands.ts'
import { searchPattern, namePatternProblem } from './name-matcher.ts'
import type { LimitShorthands, PolicyConfig, ProviderEntryConfig } from './policy-config.ts'
import {
  cidrText,
  durationText,
  endpointList,
  entryName,
  looseObject,
  metadataMap,
  nameList,
  positiveInteger,
  printableText,
  usdAmount,
  windowText,
} from './schema-parts.ts'
import { refuseTwice, retrySchema, routingSchema, upstreamFields } from './upstream-schema.ts'
import { checkedText, strict, unavailable, validate } from './validate.ts'

/** Fields that a policy may mark `overridable`. Also `limits.ID` for one limit. */
const OVERRIDABLE_FIELDS = [
  'models.allow',
  'endpoints',
  'limits',
  'max_output_tokens',
  'max_input_tokens',
  'max_cost_per_request',
  'unpriced',
  'strict_translation',
  'ip_allow',
  'trust_scope_headers',
  'timeout',
  'disable_overdue_after',
  'routing.max_cost',
  'routing.max_latency',
  'routing.directives',
  'routing.min_weight',
] as const

const positiveUsd = usdAmount.refine((usd) => usd > 0, { error: 'must be more than 0' })
const regexText = checkedText((regex) => namePatternProblem(searchPattern(regex)))

const rateRule = strict({
  requests: z.exactOptional(positiveInteger),
  tokens: z.exactOptional(positiveInteger),
  window: z.exactOptional(windowText),
  strategy: z.exactOptional(z.enum(['sliding', 'fixed'])),
}).refine((rule) => rule.requests !== undefined || rule.tokens !== undefined, {
  error: 'needs requests or tokens',
})

const shorthands = {
  max_tokens: z.exactOptional(positiveInteger),
  rate_limit: z.exactOptional(
    strict({
      rules: z.exactOptional(z.array(rateRule)),
      max_parallel: z.exactOptional(positiveInteger),
    }),
  ),
  budget: z.exactOptional(
    strict({
      hourly: z.exactOptional(positiveUsd),
      daily: z.exactOptional(positiveUsd),
      monthly: z.exactOptional(positiveUsd),
    }),
  ),
  monthly_budget_usd: z.exactOptional(positiveUsd),
  rate_limit_rps: z.exactOptional(positiveInteger),
} satisfies Record<keyof LimitShorthands, z.ZodType>

const fields = {
  ...shorthands,
  models: z.exactOptional(
    z.union([
      nameList,
      strict({ allow: z.exactOptional(nameList), deny: z.exactOptional(nameList) }),
    ]),
  ),
  model: z.exactOptional(printableText),
  model_regex: z.exactOptional(regexText),
  endpoints: z.exactOptional(endpointList),
  limits: z.exactOptional(z.array(limitSchema)),
  max_output_tokens: z.exactOptional(positiveInteger),
  max_input_tokens: z.exactOptional(positiveInteger),
  max_cost_per_request: z.exactOptional(positiveUsd),
  unpriced: z.exactOptional(z.enum(['deny', 'allow'])),
  strict_translation: z.exactOptional(z.boolean()),
  metadata: z.exactOptional(metadataMap),
}

/** Known fields of the design that this version cannot honour. Refused, because a rule that does nothing is worse than none. */
const notBuiltYet = {
  rules: unavailable(z.array(z.union([z.string(), looseObject]))),
}

const providerEntry: z.ZodType<ProviderEntryConfig> = strict({
  ...fields,
  ...upstreamFields,
  ...notBuiltYet,
  match: z.exactOptional(strict({ models: z.exactOptional(nameList) })),
  provider: z.exactOptional(entryName),
}).superRefine(refuseTwice)

const providerList = z.array(providerEntry)
const providerMap = z
  .record(entryName, z.union([providerEntry, z.array(providerEntry)]))
  .transform((map) => Object.entries(map).flatMap(([name, entry]) => named(name, entry)))

function named(
  provider: string,
  entry: ProviderEntryConfig | readonly ProviderEntryConfig[],
): readonly ProviderEntryConfig[] {
  const entries: readonly ProviderEntryConfig[] = 'map' in entry ? entry : [entry]
  return entries.map((one) => Object.assign({ provider }, one))
}

const overridableField = checkedText((field) => {
  if (OVERRIDABLE_FIELDS.some((known) => known === field)) return null
  if (field.startsWith('limits.') && field.length > 'limits.'.length) return null
  return `"${field}" cannot be overridable${didYouMean(field, OVERRIDABLE_FIELDS)}`
})

/** A policy, wherever it stands. Unknown fields, negative numbers, unknown units and unparsable windows are errors. */
export const policySchema: z.ZodType<PolicyConfig> = strict({
  ...fields,
  ...upstreamFields,
  ...notBuiltYet,
  providers: z.exactOptional(z.union([providerList, providerMap])),
  default_provider: z.exactOptional(entryName),
  ip_allow: z.exactOptional(z.array(cidrText)),
  trust_scope_headers: z.exactOptional(z.boolean()),
  overridable: z.exactOptional(z.array(overridableField)),
  retry: z.exactOptional(retrySchema),
  routing: z.exactOptional(routingSchema),
  disable_overdue_after: z.exactOptional(durationText),
  cache: unavailable(looseObject),
  compression: unavailable(looseObject),
  memory: unavailable(looseObject),
}).superRefine((policy, ctx) => {
  refuseTwice(policy, ctx)
  for (const { id, index } of repeatedLimitIds(policy)) {
    ctx.addIssue({
      code: 'custom',
      path: ['limits', index, 'id'],
      message: `another limit of this policy has the id "${id}"; give each its own`,
    })
  }
})

export type PolicyResult =
  | { readonly ok: true; readonly policy: PolicyConfig }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] }

/** Validates one policy that came from the API, the CLI or the store. Paths start at `at`, such as `policy`. */
export function parsePolicy(input: unknown, at: readonly string[] = []): PolicyResult {
  const result = validate(policySchema, input)
  if (result.ok) return { ok: true, policy: result.value }
  return {
    ok: false,
    problems: result.findings.map((found) => ({
      path: formatPath([...at, ...found.path]),
      line: null,
      column: null,
      message: found.message,
    })),
  }
}

/** JSON Schema (2020-12) of a policy, for editors. */
export function policyJsonSchema(): Readonly<Record<string, unknown>> {
  return z.toJSONSchema(policySchema, { io: 'input', unrepresentable: 'any' })
}

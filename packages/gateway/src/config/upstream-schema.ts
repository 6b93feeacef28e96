import * as z from 'zod'
import type {
  PolicyRoutingConfig,
  PromptConfig,
  RetryConfig,
  UpstreamFields,
} from './policy-config.ts'
import { strategyName } from './routing-schema.ts'
import {
  baseUrl,
  durationText,
  entryName,
  modelName,
  timeoutsObject,
  usdAmount,
} from './schema-parts.ts'
import { NO_SECRET, secretReferenceProblem } from './secret.ts'
import { checkedText, NOT_AVAILABLE, strict } from './validate.ts'

/** Larger ones belong into the request itself, where the caps on bodies hold. Characters. */
const MAX_PROMPT_CHARS = 100_000
const MAX_PROMPTS = 32
/** More only holds the client's connection. */
const MAX_RETRIES = 10
const MAX_FALLBACKS = 16
const MAX_TIMEOUT_SECONDS = 86_400

const promptSchema: z.ZodType<PromptConfig> = strict({
  role: z.enum(['system', 'developer', 'user', 'assistant']),
  content: z.string().min(1).max(MAX_PROMPT_CHARS),
  position: z.exactOptional(z.enum(['start', 'end'])),
})

const credentialReference = checkedText((reference) => {
  const scheme = /^(vault|keychain|exec):/.exec(reference)?.[1]
  if (scheme !== undefined) return `${scheme}: is ${NOT_AVAILABLE}; write env:NAME or file:path`
  return reference === NO_SECRET
    ? 'must be env:NAME or file:path'
    : secretReferenceProblem(reference)
})

const variableName = checkedText((name) =>
  /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? null : 'must be the name of an environment variable',
)

const upstreamUrl = checkedText((url) =>
  /[{}]/.test(url) ? 'must hold no placeholder' : null,
).pipe(baseUrl)

const timeout = z.union([z.int().min(1).max(MAX_TIMEOUT_SECONDS), durationText, timeoutsObject])

/** Fields of a policy and of its provider entries that say how a request reaches its provider. */
export const upstreamFields: {
  readonly [Name in keyof UpstreamFields]-?: z.ZodExactOptional<
    z.ZodType<Exclude<UpstreamFields[Name], undefined>>
  >
} = {
  credential: z.exactOptional(credentialReference),
  base_key_env: z.exactOptional(variableName),
  upstream_url: z.exactOptional(upstreamUrl),
  prompts: z.exactOptional(z.array(promptSchema).max(MAX_PROMPTS)),
  timeout: z.exactOptional(timeout),
}

export const retrySchema: z.ZodType<RetryConfig> = strict({
  max_retries: z.exactOptional(z.int().min(0).max(MAX_RETRIES)),
  fallbacks: z.exactOptional(z.array(modelName).max(MAX_FALLBACKS)),
  retry_on: z.exactOptional(z.array(z.int().min(400).max(599)).min(1)),
})

export const routingSchema: z.ZodType<PolicyRoutingConfig> = strict({
  fallbacks: z.exactOptional(z.array(modelName).max(MAX_FALLBACKS)),
  retry: z.exactOptional(retrySchema),
  timeout: z.exactOptional(timeout),
  mode: z.exactOptional(entryName),
  strategy: z.exactOptional(strategyName),
  hedge: z.exactOptional(
    strict({
      after: z.union([z.literal('p95'), durationText]).default('p95'),
      max: z.literal(1).default(1),
    }),
  ),
  content_fallbacks: z.exactOptional(z.array(modelName).max(MAX_FALLBACKS)),
  escalate: z.exactOptional(z.union([z.boolean(), z.array(modelName).min(1).max(MAX_FALLBACKS)])),
  min_weight: z.exactOptional(z.number().min(0).max(1_000_000)),
  max_latency: z.exactOptional(durationText),
  max_latency_ms: z.exactOptional(
    z
      .int()
      .min(1)
      .max(MAX_TIMEOUT_SECONDS * 1000),
  ),
  max_cost: z.exactOptional(usdAmount),
  max_budget_usd: z.exactOptional(usdAmount),
  directives: z.exactOptional(z.boolean()),
})

type Twofold = UpstreamFields & {
  readonly retry?: RetryConfig
  readonly routing?: PolicyRoutingConfig
}

/** One thing in two places of one policy: whichever would count, somebody would expect the other. */
export function refuseTwice(
  policy: Twofold,
  ctx: { addIssue(issue: { code: 'custom'; path: PropertyKey[]; message: string }): void },
): void {
  const { routing } = policy
  const pairs: readonly (readonly [unknown, unknown, PropertyKey[], string])[] = [
    [policy.credential, policy.base_key_env, ['base_key_env'], 'credential'],
    [policy.timeout, routing?.timeout, ['routing', 'timeout'], 'timeout'],
    [policy.retry, routing?.retry, ['routing', 'retry'], 'retry'],
    [policy.retry?.fallbacks, routing?.fallbacks, ['routing', 'fallbacks'], 'retry.fallbacks'],
    [
      routing?.retry?.fallbacks,
      routing?.fallbacks,
      ['routing', 'fallbacks'],
      'routing.retry.fallbacks',
    ],
    [routing?.max_latency, routing?.max_latency_ms, ['routing', 'max_latency_ms'], 'max_latency'],
    [routing?.max_cost, routing?.max_budget_usd, ['routing', 'max_budget_usd'], 'max_cost'],
  ]
  for (const [one, other, path, name] of pairs) {
    if (one === undefined || other === undefined) continue
    ctx.addIssue({ code: 'custom', path, message: `says the same as ${name}; write one of them` })
  }
}

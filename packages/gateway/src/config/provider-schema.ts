import * as z from 'zod'
import type {
  AuthConfig,
  ModelConfig,
  ModelFacts,
  PriceConfig,
  ProviderConfig,
  TargetConfig,
} from './gateway-config.ts'
import {
  baseUrl,
  durationText,
  entryName,
  modelName,
  positiveInteger,
  printableText,
  timeoutsObject,
} from './schema-parts.ts'
import type { Secret } from './secret.ts'
import { checkedText, NOT_AVAILABLE, strict } from './validate.ts'

const PROTOCOLS = [
  'openai-chat',
  'openai-responses',
  'anthropic-messages',
  'gemini',
  'bedrock-converse',
] as const
/** Protocols that this build can speak to a provider. */
const SERVED_PROTOCOLS: ReadonlySet<string> = new Set([
  'openai-chat',
  'openai-responses',
  'anthropic-messages',
  'gemini',
  'bedrock-converse',
])

const protocolName = z.enum(PROTOCOLS).superRefine((name, ctx) => {
  if (!SERVED_PROTOCOLS.has(name)) {
    ctx.addIssue({ code: 'custom', message: `${name}: ${NOT_AVAILABLE}` })
  }
})

const headerName = checkedText((name) => {
  if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) return `"${name}" is no header name`
  return FORBIDDEN_HEADERS.has(name.toLowerCase())
    ? `the header "${name}" is set by the gateway itself`
    : null
})
/** Framing, routing and identity of a call; the gateway owns them. */
const FORBIDDEN_HEADERS: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'content-type',
  'expect',
  'upgrade',
  'te',
  'trailer',
  'keep-alive',
  'cookie',
])

const authSchema: z.ZodType<AuthConfig> = strict({
  kind: z.enum(['bearer', 'header', 'query', 'none']),
  name: z.exactOptional(headerName),
}).superRefine((auth, ctx) => {
  const named = auth.kind === 'header' || auth.kind === 'query'
  if (named && auth.name === undefined) {
    ctx.addIssue({
      code: 'custom',
      path: ['name'],
      message: `is required by the kind "${auth.kind}"`,
    })
  }
})

const paramMap = z.record(
  z.string(),
  checkedText((value) =>
    /^[a-z0-9-]{1,63}$/.test(value)
      ? null
      : `"${value}" is no URL part: a-z, 0-9 and "-", at most 63`,
  ),
)

const failureMap = z.record(
  checkedText((status) =>
    /^[45]\d\d$/.test(status) ? null : `"${status}" is no status from 400 to 599`,
  ),
  z.enum(['client', 'auth', 'rate_limited', 'quota', 'overloaded', 'transient', 'timeout']),
)

const pathText = checkedText((path) =>
  /^\/[A-Za-z0-9/_.:{}-]*$/.test(path) && !path.split('/').includes('..')
    ? null
    : `"${path}" is no path: it starts with "/" and may hold {model} and params`,
)

/** `secret` is the schema of a reference, which resolves it. */
export function providerSchema(secret: z.ZodType<Secret>): z.ZodType<ProviderConfig> {
  const entry = strict({
    extends: z.exactOptional(entryName),
    protocol: z.exactOptional(z.union([protocolName, z.array(protocolName).min(1)])),
    base_url: z.exactOptional(baseUrl),
    credential: z.exactOptional(secret),
    auth: z.exactOptional(authSchema),
    headers: z.exactOptional(z.record(headerName, printableText)),
    query: z.exactOptional(z.record(z.string(), printableText)),
    params: z.exactOptional(paramMap),
    paths: z.exactOptional(z.record(z.string(), pathText)),
    failures: z.exactOptional(failureMap),
    output_cap_member: z.exactOptional(
      checkedText((name) => (/^[a-z_]{1,64}$/.test(name) ? null : 'must be a member name')),
    ),
    allow_private: z.exactOptional(z.boolean()),
    on_client_abort: z.exactOptional(z.enum(['abort', 'drain'])),
    drain_cap: z.exactOptional(durationText),
    timeouts: z.exactOptional(timeoutsObject),
  })
  // `openai:` with nothing after it is YAML for null: the catalogue says everything.
  return z.preprocess((value) => (value === null ? {} : value), entry)
}

const usdPerMTok = z.number().min(0).max(1_000_000)
const rates = {
  input: z.exactOptional(usdPerMTok),
  output: z.exactOptional(usdPerMTok),
  cache_read: z.exactOptional(usdPerMTok),
  cache_write_5m: z.exactOptional(usdPerMTok),
  cache_write_1h: z.exactOptional(usdPerMTok),
  reasoning: z.exactOptional(usdPerMTok),
}
const priceSchema: z.ZodType<PriceConfig> = strict({
  ...rates,
  tiers: z.exactOptional(z.array(strict({ ...rates, above_input_tokens: positiveInteger }))),
}).describe('US dollars per million tokens.')

const modelFacts = {
  price: z.exactOptional(priceSchema),
  context: z.exactOptional(positiveInteger),
  max_output: z.exactOptional(positiveInteger),
  tokenizer: z.exactOptional(z.enum(['o200k_base', 'cl100k_base'])),
} satisfies Record<keyof ModelFacts, z.ZodType>

const targetSchema: z.ZodType<TargetConfig> = strict({
  ...modelFacts,
  provider: entryName,
  model: z.exactOptional(modelName),
  weight: z.exactOptional(z.number().min(0).max(1_000_000)),
})

const STRATEGIES = ['priority', 'weighted', 'round_robin'] as const
const LATER_STRATEGIES = ['least_busy', 'latency', 'score', 'thompson'] as const
const strategy = z.enum([...STRATEGIES, ...LATER_STRATEGIES]).transform((name, ctx) => {
  const served = STRATEGIES.find((known) => known === name)
  if (served !== undefined) return served
  ctx.addIssue({ code: 'custom', message: NOT_AVAILABLE })
  return z.NEVER
})

export const modelSchema: z.ZodType<ModelConfig> = strict({
  ...modelFacts,
  targets: z.array(targetSchema).min(1),
  strategy: strategy.default('priority'),
})

import * as z from 'zod'
import { CAPABILITIES, type Capability } from '../contracts/routing.ts'
import type {
  AuthConfig,
  CapabilitiesConfig,
  ModelConfig,
  ModelFacts,
  PriceConfig,
  ProviderConfig,
  TargetConfig,
} from './gateway-config.ts'
import { strategyName } from './routing-schema.ts'
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
  z.enum([
    'client',
    'auth',
    'rate_limited',
    'quota',
    'overloaded',
    'transient',
    'timeout',
    'context_overflow',
    'content_filter',
  ]),
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

/** A list names all that it can do; a map says it of each, and of the rest nothing is known. */
const capabilitiesSchema: z.ZodType<CapabilitiesConfig> = z.union([
  z.array(z.enum(CAPABILITIES)).transform(allOrNothing),
  strict(Object.fromEntries(CAPABILITIES.map((name) => [name, z.exactOptional(z.boolean())]))),
])

function allOrNothing(able: readonly Capability[]): CapabilitiesConfig {
  return Object.fromEntries(CAPABILITIES.map((name) => [name, able.includes(name)]))
}

const modelFacts = {
  price: z.exactOptional(priceSchema),
  context: z.exactOptional(positiveInteger),
  max_output: z.exactOptional(positiveInteger),
  tokenizer: z.exactOptional(z.enum(['o200k_base', 'cl100k_base'])),
  capabilities: z.exactOptional(capabilitiesSchema),
} satisfies Record<keyof ModelFacts, z.ZodType>

const targetId = checkedText((id) =>
  /^[A-Za-z0-9][A-Za-z0-9_.:@/-]{0,127}$/.test(id)
    ? null
    : `"${id}" is no target id: letters, digits, "_", ".", ":", "@", "/" and "-", at most 128`,
)

function targetSchema(secret: z.ZodType<Secret>): z.ZodType<TargetConfig> {
  return strict({
    ...modelFacts,
    provider: entryName,
    model: z.exactOptional(modelName),
    weight: z.exactOptional(z.number().min(0).max(1_000_000)),
    id: z.exactOptional(targetId),
    enabled: z.exactOptional(z.boolean()),
    credential: z.exactOptional(secret),
  })
}

/** `secret` is the schema of a reference, which resolves it. */
export function modelSchema(secret: z.ZodType<Secret>): z.ZodType<ModelConfig> {
  return strict({
    ...modelFacts,
    targets: z.array(targetSchema(secret)).min(1),
    strategy: z.exactOptional(strategyName),
  })
}

import * as z from 'zod'
import type {
  AdminConfig,
  AllowedCredentialConfig,
  GatewayConfig,
  IdempotencyConfig,
  KeysConfig,
  ServerConfig,
  TeamConfig,
  VirtualKeyConfig,
} from './gateway-config.ts'
import { limitsBackendSchema } from './limits-backend.ts'
import { policySchema } from './policy-schema.ts'
import { modelSchema, providerSchema } from './provider-schema.ts'
import { aliasSchema, routingConfigSchema } from './routing-schema.ts'
import {
  cidrText,
  durationText,
  endpointList,
  entryName,
  looseObject,
  metadataMap,
  modelName,
  positiveInteger,
  printableText,
  sizeValue,
} from './schema-parts.ts'
import {
  NO_SECRET,
  resolveSecret,
  secretReferenceProblem,
  type Secret,
  type SecretSources,
} from './secret.ts'
import { type ParsedStorage, storageSchema } from './storage-schema.ts'
import { checkedText, parsedText, strict, unavailable } from './validate.ts'
import { parseDurationMs, parseTimestampMs } from '../lib/duration.ts'

/** The file once validated. What depends on the data directory is still absent; `loadConfig` fills it in. */
export type ParsedConfig = Omit<GatewayConfig, 'storage' | 'keys'> & {
  readonly storage: ParsedStorage
  readonly keys: Omit<KeysConfig, 'hash_key'> & { readonly hash_key: Secret | null }
}

/** The schema of tollgate.yaml. Secrets are looked up while it runs. */
export function configSchema(sources: SecretSources): z.ZodType<ParsedConfig> {
  const secret = secretSchema(sources)
  return strict({
    dir: z.string().min(1).default('.tollgate').describe('The data directory.'),
    server: serverSchema,
    admin: adminSchema(secret),
    log: section({
      level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
      format: z.enum(['json', 'pretty']).nullable().default(null),
    }),
    storage: storageSchema(sources),
    limits: section({
      backend: limitsBackendSchema(sources),
      namespace: checkedText((name) =>
        /^[A-Za-z0-9_.:-]{1,64}$/.test(name)
          ? null
          : `"${name}" is no namespace: letters, digits, ".", "_", ":" and "-", at most 64`,
      ).default('tollgate'),
      timeout: durationText.default('50ms'),
    }),
    keys: section({
      hash_key: secret.nullable().default(null),
      previous: z.array(secret).default([]),
      required: z.boolean().default(true),
    }),
    ledger: section({
      enabled: z.boolean().default(true),
      retention: durationText.nullable().default('90d'),
      durability: z.enum(['normal', 'full']).default('normal'),
    }),
    idempotency: idempotencySchema,
    providers: z.record(entryName, providerSchema(secret)).default({}),
    models: z.record(modelName, modelSchema(secret)).default({}),
    aliases: z.record(modelName, aliasSchema).default({}),
    routing: routingConfigSchema,
    policy: policySchema.default({}),
    policies: z.record(entryName, policySchema).default({}),
    teams: z.record(printableText, teamSchema).default({}),
    credentials: section({ allowed: z.array(allowedCredential(secret)).default([]) }),
    custom_upstreams: section({
      enabled: z.boolean().default(false),
      allow_private: z.boolean().default(false),
      ports: z.array(z.int().min(1).max(65_535)).default([80, 443]),
    }),
    virtual_keys: z.array(virtualKeySchema).default([]).superRefine(checkKeyNames),
    cache: unavailable(looseObject),
    compression: unavailable(looseObject),
    memory: unavailable(looseObject),
    webhooks: unavailable(z.union([looseObject, z.array(z.unknown())])),
    remote: unavailable(looseObject),
  })
}

/** JSON Schema (2020-12) of tollgate.yaml, for editors. No section is required. */
export function configJsonSchema(): Readonly<Record<string, unknown>> {
  const schema: Record<string, unknown> = z.toJSONSchema(configSchema({ env: {}, folder: '/' }), {
    io: 'input',
    unrepresentable: 'any',
    reused: 'ref',
  })
  delete schema['required']
  return schema
}

/** An object whose members all have defaults, and which may itself be left out. */
function section<Shape extends z.core.$ZodLooseShape>(
  shape: Shape,
): z.ZodPreprocess<z.ZodObject<Shape, z.core.$strict>> {
  return z.preprocess((value) => value ?? {}, strict(shape))
}

function secretSchema(sources: SecretSources): z.ZodType<Secret> {
  return z
    .string()
    .describe('A secret reference: env:NAME, file:path or none.')
    .transform((reference, ctx) => {
      const message = secretReferenceProblem(reference)
      if (message === null) return resolveSecret(reference, sources)
      ctx.addIssue({ code: 'custom', message, params: { secret: true } })
      return z.NEVER
    })
}

/** Alone, or with the providers that may see it. */
function allowedCredential(secret: z.ZodType<Secret>): z.ZodType<AllowedCredentialConfig> {
  const named = secret.refine(({ reference }) => reference !== NO_SECRET, {
    error: 'must be a secret: env:NAME or file:path',
  })
  return z.union([
    named.transform((credential) => ({ credential })),
    strict({ credential: named, providers: z.exactOptional(z.array(entryName).min(1)) }),
  ])
}

/** More processes than any machine has cores for. */
const MOST_WORKERS = 64

const port = z.int().min(0).max(65_535)

const serverSchema: z.ZodType<ServerConfig> = section({
  host: z.string().min(1).default('127.0.0.1'),
  port: port.default(8080),
  max_body: sizeValue.default('10MiB'),
  max_document_body: sizeValue.default('32MiB'),
  max_json_depth: z.int().min(1).max(256).default(64),
  keep_alive: durationText.default('75s'),
  headers_timeout: durationText.default('15s'),
  body_idle_timeout: durationText.default('30s'),
  shutdown_grace: durationText.default('30s'),
  trusted_proxies: z.array(cidrText).default([]),
  workers: z
    .union([z.int().min(1).max(MOST_WORKERS), z.literal('auto')])
    .default(1)
    .describe('Processes that answer requests; auto: one per core.'),
  tls: unavailable(z.union([z.boolean(), looseObject])),
})

const LONGEST_TTL_MS = 86_400_000

const idempotencySchema: z.ZodType<IdempotencyConfig> = section({
  enabled: z.boolean().default(true),
  ttl: durationText
    .refine((ttl) => parseDurationMs(ttl) <= LONGEST_TTL_MS, { error: 'must be 24h at most' })
    .default('5m'),
  max_answer: sizeValue.default('16MiB'),
  max_bytes: sizeValue.default('256MiB'),
  max_entries: positiveInteger.default(10_000),
})

function adminSchema(secret: z.ZodType<Secret>): z.ZodType<AdminConfig> {
  return section({
    host: z.string().min(1).default('127.0.0.1'),
    port: port.default(8081),
    token: secret.nullable().default(null),
    tls: unavailable(z.union([z.boolean(), looseObject])),
  })
}

const teamSchema: z.ZodType<TeamConfig> = strict({ policy: policySchema.default({}) })

const subjectName = z.exactOptional(printableText)
const virtualKeySchema: z.ZodType<VirtualKeyConfig> = strict({
  name: printableText,
  hash: checkedText((hash) =>
    /^[0-9a-f]{64}$/.test(hash)
      ? null
      : 'must be the HMAC-SHA-256 of the key in 64 lower-case hex digits, never the key itself',
  ),
  last4: z.exactOptional(z.string().max(4)),
  policy: z.exactOptional(policySchema),
  policies: z.exactOptional(z.array(entryName)),
  scopes: z.exactOptional(endpointList),
  subject: z.exactOptional(
    strict({ team: subjectName, rolegroup: subjectName, role: subjectName, user: subjectName }),
  ),
  expires: z.exactOptional(parsedText(parseTimestampMs)),
  enabled: z.exactOptional(z.boolean()),
  metadata: z.exactOptional(metadataMap),
})

/** A key's id comes from its name, so that a new secret under the same name keeps its counters. */
function checkKeyNames(
  keys: readonly VirtualKeyConfig[],
  ctx: { addIssue(issue: { code: 'custom'; path: PropertyKey[]; message: string }): void },
): void {
  for (const field of ['name', 'hash'] as const) {
    const seen = new Set<string>()
    for (const [index, key] of keys.entries()) {
      if (seen.has(key[field])) {
        ctx.addIssue({
          code: 'custom',
          path: [index, field],
          message: `another key has this ${field}`,
        })
      }
      seen.add(key[field])
    }
  }
}

import { formatPath } from '../config/config-error.ts'
import type { GatewayConfig, IdempotencyConfig, ServerConfig } from '../config/gateway-config.ts'
import { BUCKETS_POLICY } from '../config/foreign-limits.ts'
import { compileNames } from '../config/name-matcher.ts'
import type { LimitConfig, PolicyConfig } from '../config/policy-config.ts'
import { parsePolicy } from '../config/policy-schema.ts'
import { isPrintable } from '../config/schema-parts.ts'
import type { ModelCatalogue } from '../contracts/catalogue.ts'
import type { KeyRecord, PolicyRecord } from '../contracts/key.ts'
import type { ProviderFacts } from '../contracts/provider.ts'
import { didYouMean } from '../lib/did-you-mean.ts'
import { parseDurationMs, parseSizeBytes } from '../lib/duration.ts'
import { compileHealth } from './compile-health.ts'
import { checkKey, compileKey } from './compile-key.ts'
import { patternsOf } from './compile-limit.ts'
import { compileModel, type CatalogueOf, type ModelSources } from './compile-model.ts'
import { compileProvider } from './compile-provider.ts'
import { checkPolicyRouting, compileRoutingPlan, type StoredAlias } from './compile-routing.ts'
import { configKeyRecords } from './config-keys.ts'
import type {
  AllowedCredential,
  GatewayPlan,
  IdempotencyPlan,
  ModelPlan,
  OperatorTerms,
  PolicyLayers,
  ProviderPlan,
  RoutingPlan,
  ServerPlan,
  TargetPlan,
} from './gateway-plan.ts'
import { mergePolicies } from './merge-policy.ts'
import { createOnDemandTargets } from './on-demand-targets.ts'
import { PlanError } from './plan-error.ts'
import { namelessKey } from './nameless-key.ts'
import { checkUpstream } from './route-upstream.ts'

export type PlanInput = {
  readonly config: GatewayConfig
  readonly catalogue: ReadonlyMap<string, ProviderFacts>
  readonly models: ModelCatalogue
  /** Named policies of the store. A policy of the file with the same name wins. */
  readonly storedPolicies: readonly PolicyRecord[]
  /** Aliases of the store. One of the file with the same name wins. Absent: none. */
  readonly storedAliases?: readonly StoredAlias[]
  readonly revision: number
  /** Where credentials that the catalogue names are looked up. */
  readonly env: Readonly<Record<string, string | undefined>>
}

/** What runs, from what is written. Throws `PlanError` for what is well formed but cannot run. */
export function compilePlan(input: PlanInput): GatewayPlan {
  const { config } = input
  const providers = new Map(
    Object.entries(config.providers).map(([name, provider]): [string, ProviderPlan] => [
      name,
      compileProvider(name, provider, input),
    ]),
  )
  const catalogue: CatalogueOf = {
    models: input.models,
    idOf: (name) => config.providers[name]?.extends ?? name,
  }
  const models = compileModels(input, { providers, catalogue })
  checkTargetIds(models)
  const onDemand = createOnDemandTargets(providers, catalogue)
  const stored = input.storedAliases ?? []
  const routing = compileRoutingPlan(config, { models, providers, onDemand }, stored)
  const policies = compileLayers(input, providers, routing.modes)
  checkPolicies(config, policies, { providers, catalogue: input.catalogue })
  return {
    revision: input.revision,
    keysRequired: config.keys.required,
    anonymous: config.keys.required ? null : compileKey(ANONYMOUS, policies),
    providers,
    models,
    routing,
    server: compileServer(config.server),
    ledgerEnabled: config.ledger.enabled,
    idempotency: compileIdempotency(config.idempotency),
    health: compileHealth(config.routing),
    onDemand,
    policies,
  }
}

function compileModels(
  input: PlanInput,
  use: Pick<ModelSources, 'providers' | 'catalogue'>,
): ReadonlyMap<string, ModelPlan> {
  const { config } = input
  const sources: ModelSources = {
    ...use,
    strategy: config.routing.strategy ?? 'priority',
    withCredential(name, credential, at) {
      try {
        return compileProvider(name, { ...config.providers[name], credential }, input)
      } catch (cause) {
        if (cause instanceof PlanError) throw new PlanError(`${at}.credential`, cause.problem)
        throw cause
      }
    },
  }
  const models = new Map<string, ModelPlan>()
  for (const [name, model] of Object.entries(config.models)) {
    models.set(name, compileModel(name, model, sources))
  }
  return models
}

/** Health and limits go by the id, so that one id means one model at one provider with one credential. */
function checkTargetIds(models: ReadonlyMap<string, ModelPlan>): void {
  const known = new Map<string, TargetPlan>()
  for (const { name, targets } of models.values()) {
    for (const [index, target] of targets.entries()) {
      const other = known.get(target.id)
      known.set(target.id, target)
      if (other === undefined || isSame(other, target)) continue
      const at = formatPath(['models', name, 'targets', index, 'id'])
      const problem = `"${target.id}" is another target elsewhere; give it an id of its own`
      throw new PlanError(at, problem)
    }
  }
}

function isSame(one: TargetPlan, other: TargetPlan): boolean {
  const { credentialReference: reference } = one.provider
  return one.address === other.address && reference === other.provider.credentialReference
}

/** Who calls when no key is required and none is given. The global policy holds for it. */
const ANONYMOUS: KeyRecord = namelessKey('anonymous', 'config')

/** A stored policy that is not valid any more is left out, so that the keys that name it are refused, not loosened. */
function compileLayers(
  { config, storedPolicies }: PlanInput,
  providers: ReadonlyMap<string, ProviderPlan>,
  modes: RoutingPlan['modes'],
): PolicyLayers {
  const named = new Map<string, PolicyConfig>()
  for (const stored of storedPolicies) {
    const parsed = parsePolicy(stored.policy)
    if (parsed.ok) named.set(stored.name, parsed.policy)
  }
  const buckets = named.get(BUCKETS_POLICY)
  for (const [name, policy] of Object.entries(config.policies)) named.set(name, policy)
  const teams = Object.entries(config.teams).map(([name, team]): [string, PolicyConfig] => [
    name,
    team.policy,
  ])
  const operator = { ...compileOperator(config, providers), modes }
  const global = withLimits(config.policy, buckets?.limits ?? [])
  return { global, teams: new Map(teams), named, operator }
}

/** What the administrator set at run time takes the place of what the configuration says of the same limit. */
function withLimits(global: PolicyConfig, limits: readonly LimitConfig[]): PolicyConfig {
  if (limits.length === 0) return global
  const ids = new Set(limits.map(({ id }) => id))
  const kept = (global.limits ?? []).filter(({ id }) => id === undefined || !ids.has(id))
  return { ...global, limits: [...kept, ...limits] }
}

function compileOperator(
  config: GatewayConfig,
  providers: ReadonlyMap<string, ProviderPlan>,
): Omit<OperatorTerms, 'modes'> {
  const credentials = config.credentials.allowed.map(
    ({ credential, providers: names }, index): [string, AllowedCredential] => {
      const at = `credentials.allowed[${index}]`
      const value = credential.reveal()
      if (value !== null && !isPrintable(value)) {
        throw new PlanError(at, 'the secret holds a line break or a control character')
      }
      for (const name of names ?? []) checkProvider(name, `${at}.providers`, providers)
      return [credential.reference, { value, providers: names ? new Set(names) : null }]
    },
  )
  const { enabled, allow_private: allowPrivate, ports } = config.custom_upstreams
  return {
    providers,
    credentials: new Map(credentials),
    customUpstreams: { enabled, allowPrivate, ports: new Set(ports) },
  }
}

/** All of the file's policies belong to one operator, so a contradiction between them is a mistake to be told. */
function checkPolicies(config: GatewayConfig, layers: PolicyLayers, known: KnownProviders): void {
  checkProviderNames(config.policy, 'policy', known)
  checkUpstream(config.policy, layers.operator, 'policy.')
  checkPolicyRouting(config.policy.routing ?? {}, layers.operator, 'policy.routing.')
  for (const [name, policy] of Object.entries(config.policies)) {
    const at = formatPath(['policies', name])
    checkProviderNames(policy, at, known)
    checkUpstream(policy, layers.operator, `${at}.`)
    checkPolicyRouting(policy.routing ?? {}, layers.operator, `${at}.routing.`)
  }
  for (const [name, { policy }] of Object.entries(config.teams)) {
    const at = formatPath(['teams', name, 'policy'])
    checkProviderNames(policy, at, known)
    checkUpstream(policy, layers.operator, `${at}.`)
    checkPolicyRouting(policy.routing ?? {}, layers.operator, `${at}.routing.`)
    const chain = [
      { from: 'policy', policy: config.policy },
      { from: at, policy },
    ]
    const [conflict] = mergePolicies(chain).conflicts
    if (conflict !== undefined) throw new PlanError(`${at}.${conflict.field}`, conflict.problem)
  }
  for (const [index, record] of configKeyRecords(config).entries()) {
    checkConfigKey(record, layers, `virtual_keys[${index}]`)
  }
}

function checkConfigKey(record: KeyRecord, layers: PolicyLayers, at: string): void {
  try {
    const [conflict] = checkKey(record, layers)
    if (conflict !== undefined) throw new PlanError(`policy.${conflict.field}`, conflict.problem)
  } catch (cause) {
    if (!(cause instanceof PlanError)) throw cause
    throw new PlanError(`${at}.${cause.at}`, cause.problem)
  }
}

type KnownProviders = {
  readonly providers: ReadonlyMap<string, ProviderPlan>
  readonly catalogue: ReadonlyMap<string, ProviderFacts>
}

function checkProviderNames(
  policy: PolicyConfig,
  at: string,
  { providers, catalogue }: KnownProviders,
): void {
  const check = (name: string | undefined, where: string): void => {
    if (name !== undefined) checkProvider(name, `${at}.${where}`, providers)
  }
  check(policy.default_provider, 'default_provider')
  for (const [index, entry] of (policy.providers ?? []).entries()) {
    check(entry.provider, `providers[${index}].provider`)
  }
  // A limit may wait for a provider that has no credential yet, but not for one that is misspelt.
  const names = [...providers.keys(), ...catalogue.keys()]
  for (const [index, { match }] of (policy.limits ?? []).entries()) {
    for (const pattern of patternsOf(match?.providers ?? [])) {
      if (!names.some(compileNames([pattern]))) {
        check(pattern, `limits[${index}].match.providers`)
      }
    }
  }
}

function checkProvider(
  name: string,
  at: string,
  providers: ReadonlyMap<string, ProviderPlan>,
): void {
  if (providers.has(name)) return
  const near = didYouMean(name, [...providers.keys()])
  throw new PlanError(at, `no provider "${name}" is configured${near}`)
}

function compileIdempotency(idempotency: IdempotencyConfig): IdempotencyPlan | null {
  if (!idempotency.enabled) return null
  const maxBytes = parseSizeBytes(idempotency.max_bytes)
  return {
    ttlMs: parseDurationMs(idempotency.ttl),
    maxAnswerBytes: Math.min(maxBytes, parseSizeBytes(idempotency.max_answer)),
    maxBytes,
    maxEntries: idempotency.max_entries,
  }
}

function compileServer(server: ServerConfig): ServerPlan {
  return {
    maxBodyBytes: parseSizeBytes(server.max_body),
    maxDocumentBodyBytes: parseSizeBytes(server.max_document_body),
    maxJsonDepth: server.max_json_depth,
    keepAliveMs: parseDurationMs(server.keep_alive),
    headersTimeoutMs: parseDurationMs(server.headers_timeout),
    bodyIdleTimeoutMs: parseDurationMs(server.body_idle_timeout),
    trustedProxies: server.trusted_proxies,
  }
}

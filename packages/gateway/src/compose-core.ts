import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { createModelCatalogue } from './catalogue/model-catalogue.ts'
import { composeGate, type GateBackend } from './compose-gate.ts'
import { openStore } from './compose-store.ts'
import { type ComposedTargets, composeTargets } from './compose-targets.ts'
import type { GatewayConfig } from './config/gateway-config.ts'
import { redisUrlOf } from './config/limits-backend.ts'
import { type LoadedConfig, type LoadOptions, loadConfig } from './config/load-config.ts'
import type { Secret, SecretSources } from './config/secret.ts'
import type { DurableCharges } from './contracts/durable-charge.ts'
import type { KeyChange, PolicyRecord } from './contracts/key.ts'
import type { EventBus } from './contracts/event.ts'
import type { Gate, LimitAlert } from './contracts/limit.ts'
import type { ProviderFacts } from './contracts/provider.ts'
import type { Room } from './contracts/room.ts'
import type { LedgerWriter, Store } from './contracts/store.ts'
import type { Control } from './control-plane/control.ts'
import { StoreError } from './errors/store-error.ts'
import { SYSTEM_CLOCK } from './lib/clock.ts'
import { createEventBus } from './observe/event-bus.ts'
import { createSecretRegistry, type SecretRegistry } from './observe/secret-registry.ts'
import { compilePlan, type PlanInput } from './plan/compile-plan.ts'
import type { StoredAlias } from './plan/compile-routing.ts'
import { configKeyRecords } from './plan/config-keys.ts'
import type { GatewayPlan } from './plan/gateway-plan.ts'
import { KeyRing } from './plan/key-ring.ts'
import { ALIAS_NOTES, readStoredAliases } from './plan/stored-aliases.ts'
import { PROVIDERS } from './registry.ts'
import { prepareStoreDirectory } from './storage/sqlite/store-directory.ts'
import { VERSION } from './version.ts'

const SECRET_BYTES = 32
const NANO_USD_PER_USD = 1_000_000_000

/** Store, keys, plan and gate: what the server and a CLI without a server have in common. */
export type Core = {
  readonly store: Store
  readonly ledger: LedgerWriter
  readonly gate: Gate
  readonly durable: DurableCharges
  /** Null: counters are shared with other processes. */
  readonly room: Room | null
  /** Where the gate counts together with other processes; null: here only. */
  readonly gateBackend: GateBackend | null
  readonly keyRing: KeyRing
  readonly targets: ComposedTargets
  readonly events: EventBus
  readonly secrets: SecretRegistry
  readonly catalogue: ReadonlyMap<string, ProviderFacts>
  /** The current one first. */
  readonly hashKeys: readonly string[]
  readonly adminToken: string
  /** What was created on this start, for the operator: paths. */
  readonly created: readonly string[]
  readonly loaded: () => LoadedConfig
  readonly plan: () => GatewayPlan
  /** What of the store the plan was compiled of. */
  readonly stored: () => StoredParts
  /** Throws `PlanError`, and keeps the running plan. */
  readonly recompile: () => Promise<void>
  /** Throws `ConfigError` or `PlanError`, and keeps the running plan. */
  readonly reload: () => Promise<void>
  /** The plan of another configuration; nothing runs on it. Throws `PlanError`. */
  readonly planOf: (config: GatewayConfig) => GatewayPlan
  readonly secretSources: () => SecretSources
  readonly close: () => Promise<void>
}

type StoredParts = Required<Pick<PlanInput, 'storedPolicies' | 'storedAliases'>>

export type CoreOptions = {
  readonly load: LoadOptions
  readonly loaded: LoadedConfig
  /** Facts that replace those of the catalogue: the sandbox, at the port where it runs. */
  readonly facts: readonly ProviderFacts[]
  readonly onKeyProblem: (problem: string) => void
  /** A server waits for its database, and its next start knows of it. A command does neither. */
  readonly serves: boolean
  readonly onStoreProblem: (problem: string) => void
  /** Another plan or configuration is used. Awaited before whoever changed it is answered. */
  readonly onSwap?: () => Promise<void>
  readonly onKeyChange?: (change: KeyChange) => void
}

/** Throws `ConfigError`, `PlanError` or `StoreError`. */
export async function composeCore(options: CoreOptions): Promise<Core> {
  const created: string[] = []
  let loaded = withProviders(options.loaded, options.load.env)
  const { config } = loaded
  await prepareStoreDirectory(config.dir)
  const hashKey = secretOrFile(config.keys.hash_key, path.join(config.dir, 'hash.key'), created)
  const adminToken = secretOrFile(config.admin.token, path.join(config.dir, 'admin.token'), created)
  const catalogue = new Map([...PROVIDERS, ...options.facts].map((facts) => [facts.id, facts]))
  const models = createModelCatalogue()
  const events = createEventBus(SYSTEM_CLOCK)
  const secrets = createSecretRegistry()
  for (const secret of secretsOf(config.storage.url)) secrets.add(secret)
  const hashKeys = [hashKey, ...previousHashKeys(config)]
  const { serves, onStoreProblem: onProblem } = options
  const { store, ledger } = await openStore(config, { wait: serves, hashKeys, onProblem })
  let revision = 0
  const stored = storedParts(store)
  let parts: StoredParts = { storedPolicies: [], storedAliases: [] }
  const planOf = (next: GatewayConfig, now: StoredParts): GatewayPlan =>
    compilePlan({ config: next, catalogue, models, ...now, revision, env: options.load.env })
  const compile = async (from: LoadedConfig): Promise<GatewayPlan> => {
    const now = await stored()
    revision++
    const next = planOf(from.config, now)
    parts = now
    return next
  }
  let plan = await compile(loaded)
  for (const secret of [hashKey, adminToken, ...credentialsOf(plan)]) secrets.add(secret)
  const keyRing = emptyKeyRing(options, hashKeys, plan)
  keyRing.replaceAll([...(await store.keys.list()), ...configKeyRecords(config)])
  const { gate, backend, durable, room } = await composeGate(config, {
    plan: () => plan,
    onAlert: (alert) => events.emit('budget.alert', alertData(alert)),
    store,
    serves,
  })
  for (const secret of backendSecrets(config)) secrets.add(secret)
  gate.restore(await store.counters.list())
  ledger.countersFrom(() => gate.takeChanged())
  const targets = composeTargets(() => plan, { events, store, options })
  const swap = async (next: GatewayPlan, from: LoadedConfig): Promise<void> => {
    plan = next
    loaded = from
    targets.book.usePlan(next, SYSTEM_CLOCK.monotonicMs())
    for (const secret of credentialsOf(next)) secrets.add(secret)
    keyRing.usePlan(next)
    syncFileKeys(keyRing, from.config)
    await options.onSwap?.()
  }
  return {
    store,
    ledger,
    gate,
    durable,
    room,
    gateBackend: backend,
    keyRing,
    targets,
    events,
    secrets,
    catalogue,
    hashKeys,
    adminToken,
    created,
    loaded: () => loaded,
    plan: () => plan,
    stored: () => parts,
    planOf: (next) => planOf(next, parts),
    secretSources: () => sourcesOf(options.load, loaded),
    recompile: async () => await swap(await compile(loaded), loaded),
    async reload() {
      const next = withProviders(loadConfig(options.load), options.load.env)
      return swap(await compile(next), next)
    },
    close: () => closeAll(store, gate, backend),
  }
}

/** As the running configuration looks them up. */
function sourcesOf({ env, cwd }: LoadOptions, { file }: LoadedConfig): SecretSources {
  return { env, folder: file === null ? cwd : path.dirname(file) }
}

/** What the plan takes from the store. */
function storedParts(store: Store): () => Promise<StoredParts> {
  let policies: readonly PolicyRecord[] | null = null
  let aliases: readonly StoredAlias[] | null = null
  const listAliases = async (): Promise<readonly StoredAlias[]> =>
    readStoredAliases(await store.notes.list(ALIAS_NOTES))
  return async () => {
    policies = await latest(() => store.policies.list(), policies)
    aliases = await latest(listAliases, aliases)
    return { storedPolicies: policies, storedAliases: aliases }
  }
}

function emptyKeyRing(
  { onKeyProblem, onKeyChange }: CoreOptions,
  hashKeys: readonly string[],
  plan: GatewayPlan,
): KeyRing {
  return new KeyRing({
    hashKeys,
    plan,
    onProblem: ({ id }, { message }) => onKeyProblem(`The key ${id} is refused: ${message}`),
    ...(onKeyChange === undefined ? {} : { onChange: onKeyChange }),
  })
}

/** A file is taken over also while the database does not answer, with what was known last of policies and aliases. */
async function latest<T>(
  list: () => Promise<readonly T[]>,
  known: readonly T[] | null,
): Promise<readonly T[]> {
  try {
    return await list()
  } catch (thrown) {
    if (known !== null && thrown instanceof StoreError && thrown.reason === 'away') return known
    throw thrown
  }
}

/** What shared counters last said is kept, for a server that comes back without them. */
async function closeAll(store: Store, gate: Gate, backend: GateBackend | null): Promise<void> {
  try {
    await backend?.stop()
    if (backend !== null) await store.counters.put(gate.takeChanged())
  } finally {
    await store.close()
  }
}

/** With no providers written, those whose key is in the environment; with none there either, the sandbox. */
export function withProviders(
  loaded: LoadedConfig,
  env: Readonly<Record<string, string | undefined>>,
): LoadedConfig {
  const { config } = loaded
  if (Object.keys(config.providers).length > 0) return loaded
  const found = PROVIDERS.filter(
    ({ credentialEnv, unavailable, baseUrl }) =>
      credentialEnv !== null &&
      unavailable === null &&
      !baseUrl.includes('{') &&
      (env[credentialEnv] ?? '') !== '',
  )
  const names = found.length > 0 ? found.map(({ id }) => id) : ['sandbox']
  const providers = Object.fromEntries(names.map((name) => [name, {}]))
  return { ...loaded, config: { ...config, providers } }
}

/** Whether the built-in sandbox has to run: its entry is there, and does not point elsewhere. */
export function needsSandbox(config: GatewayConfig): boolean {
  return Object.entries(config.providers).some(
    ([name, provider]) =>
      (provider.extends ?? name) === 'sandbox' && provider.base_url === undefined,
  )
}

/** A secret that the operator gave, else one of our own in a file that only its owner can read. */
function secretOrFile(given: Secret | null, file: string, created: string[]): string {
  const value = given?.reveal() ?? null
  if (value !== null && value !== '') return value
  if (given !== null && !given.missing) return ''
  if (existsSync(file)) return readFileSync(file, 'utf8').trim()
  const secret = randomBytes(SECRET_BYTES).toString('base64url')
  writeFileSync(file, `${secret}\n`, { mode: 0o600, flag: 'wx' })
  created.push(file)
  return secret
}

/** The URL of a database, and the password in it. */
function secretsOf(url: string | Secret): readonly string[] {
  const text = typeof url === 'string' ? null : url.reveal()
  if (text === null) return []
  const password = decodeURIComponent(new URL(text).password)
  return password === '' ? [text] : [text, password]
}

function previousHashKeys(config: GatewayConfig): readonly string[] {
  return config.keys.previous.map((secret) => secret.reveal()).filter((value) => value !== null)
}

export function credentialsOf(plan: GatewayPlan): readonly string[] {
  const own = [...plan.providers.values()].map(({ credential }) => credential)
  const ofTargets = [...plan.models.values()].flatMap(({ targets }) =>
    targets.map(({ provider }) => provider.credential),
  )
  const allowed = [...plan.policies.operator.credentials.values()].map(({ value }) => value)
  return [...own, ...ofTargets, ...allowed].filter((credential) => credential !== null)
}

/** The address and the password in it. */
function backendSecrets(config: GatewayConfig): readonly string[] {
  const url = redisUrlOf(config.limits.backend)
  if (url === null || typeof config.limits.backend === 'string') return []
  const { password } = new URL(url)
  return password === '' ? [] : [url, password, decodeURIComponent(password)]
}

/** Keys that the file declared and does not any more are gone at once. */
export function syncFileKeys(keyRing: KeyRing, config: GatewayConfig): void {
  const declared = configKeyRecords(config)
  const kept = new Set(declared.map(({ id }) => id))
  for (const { id, createdBy } of keyRing.list()) {
    if (createdBy === 'config' && !kept.has(id)) keyRing.remove(id)
  }
  for (const record of declared) keyRing.put(record)
}

/** Money in US dollars, as the operator wrote it. */
function alertData({ limit, value, fraction, used, amount }: LimitAlert): Record<string, unknown> {
  const unit = limit.unit === 'usd' ? NANO_USD_PER_USD : 1
  const { id, scope } = limit
  return {
    limit: id,
    scope,
    value,
    unit: limit.unit,
    fraction,
    used: used / unit,
    amount: amount / unit,
  }
}

type CoreControl = Omit<
  Control,
  | 'serving'
  | 'reload'
  | 'stats'
  | 'metrics'
  | 'readiness'
  | 'testProvider'
  | 'askForRates'
  | 'discoverModels'
  | 'protocols'
  | 'simulateRoutes'
  | 'tryAdmission'
>

/** What the admin API works on, as far as it is the same with and without a server. */
export function controlOf(core: Core): CoreControl {
  const { adminToken, hashKeys, store, ledger, keyRing, gate, events, catalogue, targets } = core
  return {
    version: VERSION,
    startedAtMs: Date.now(),
    clock: SYSTEM_CLOCK,
    config: core.loaded,
    plan: core.plan,
    recompile: core.recompile,
    planOf: core.planOf,
    secretSources: core.secretSources,
    adminToken,
    hashKey: hashKeys[0] ?? '',
    store,
    ledger,
    keyRing,
    gate,
    targets: targets.control,
    events,
    catalogue,
  }
}

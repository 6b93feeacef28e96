import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { GatewayConfig } from '../../config/gateway-config.ts'
import { loadConfig, type LoadedConfig } from '../../config/load-config.ts'
import type { Gate } from '../../contracts/limit.ts'
import { createMemoryGate } from '../../data-plane/limits/memory-gate.ts'
import type { RouteScope } from '../../data-plane/pipeline/request-context.ts'
import { Rotations } from '../../data-plane/routing/rotations.ts'
import { WarmCaches } from '../../data-plane/routing/warm-caches.ts'
import { simulateRoutes } from '../../data-plane/routing/simulate-route.ts'
import { ThompsonBandit, USUAL_FORGETTING } from '../../data-plane/routing/thompson-bandit.ts'
import { MemoryTargetBook } from '../../data-plane/routing/target-book.ts'
import { tryAdmission } from '../../data-plane/what-if/try-admission.ts'
import { SYSTEM_CLOCK, type Clock } from '../../lib/clock.ts'
import { createEventBus } from '../../observe/event-bus.ts'
import { compilePlan, type PlanInput } from '../../plan/compile-plan.ts'
import { configKeyRecords } from '../../plan/config-keys.ts'
import type { GatewayPlan } from '../../plan/gateway-plan.ts'
import { KeyRing } from '../../plan/key-ring.ts'
import { ALIAS_NOTES, readStoredAliases } from '../../plan/stored-aliases.ts'
import { CATALOGUE, MODELS } from '../../plan/testing/plan-fixtures.ts'
import { PROTOCOLS } from '../../registry.ts'
import { openSqliteStore } from '../../storage/sqlite/open-sqlite-store.ts'
import type { Control } from '../control.ts'

export const TOKEN = 'admin-token-of-the-tests'
export const CREDENTIAL = 'sk-credential-of-a-provider'

export type TestControl = {
  readonly control: Control
  readonly dir: string
  /** Moves the wall clock. */
  readonly advance: (ms: number) => void
  /** What the next `reload` finds, or throws. */
  readonly nextConfig: (config: Readonly<Record<string, unknown>> | Error) => void
  readonly remove: () => Promise<void>
}

/** A control over a real store in a directory of its own. `over` is the content of the configuration file. */
export async function testControl(
  over: Readonly<Record<string, unknown>> = {},
  changes: Partial<Control> = {},
): Promise<TestControl> {
  const dir = await mkdtemp(join(tmpdir(), 'tollgate-admin-'))
  const { store, ledger } = await openSqliteStore({ path: join(dir, 'tollgate.db') })
  let aheadMs = 0
  const clock: Clock = {
    monotonicMs: () => SYSTEM_CLOCK.monotonicMs() + aheadMs,
    wallMs: () => SYSTEM_CLOCK.wallMs() + aheadMs,
  }
  const events = createEventBus(clock)
  const load = (config: Readonly<Record<string, unknown>>): LoadedConfig =>
    loadConfig({
      env: { ACME_KEY: CREDENTIAL, LOCAL_KEY: CREDENTIAL },
      cwd: dir,
      overrides: { ...config },
    })
  let loaded = load(over)
  let upcoming: Readonly<Record<string, unknown>> | Error = over
  let revision = 0
  let stored: Pick<PlanInput, 'storedPolicies' | 'storedAliases'> = { storedPolicies: [] }
  const planOf = (config: GatewayConfig): GatewayPlan =>
    compilePlan({
      config,
      catalogue: CATALOGUE,
      models: MODELS,
      ...stored,
      revision,
      env: { ACME_KEY: CREDENTIAL },
    })
  const compile = async (from: LoadedConfig): Promise<GatewayPlan> => {
    const storedAliases = readStoredAliases(await store.notes.list(ALIAS_NOTES))
    stored = { storedPolicies: await store.policies.list(), storedAliases }
    revision += 1
    return planOf(from.config)
  }
  let plan = await compile(loaded)
  const hashKey = 'hash-key-of-the-tests'
  const keyRing = new KeyRing({ hashKeys: [hashKey], plan })
  keyRing.replaceAll(configKeyRecords(loaded.config))
  const gate: Gate = createMemoryGate({ clock, onAlert: () => undefined })
  const scope: RouteScope = {
    protocols: PROTOCOLS,
    plan: () => plan,
    gate,
    tokenCounter: { count: (_, texts) => texts.join('').length, close: async () => {} },
    targets: null,
    bandit: new ThompsonBandit(() => USUAL_FORGETTING),
    rotations: new Rotations(),
    warmCaches: new WarmCaches(),
    clock,
  }
  const targets = new MemoryTargetBook({
    breaker: () => plan.health.breaker,
    onChange: () => {},
  })
  const control: Control = {
    version: '9.9.9',
    startedAtMs: clock.wallMs(),
    serving: true,
    adminToken: TOKEN,
    hashKey,
    clock,
    store,
    ledger,
    keyRing,
    gate,
    targets: {
      signals: (target, nowMs) => targets.signals(target, nowMs),
      list: (nowMs) => targets.list(nowMs),
      isKnown: (target) => targets.list(0).some((one) => one.target === target),
      reset: async (target) => targets.reset(target, clock.monotonicMs()),
    },
    events,
    catalogue: CATALOGUE,
    config: () => loaded,
    plan: () => plan,
    planOf,
    secretSources: () => ({ env: { ACME_KEY: CREDENTIAL }, folder: dir }),
    async recompile() {
      plan = await compile(loaded)
      keyRing.usePlan(plan)
    },
    async reload() {
      if (upcoming instanceof Error) throw upcoming
      const next = load(upcoming)
      plan = await compile(next)
      loaded = next
      keyRing.usePlan(plan)
    },
    stats: () => ({
      windows: { '1m': { requests: 0 } },
      by_model: {},
      by_key: {},
      by_provider: {},
    }),
    metrics: async () => ({ contentType: 'text/plain; version=0.0.4', text: 'tollgate_up 1\n' }),
    readiness: () => ({ ledger: null }),
    protocols: PROTOCOLS,
    simulateRoutes: (request, seeds) => simulateRoutes(scope, request, seeds),
    tryAdmission: (request) =>
      tryAdmission({ ...scope, gate, recorder: { healthy: () => true } }, request),
    testProvider: async (name) => ({
      provider: name,
      ok: false,
      status: 401,
      latencyMs: 12.5,
      problem: 'the provider refused the credential',
    }),
    askForRates: async () => ({}),
    discoverModels: async (name) => ({
      provider: name,
      ok: true,
      status: 200,
      latencyMs: 12.5,
      problem: null,
      models: ['l-1', 'own', 'new/one'],
    }),
    ...changes,
  }
  return {
    control,
    dir,
    advance: (ms) => {
      aheadMs += ms
    },
    nextConfig: (config) => {
      upcoming = config
    },
    async remove() {
      await store.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

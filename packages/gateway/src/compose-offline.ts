import type { OfflineAdmin } from './cli/cli-deps.ts'
import { composeBandit } from './compose-bandit.ts'
import { composeCore, controlOf } from './compose-core.ts'
import { loadConfig, type LoadOptions } from './config/load-config.ts'
import { createAdminApp } from './control-plane/admin-app.ts'
import type { Control } from './control-plane/control.ts'
import type { RouteScope } from './data-plane/pipeline/request-context.ts'
import { Rotations } from './data-plane/routing/rotations.ts'
import { WarmCaches } from './data-plane/routing/warm-caches.ts'
import { simulateRoutes } from './data-plane/routing/simulate-route.ts'
import { tryAdmission } from './data-plane/what-if/try-admission.ts'
import { ratesOf } from './data-plane/upstream/ask-for-rates.ts'
import { discoverModels, probeProvider } from './data-plane/upstream/probe-provider.ts'
import { PROTOCOLS } from './registry.ts'
import { UpstreamPools } from './data-plane/upstream/pools.ts'
import { Watchdog } from './data-plane/upstream/watchdog.ts'
import { SYSTEM_CLOCK } from './lib/clock.ts'
import { createStats, restoreStats } from './observe/stats.ts'
import { createTokenCounter } from './tokenizers/token-counter.ts'
import { lockForServing } from './storage/sqlite/serving-lock.ts'

const MEMO_BYTES = 1024 * 1024
/** A server that starts can record. */
const READY = { healthy: () => true }
const STATS_PATH = '/admin/v1/stats'

/**
 * The admin API over the store, for a command that finds no server. It takes the serving lock, so that no server starts
 * meanwhile and misses the change. Throws `ConfigError`, `PlanError` or `StoreError` (`served`: a server has the store).
 */
export async function composeOffline(load: LoadOptions): Promise<OfflineAdmin> {
  const loaded = loadConfig(load)
  const lock = await lockForServing(loaded.config.dir)
  try {
    return await openWith(load, loaded, () => lock.release())
  } catch (thrown) {
    lock.release()
    throw thrown
  }
}

async function openWith(
  load: LoadOptions,
  loaded: ReturnType<typeof loadConfig>,
  release: () => void,
): Promise<OfflineAdmin> {
  const core = await composeCore({
    load,
    loaded,
    facts: [],
    onKeyProblem: () => {},
    serves: false,
    onStoreProblem: () => {},
  })
  await core.gateBackend?.start({ onState: () => {}, onWarning: () => {} })
  const stats = createStats({ clock: SYSTEM_CLOCK })
  const tools = { pools: new UpstreamPools(), watchdog: new Watchdog(), protocols: PROTOCOLS }
  const { bandit } = await composeBandit(core.store, () => core.plan().routing.forgetting)
  const tokenCounter = createTokenCounter({ memoBytes: MEMO_BYTES })
  const scope: RouteScope = {
    protocols: PROTOCOLS,
    plan: core.plan,
    gate: core.gate,
    tokenCounter,
    // What targets have shown is known to a server only.
    targets: null,
    bandit,
    rotations: new Rotations(),
    warmCaches: new WarmCaches(),
    clock: SYSTEM_CLOCK,
  }
  const control: Control = {
    ...controlOf(core),
    serving: false,
    reload: core.reload,
    stats: () => stats.view(),
    metrics: async () => ({ contentType: 'text/plain', text: '' }),
    readiness: () => ({}),
    testProvider: (name) => probeProvider(core.plan(), name, tools),
    askForRates: (name, model) => ratesOf(core.plan(), { name, model }, tools),
    discoverModels: (name) => discoverModels(core.plan(), name, tools),
    protocols: PROTOCOLS,
    simulateRoutes: (request, seeds) => simulateRoutes(scope, request, seeds),
    tryAdmission: (request) =>
      tryAdmission({ ...scope, gate: core.gate, recorder: READY }, request),
  }
  const app = createAdminApp(control, { allowedHosts: null })
  return {
    created: core.created,
    async request(request) {
      if (new URL(request.url).pathname === STATS_PATH) {
        await restoreStats(stats, core.store.records, Date.now())
      }
      request.headers.set('authorization', `Bearer ${core.adminToken}`)
      return await app.fetch(request)
    },
    async close() {
      await tools.pools.close()
      await tokenCounter.close()
      await core.close()
      release()
    },
  }
}

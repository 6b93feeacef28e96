import { rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Core, composeCore, controlOf, needsSandbox, withProviders } from './compose-core.ts'
import { composeBandit } from './compose-bandit.ts'
import { type ComposedAnswers, composeAnswers } from './compose-answers.ts'
import { composeFeedback } from './compose-feedback.ts'
import { composeOpenCalls } from './compose-open-calls.ts'
import { composeRecorders } from './compose-recorders.ts'
import { refusalEvent, tellEvent } from './compose-refusals.ts'
import { type Front, inFlightOf, openProxy, targetsOf, workersReadiness } from './compose-proxy.ts'
import type { LoadedConfig, LoadOptions } from './config/load-config.ts'
import { loadConfig } from './config/load-config.ts'
import { watchConfig } from './config/watch-config.ts'
import type { RecordIntake } from './contracts/recorder.ts'
import type { TokenCounter } from './contracts/tokenizer.ts'
import { startAdminServer } from './control-plane/admin-server.ts'
import type { Control } from './control-plane/control.ts'
import { inOrder } from './control-plane/in-turn.ts'
import { IdempotentCalls } from './data-plane/idempotency/idempotent-calls.ts'
import type { DataPlane } from './data-plane/pipeline/data-plane.ts'
import { Rewards } from './data-plane/routing/reward.ts'
import { Rotations } from './data-plane/routing/rotations.ts'
import { WrongKeys } from './data-plane/stages/wrong-keys.ts'
import { WarmCaches } from './data-plane/routing/warm-caches.ts'
import { simulateRoutes } from './data-plane/routing/simulate-route.ts'
import type { ThompsonBandit } from './data-plane/routing/thompson-bandit.ts'
import { RetryBudgets } from './data-plane/routing/retry-budget.ts'
import { HealthProbes } from './data-plane/upstream/health-probes.ts'
import { tryAdmission } from './data-plane/what-if/try-admission.ts'
import { ratesOf } from './data-plane/upstream/ask-for-rates.ts'
import { discoverModels, probeProvider } from './data-plane/upstream/probe-provider.ts'
import { UpstreamPools } from './data-plane/upstream/pools.ts'
import { Watchdog } from './data-plane/upstream/watchdog.ts'
import { StoreError } from './errors/store-error.ts'
import { followStore } from './follow-store.ts'
import {
  createPrometheusExporter,
  type PrometheusExporter,
} from './exporters/prometheus/create-prometheus-exporter.ts'
import { SYSTEM_CLOCK } from './lib/clock.ts'
import type { Readiness } from './lib/readiness.ts'
import { parseDurationMs } from './lib/duration.ts'
import { createLogger, type RootLogger } from './observe/log.ts'
import { createRotationWatch } from './observe/rotation-watch.ts'
import { restoreStats, type Stats } from './observe/stats.ts'
import { usageAlerts } from './observe/usage-alerts.ts'
import { type Sandbox, startSandbox } from './providers/sandbox/sandbox.ts'
import { PROTOCOLS } from './registry.ts'
import { syncInBackground } from './sync-in-background.ts'
import { takeServingLock } from './take-serving-lock.ts'
import { createTokenCounter } from './tokenizers/token-counter.ts'
import { VERSION } from './version.ts'

export type ServeOptions = {
  readonly load: LoadOptions
  /** All output is JSON lines. */
  readonly jsonLogs: boolean
  /** Takes whole log lines; null: standard output. */
  readonly writeLog: ((line: string) => void) | null
}

export type RunningServer = {
  readonly proxyUrl: string
  readonly adminUrl: string
  /** The built-in simulated provider runs. */
  readonly sandbox: boolean
  readonly core: Core
  readonly control: Control
  readonly log: RootLogger
  /** Stops taking requests, lets those in flight end (up to the grace), commits and closes everything. */
  readonly stop: () => Promise<void>
}

const MEMO_BYTES = 32 * 1024 * 1024
const TOUCH_EVERY_MS = 5000
/** How late a due rotation may be told. */
const ROTATIONS_EVERY_MS = 1000
const PRUNE_EVERY_MS = 3_600_000
const PRUNE_ANSWERS_EVERY_MS = 60_000
/** Between two tokens of the sandbox: visible as a stream, and quick. */
const SANDBOX_TOKEN_MS = 2

/** Starts everything. Throws `ConfigError`, `PlanError`, `StoreError`, or the listener's error. */
export async function composeServer(options: ServeOptions): Promise<RunningServer> {
  const loaded = loadConfig(options.load)
  const lock = await takeServingLock(loaded.config.dir)
  const tokenCounter = createTokenCounter({ memoBytes: MEMO_BYTES })
  const sandbox = await sandboxFor(withProviders(loaded, options.load.env), tokenCounter)
  const logs: { root: RootLogger | null } = { root: null }
  const front: Front = { workers: null }
  const core = await composeCore({
    load: options.load,
    loaded,
    facts: sandbox === null ? [] : [sandbox.facts],
    onKeyProblem: (problem) => logs.root?.warn({}, problem),
    serves: true,
    onStoreProblem: (problem) => {
      if (logs.root === null) tellBeforeLog(problem, options)
      else logs.root.warn({}, problem)
    },
    onSwap: async () => await front.workers?.usePlan(),
    onKeyChange: (change) => front.workers?.pool.change(change),
  })
  const log = openLog(core, options)
  logs.root = log
  await startGateBackend(core, log)
  await core.targets.restore()
  const { openCalls, close: closeOpenCalls } = await composeOpenCalls(core, log)
  const learning = await composeBandit(core.store, () => core.plan().routing.forgetting)
  const answers = await composeAnswers(core.loaded().config, core.store.answers)
  const { config } = core.loaded()
  const parts = composeDataPlane(core, {
    log,
    tokenCounter,
    openCalls,
    answers,
    bandit: learning.bandit,
    front,
  })
  const { proxyUrl, drain } = await openProxy(core, front, {
    ...parts,
    load: options.load,
    logFormat: logFormat(core, options),
    answers: answers.store,
    sandboxUrl: sandbox?.url ?? null,
  })
  const control = composeControl(core, parts)
  const onError = (err: unknown): void => log.error({ err }, 'the admin API failed')
  const admin = await startAdminServer(control, { ...config.admin, onError })
  const stopBackground = startBackground(core, parts, control)
  const stopLearning = learning.start((err) => {
    if (!isAway(err)) log.warn({ err }, 'what the bandit learned is not saved yet')
  })
  const runtimeFile = writeRuntimeFile(config.dir, { proxyUrl, adminUrl: admin.url })
  core.events.emit('server.start', { version: VERSION, proxy_url: proxyUrl })
  return {
    proxyUrl,
    adminUrl: admin.url,
    sandbox: sandbox !== null,
    core,
    control,
    log,
    async stop() {
      core.events.emit('server.stop', {})
      rmSync(runtimeFile, { force: true })
      stopBackground()
      await drain(parseDurationMs(config.server.shutdown_grace))
      await admin.close()
      await parts.dataPlane.pools.close()
      await sandbox?.close()
      await tokenCounter.close()
      stopLearning()
      await learning.sync().catch(() => {})
      await answers.stop()
      await core.close()
      closeOpenCalls()
      lock.release()
      log.flush()
    },
  }
}

type DataPlaneParts = {
  readonly dataPlane: DataPlane
  /** Of the records of workers. */
  readonly intake: RecordIntake
  readonly stats: Stats
  readonly metrics: PrometheusExporter
  readonly log: RootLogger
  readonly answers: ComposedAnswers
  readonly front: Front
}

async function sandboxFor(
  loaded: LoadedConfig,
  tokenCounter: TokenCounter,
): Promise<Sandbox | null> {
  if (!needsSandbox(loaded.config)) return null
  return await startSandbox({ tokenCounter, tokenMs: SANDBOX_TOKEN_MS })
}

function openLog(core: Core, options: ServeOptions): RootLogger {
  const { writeLog } = options
  return createLogger({
    level: core.loaded().config.log.level,
    format: logFormat(core, options),
    secrets: core.secrets,
    ...(writeLog === null ? {} : { write: writeLog }),
  })
}

function logFormat(core: Core, { jsonLogs }: ServeOptions): 'json' | 'pretty' {
  if (jsonLogs) return 'json'
  return core.loaded().config.log.format ?? (process.stdout.isTTY ? 'pretty' : 'json')
}

function composeDataPlane(
  core: Core,
  given: {
    readonly log: RootLogger
    readonly tokenCounter: TokenCounter
    readonly openCalls: DataPlane['openCalls']
    readonly bandit: ThompsonBandit
    readonly answers: ComposedAnswers
    readonly front: Front
  },
): DataPlaneParts {
  const { log, front } = given
  const ledger = core.loaded().config.ledger.enabled ? core.ledger : null
  const metrics = createPrometheusExporter({
    version: VERSION,
    ledger,
    gauges: {
      requestsInFlight: () => dataPlane.load.inFlight + inFlightOf(front),
      openReservations: () => core.gate.openReservations(),
      keys: () => core.keyRing.list().length,
      targets: () => targetsOf(core, front).list(SYSTEM_CLOCK.monotonicMs()),
      ...backendGauge(core),
    },
    workers: () => front.workers?.pool ?? null,
  })
  const { recorder, intake, stats } = composeRecorders(core, { ledger, metrics, log })
  const dataPlane: DataPlane = {
    protocols: PROTOCOLS,
    plan: core.plan,
    findKey: (secret, nowMs, seen) => core.keyRing.find(secret, nowMs, seen),
    wrongKeys: new WrongKeys(),
    gate: core.gate,
    recorder,
    openCalls: given.openCalls,
    idempotent: new IdempotentCalls(given.answers.store),
    tokenCounter: given.tokenCounter,
    targets: core.targets.book,
    retries: new RetryBudgets(),
    bandit: given.bandit,
    rewards: new Rewards(),
    warmCaches: new WarmCaches(),
    takeFeedback: composeFeedback(core.store, given.bandit),
    rotations: new Rotations(),
    pools: new UpstreamPools(),
    watchdog: new Watchdog(),
    clock: SYSTEM_CLOCK,
    load: { inFlight: 0 },
    onError: (err, requestId) => log.error({ err, request_id: requestId }, 'a request failed'),
    onRefusal: (notice) => tellEvent(refusalEvent(notice), { events: core.events, metrics }),
    onNoUsage: usageAlerts((notice) => core.events.emit('usage.estimated', notice), SYSTEM_CLOCK),
    readiness: () => ({
      ledger: recorder.healthy() ? null : 'usage cannot be recorded',
      ...databaseReadiness(core),
      providers: someProviderUsable(core) ? null : 'no provider has a usable credential',
      ...backendReadiness(core),
      ...workersReadiness(front),
    }),
  }
  return { dataPlane, intake, stats, metrics, log, answers: given.answers, front }
}

/** While the database is away, this machine's disk takes the records. */
function databaseReadiness({ ledger }: Core): Readiness {
  const backlog = ledger.backlog?.()
  if (backlog === undefined) return {}
  const { problem, records } = backlog
  if (problem === null) return { database: null }
  return { database: { warning: `does not answer; ${records} records wait for it on disk` } }
}

/** The log's form is known once the store is open. */
function tellBeforeLog(problem: string, { jsonLogs }: ServeOptions): void {
  const line = jsonLogs ? JSON.stringify({ level: 'warn', msg: problem }) : problem
  process.stderr.write(`${line}\n`)
}

async function startGateBackend({ gateBackend }: Core, log: RootLogger): Promise<void> {
  await gateBackend?.start({
    onState: (problem) =>
      problem === null
        ? log.info({}, 'limits are counted in Redis')
        : log.warn({ problem }, 'Redis is away: limits follow their on_backend_failure'),
    onWarning: (warning) => log.warn({}, warning),
  })
}

/** A server of counters that is away makes limits tighter; it does not stop this process. */
function backendReadiness({ gateBackend }: Core): Readiness {
  if (gateBackend === null) return {}
  const problem = gateBackend.problem()
  return { limits: problem === null ? null : { warning: `degraded: Redis is away: ${problem}` } }
}

function backendGauge({ gateBackend }: Core): { readonly gateBackendUp?: () => number } {
  if (gateBackend === null) return {}
  return { gateBackendUp: () => (gateBackend.problem() === null ? 1 : 0) }
}

function someProviderUsable(core: Core): boolean {
  return [...core.plan().providers.values()].some((one) => one.credentialMissing === null)
}

function composeControl(core: Core, parts: DataPlaneParts): Control {
  const { dataPlane, intake, stats, metrics, log, front } = parts
  return {
    ...controlOf(core),
    targets: targetsOf(core, front),
    serving: true,
    reload: () => reload(core, metrics, log),
    stats() {
      intake.count()
      return stats.view()
    },
    async metrics() {
      await front.workers?.pool.refresh()
      intake.count()
      return { contentType: metrics.contentType, text: await metrics.render() }
    },
    applied: async () => await front.workers?.pool.applied(),
    readiness: dataPlane.readiness,
    testProvider: (name) => probeProvider(core.plan(), name, dataPlane),
    askForRates: (name, model) => ratesOf(core.plan(), { name, model }, dataPlane),
    discoverModels: (name) => discoverModels(core.plan(), name, dataPlane),
    protocols: PROTOCOLS,
    simulateRoutes: (request, seeds) => simulateRoutes(dataPlane, request, seeds),
    tryAdmission: (request) => tryAdmission({ ...dataPlane, gate: core.gate }, request),
  }
}

/** A bad file keeps the running plan, and says so in the log, the events and the metrics. */
async function reload(core: Core, metrics: PrometheusExporter, log: RootLogger): Promise<void> {
  try {
    await core.reload()
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    metrics.countConfigReload('rejected')
    core.events.emit('config.rejected', { message })
    log.error({ problem: message }, 'the configuration was rejected; the running one stays')
    throw thrown
  }
  const { revision } = core.plan()
  log.setLevel(core.loaded().config.log.level)
  metrics.countConfigReload('applied')
  core.events.emit('config.reloaded', { revision })
  log.info({ revision }, 'the configuration was reloaded')
}

/** What runs beside requests: reloads, last-used times, retention, and the statistics of the past day. */
function startBackground(core: Core, parts: DataPlaneParts, control: Control): () => void {
  const { log, stats, answers } = parts
  let stopped = false
  const attempt = (what: string, work: () => Promise<unknown>): void => {
    work().catch((err: unknown) => {
      // What is cut off by the store's closing is no news, and that the database is away is told once.
      if (!stopped && !isAway(err)) log.warn({ err }, `${what} failed`)
    })
  }
  const reloadQuietly = (): void => {
    // `reload` has already told the log, the events and the metrics.
    inOrder(core.store, () => control.reload()).catch(() => {})
  }
  const unfollow = followStore(core, log)
  const { file } = core.loaded()
  const stopWatching = file === null ? () => {} : watchConfig(file, reloadQuietly)
  process.on('SIGHUP', reloadQuietly)
  const touch = setInterval(
    () => attempt('noting last use', () => core.store.keys.touch(core.keyRing.takeTouched())),
    TOUCH_EVERY_MS,
  )
  const dueForRotation = createRotationWatch()
  const tellRotations = (): void => {
    for (const { key, dueAtMs } of dueForRotation(core.keyRing.list(), Date.now())) {
      const dueAt = new Date(dueAtMs).toISOString()
      const data = { key_id: key.id, key_name: key.name, due_at: dueAt }
      core.events.emit('key.rotation_due', data)
      log.warn(data, 'a key is due for rotation')
    }
  }
  const probes = new HealthProbes({
    plan: core.plan,
    book: core.targets.book,
    tools: parts.dataPlane,
    nowMs: () => SYSTEM_CLOCK.monotonicMs(),
  })
  probes.start()
  const stopSyncing = syncInBackground(core, control, (err) =>
    log.warn({ err }, 'the limits of a provider could not be asked for'),
  )
  tellRotations()
  const rotations = setInterval(tellRotations, ROTATIONS_EVERY_MS)
  const prune = setInterval(() => attempt('pruning', () => pruneRecords(core)), PRUNE_EVERY_MS)
  attempt('pruning', () => pruneRecords(core))
  const pruneAnswers = setInterval(
    () => attempt('pruning answers', () => answers.store.prune()),
    PRUNE_ANSWERS_EVERY_MS,
  )
  attempt('restoring statistics', () => restoreStats(stats, core.store.records, Date.now()))
  return () => {
    stopped = true
    probes.stop()
    stopSyncing()
    unfollow()
    stopWatching()
    process.off('SIGHUP', reloadQuietly)
    clearInterval(touch)
    clearInterval(rotations)
    clearInterval(prune)
    clearInterval(pruneAnswers)
  }
}

function isAway(err: unknown): boolean {
  return err instanceof StoreError && err.reason === 'away'
}

async function pruneRecords(core: Core): Promise<void> {
  const { retention } = core.loaded().config.ledger
  if (retention === null) return
  await core.store.records.prune(Date.now() - parseDurationMs(retention))
}

/** Where the CLI finds this server. */
function writeRuntimeFile(
  dir: string,
  urls: { readonly proxyUrl: string; readonly adminUrl: string },
): string {
  const file = path.join(dir, 'server.json')
  const text = JSON.stringify({
    pid: process.pid,
    proxy_url: urls.proxyUrl,
    admin_url: urls.adminUrl,
  })
  writeFileSync(file, `${text}\n`, { mode: 0o600 })
  return file
}

import cluster from 'node:cluster'
import { createServer, Socket } from 'node:net'
import path from 'node:path'
import type { Core } from './compose-core.ts'
import { settleWorker, workerJournal } from './compose-open-calls.ts'
import { tellEvent } from './compose-refusals.ts'
import type { LoadOptions } from './config/load-config.ts'
import type { AnswerStore } from './contracts/answer-store.ts'
import type { RecordIntake, Recorder } from './contracts/recorder.ts'
import type { TargetControl } from './control-plane/control.ts'
import type { PrometheusExporter } from './exporters/prometheus/create-prometheus-exporter.ts'
import { SYSTEM_CLOCK } from './lib/clock.ts'
import type { Readiness } from './lib/readiness.ts'
import type { RootLogger } from './observe/log.ts'
import type { PlanSource, WorkerStart } from './workers/messages.ts'
import { WorkerPool, type WorkerProcess } from './workers/worker-pool.ts'

/** In a worker, see `CHANNEL_FD` in compose-worker.ts. */
const CHANNEL = 4

export type WorkersOptions = {
  readonly core: Core
  readonly count: number
  readonly load: LoadOptions
  readonly log: RootLogger
  readonly logFormat: 'json' | 'pretty'
  readonly recorder: Recorder
  readonly metrics: PrometheusExporter
  readonly intake: RecordIntake
  readonly readiness: () => Readiness
  readonly answers: AnswerStore
  readonly sandboxUrl: string | null
  /** Calls under way are noted, so that they are settled when their process is killed. */
  readonly journal: boolean
}

export type Workers = {
  readonly pool: WorkerPool
  readonly proxyUrl: string
  /** Of all workers together. */
  readonly targets: TargetControl
  /** Tells all workers the plan of this moment. Resolves when they use it. */
  readonly usePlan: () => Promise<void>
}

/** Starts the processes that answer requests. This one keeps the counters and the ledger. */
export async function startWorkers(options: WorkersOptions): Promise<Workers> {
  const { core, log, recorder, metrics } = options
  const { config } = core.loaded()
  const { host } = config.server
  const port = await freePort(host, config.server.port)
  prepareCluster()
  const pool = new WorkerPool({
    count: options.count,
    spawn,
    start: (slot) => startMessage(options, { slot, port }),
    gate: core.gate,
    durable: core.durable,
    room: core.room,
    intake: options.intake,
    store: {
      answers: options.answers,
      notes: core.store.notes,
      records: core.store.records,
    },
    bury: (slot, desk) =>
      settleWorker(core, log, {
        slot,
        journal: options.journal,
        recorder,
        abandon: (unsent) => desk.abandonAll(options.journal, unsent),
      }),
    onNews(news) {
      if (news.kind === 'event') tellEvent(news, { events: core.events, metrics })
      else core.store.keys.touch(news.keys).catch(() => log.warn({}, 'noting last use failed'))
    },
    onLogLine: log.writeLine,
    readiness: options.readiness,
    log,
  })
  await pool.start()
  return {
    pool,
    targets: targetsOf(core, pool),
    proxyUrl: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    async usePlan() {
      pool.change({ kind: 'plan', ...planSource(core) })
      await pool.applied()
    },
  }
}

function targetsOf({ targets }: Core, pool: WorkerPool): TargetControl {
  return {
    // The owner sends nothing anywhere: its own book says what a target is of which nothing is known.
    signals: (target, nowMs) =>
      pool.targets(nowMs).get(target) ?? targets.book.signals(target, nowMs),
    list: (nowMs) => [...pool.targets(nowMs).values()],
    isKnown: (target) => pool.targets(SYSTEM_CLOCK.monotonicMs()).has(target),
    async reset(target) {
      const known = [...pool.targets(SYSTEM_CLOCK.monotonicMs()).keys()].filter(
        (one) => target === null || one === target,
      )
      await targets.control.reset(target)
      pool.change({ kind: 'reset-targets', target })
      await pool.applied()
      return known
    },
  }
}

function planSource(core: Core): PlanSource {
  const { file, text } = core.loaded()
  return { file, text, ...core.stored(), revision: core.plan().revision }
}

function startMessage(
  { core, load, logFormat, sandboxUrl, journal, readiness, answers }: WorkersOptions,
  { slot, port }: { readonly slot: number; readonly port: number },
): WorkerStart {
  const { configPath = null, overrides = {}, env, cwd } = load
  const { config } = core.loaded()
  return {
    kind: 'start',
    slot,
    load: { configPath, overrides, env, cwd },
    ...planSource(core),
    port,
    hashKeys: core.hashKeys,
    adminToken: core.adminToken,
    sandboxUrl,
    keys: core.keyRing.list(),
    journal: journal ? path.join(config.dir, workerJournal(slot)) : null,
    leaseMs: answers.leaseMs,
    instance: core.store.instance ?? null,
    logFormat,
    readiness: readiness(),
  }
}

/** The source runs as .ts, the build as .js: the neighbour has this module's own extension. */
function prepareCluster(): void {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  cluster.schedulingPolicy = cluster.SCHED_NONE
  cluster.setupPrimary({
    exec: path.join(import.meta.dirname, `worker-main.${extension}`),
    args: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'],
  })
}

function spawn(): WorkerProcess {
  const worker = cluster.fork()
  const child = worker.process
  const stream = child.stdio[CHANNEL]
  if (!(stream instanceof Socket)) throw new TypeError('A worker was started without a channel.')
  // The channel ends when the worker does.
  child.on('error', () => stream.destroy())
  const exited = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`))
  })
  return { pid: child.pid ?? 0, stream, kill: () => child.kill('SIGKILL'), exited }
}

/** Tried here, so that what is wrong with the address is told as by any listener. Workers that start later find it again. */
function freePort(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address()
      const bound = address === null || typeof address === 'string' ? port : address.port
      server.close(() => resolve(bound))
    })
  })
}

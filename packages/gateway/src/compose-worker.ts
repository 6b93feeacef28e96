import type { Server } from 'node:http'
import { Socket } from 'node:net'
import { composeBandit, type ComposedBandit } from './compose-bandit.ts'
import { composeFeedback } from './compose-feedback.ts'
import { refusalEvent } from './compose-refusals.ts'
import { WorkerPlan } from './compose-worker-plan.ts'
import { createListener } from './data-plane/http/listener.ts'
import { IdempotentCalls } from './data-plane/idempotency/idempotent-calls.ts'
import type { DataPlane } from './data-plane/pipeline/data-plane.ts'
import { RetryBudgets } from './data-plane/routing/retry-budget.ts'
import { Rewards } from './data-plane/routing/reward.ts'
import { HealthProbes } from './data-plane/upstream/health-probes.ts'
import { WarmCaches } from './data-plane/routing/warm-caches.ts'
import { Rotations } from './data-plane/routing/rotations.ts'
import { WrongKeys } from './data-plane/stages/wrong-keys.ts'
import { UpstreamPools } from './data-plane/upstream/pools.ts'
import { Watchdog } from './data-plane/upstream/watchdog.ts'
import { drainable } from './drain-server.ts'
import { SYSTEM_CLOCK } from './lib/clock.ts'
import type { Readiness } from './lib/readiness.ts'
import { accessLogSink } from './observe/access-log.ts'
import { createLogger, type RootLogger } from './observe/log.ts'
import { usageAlerts } from './observe/usage-alerts.ts'
import { PROTOCOLS } from './registry.ts'
import { openCallJournal } from './storage/open-calls/open-call-journal.ts'
import { createTokenCounter } from './tokenizers/token-counter.ts'
import { type LineChannel, lineChannel } from './workers/line-channel.ts'
import {
  type OwnerNews,
  readLine,
  type SentError,
  type WorkerNews,
  type WorkerStart,
} from './workers/messages.ts'
import { WorkerGate } from './workers/worker-gate.ts'
import { type SharedStore, StoreCalls } from './workers/store-calls.ts'
import { createWorkerRecorder, type WorkerRecorder } from './workers/worker-recorder.ts'

/** Where the owner's channel is in a worker: after standard input and output and the channel of `node:cluster`. */
const CHANNEL_FD = 4
const MEMO_BYTES = 32 * 1024 * 1024
const TOUCH_EVERY_MS = 5000
const REPORT_EVERY_MS = 1000
const LAST_RECORDS_MS = 2000
const FAILURE = 1
/**
 * The system hands each connection to one of several listeners of a port. Elsewhere the workers share one listener, through
 * `node:cluster`. Never by turns through the owner: a connection on its way to a worker that is killed would hang.
 */
const HAS_OWN_QUEUES = process.platform === 'linux' || process.platform === 'freebsd'

/** A process that answers requests for the owner of limits and ledger. Ends with it. */
export function runWorker(): void {
  // The owner decides when this process ends; the terminal tells all of them.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
  const stream = new Socket({ fd: CHANNEL_FD, readable: true, writable: true })
  let worker: Worker | null = null
  const channel: LineChannel = lineChannel(stream, {
    onLine(line) {
      const kind = line.charAt(0)
      const text = line.slice(1)
      if (kind !== 'J') worker?.onAnswer(kind, text)
      else worker = hear(readLine<OwnerNews>(text), worker, channel)
    },
    // Nothing can be admitted or recorded without the owner.
    onClose: () => process.exit(worker?.drained === true ? 0 : FAILURE),
  })
}

function hear(news: OwnerNews, worker: Worker | null, channel: LineChannel): Worker | null {
  if (news.kind !== 'start') {
    worker?.onNews(news)
    return worker
  }
  const failed = (thrown: unknown): void => {
    tell(channel, { kind: 'failed', error: sentError(thrown) })
    channel.end()
  }
  try {
    const started = new Worker(news, channel)
    started.serve(news).catch(failed)
    return started
  } catch (thrown) {
    failed(thrown)
    return null
  }
}

function tell(channel: LineChannel, news: WorkerNews): void {
  channel.send(`J${JSON.stringify(news)}`)
}

class Worker {
  drained = false
  readonly #channel: LineChannel
  readonly #plan: WorkerPlan
  readonly #gate: WorkerGate
  readonly #recorder: WorkerRecorder
  readonly #log: RootLogger
  readonly #calls: StoreCalls
  readonly #store: SharedStore
  readonly #openCalls: DataPlane['openCalls']
  readonly #load = { inFlight: 0 }
  #drain: (graceMs: number) => Promise<void> = async () => {}
  #learning: ComposedBandit | null = null
  #readiness: Readiness

  constructor(start: WorkerStart, channel: LineChannel) {
    this.#channel = channel
    this.#readiness = start.readiness
    const send = (line: string): void => channel.send(line)
    this.#calls = new StoreCalls(send)
    this.#store = this.#calls.store(start.leaseMs)
    const logs: { root: RootLogger | null } = { root: null }
    this.#plan = new WorkerPlan(start, {
      onProblem: (problem) => logs.root?.warn({}, problem),
      events: {
        emit: (type, data) => {
          tell(channel, { kind: 'event', type, data })
          // What is told of a target is true when the event is read.
          setImmediate(() => this.#report(false))
        },
      },
      store: this.#store,
    })
    this.#log = createLogger({
      level: this.#plan.loaded.config.log.level,
      format: start.logFormat,
      secrets: this.#plan.secrets,
      write: (line) => channel.sendLate(`G${line.trimEnd()}`),
    })
    logs.root = this.#log
    this.#gate = new WorkerGate({
      send,
      sendLate: (line) => channel.sendLate(line),
      clock: SYSTEM_CLOCK,
    })
    const journal =
      start.journal === null
        ? null
        : openCallJournal({
            path: start.journal,
            sync: this.#plan.loaded.config.ledger.durability === 'full',
            onProblem: (problem) => this.#log.error({}, problem),
          })
    this.#recorder = createWorkerRecorder({
      channel,
      ledger: () => this.#plan.loaded.config.ledger.enabled,
      healthy: () => typeof this.#readiness['ledger'] !== 'string',
      onCommitted: (requestId) => journal?.done(requestId),
      onStates: (ids, states) => this.#gate.onSettled(ids, states),
      sink: accessLogSink(this.#log),
    })
    this.#openCalls = journal === null ? null : { calls: journal, durable: this.#gate.durable }
  }

  /** Rejects with what the listener says. */
  async serve({ port, slot, instance }: WorkerStart): Promise<void> {
    await this.#plan.targets.restore()
    const learning = await composeBandit(
      // As gateways that share a store: each saves what it has learned, and reads what others have.
      { notes: this.#store.notes, instance: `${instance ?? ''}worker-${slot}` },
      () => this.#plan.plan.routing.forgetting,
    )
    learning.start((err) => this.#log.warn({ err }, 'what the bandit learned is not saved yet'))
    this.#learning = learning
    const dataPlane = this.#composeDataPlane(learning.bandit)
    const proxy = createListener(dataPlane)
    new HealthProbes({
      plan: () => this.#plan.plan,
      book: this.#plan.targets.book,
      tools: dataPlane,
      nowMs: () => SYSTEM_CLOCK.monotonicMs(),
    }).start()
    this.#drain = drainable(proxy)
    await listen(proxy, port, this.#plan.loaded.config.server.host)
    tell(this.#channel, { kind: 'listening' })
    setInterval(() => this.#tellTouched(), TOUCH_EVERY_MS).unref()
    setInterval(() => this.#report(false), REPORT_EVERY_MS).unref()
  }

  /** Answers of each request. */
  onAnswer(kind: string, text: string): void {
    switch (kind) {
      case 'r':
        return this.#gate.onReserved(text)
      case 'o':
        return this.#gate.onRoom(text)
      case 'c':
        return this.#gate.onAskedBack(text)
      case 'f':
        return this.#gate.onRefused(text)
      case 'b':
        return this.#gate.onFailed(text)
      case 'e':
        return this.#gate.onExtended(text)
      case 'a':
        return this.#recorder.onWritten(text)
      case 'x':
        return this.#recorder.onUnwritten(text)
      case 'q':
        return this.#calls.onAnswer(text)
      case 'w':
        return this.#calls.onFailed(text)
      default:
        throw new TypeError(`The owner sent "${kind}".`)
    }
  }

  onNews(news: Exclude<OwnerNews, WorkerStart>): void {
    switch (news.kind) {
      case 'change':
        this.#plan.change(news.change)
        if (news.change.kind === 'reset-targets') this.#report(false)
        this.#log.setLevel(this.#plan.loaded.config.log.level)
        return tell(this.#channel, { kind: 'applied', number: news.number })
      case 'readiness':
        this.#readiness = news.readiness
        return
      case 'report':
        return this.#report(true)
      case 'drain':
        return void this.#stop(news.graceMs)
    }
  }

  #composeDataPlane(bandit: ComposedBandit['bandit']): DataPlane {
    const { keyRing } = this.#plan
    return {
      protocols: PROTOCOLS,
      plan: () => this.#plan.plan,
      findKey: (secret, nowMs, seen) => keyRing.find(secret, nowMs, seen),
      wrongKeys: new WrongKeys(),
      gate: this.#gate,
      recorder: this.#recorder,
      openCalls: this.#openCalls,
      idempotent: new IdempotentCalls(this.#store.answers),
      tokenCounter: createTokenCounter({ memoBytes: MEMO_BYTES }),
      targets: this.#plan.targets.book,
      retries: new RetryBudgets(),
      takeFeedback: composeFeedback(this.#store, bandit),
      bandit,
      rotations: new Rotations(),
      warmCaches: new WarmCaches(),
      rewards: new Rewards(),
      pools: new UpstreamPools(),
      watchdog: new Watchdog(),
      clock: SYSTEM_CLOCK,
      load: this.#load,
      onError: (err, requestId) =>
        this.#log.error({ err, request_id: requestId }, 'a request failed'),
      onRefusal: (notice) => tell(this.#channel, { kind: 'event', ...refusalEvent(notice) }),
      onNoUsage: usageAlerts(
        (data) => tell(this.#channel, { kind: 'event', type: 'usage.estimated', data }),
        SYSTEM_CLOCK,
      ),
      readiness: () => this.#readiness,
    }
  }

  #report(isAnswer: boolean): void {
    const { user, system } = process.cpuUsage()
    const nowMs = SYSTEM_CLOCK.monotonicMs()
    tell(this.#channel, {
      kind: 'report',
      isAnswer,
      inFlight: this.#load.inFlight,
      cpuSeconds: (user + system) / 1e6,
      residentBytes: process.memoryUsage.rss(),
      targets: this.#plan.targets.book.list(nowMs).map(({ setAsideUntilMs, ...rest }) => {
        const setAsideForMs = setAsideUntilMs === null ? null : setAsideUntilMs - nowMs
        return Object.assign(rest, { setAsideForMs })
      }),
    })
  }

  #tellTouched(): void {
    const keys = this.#plan.keyRing.takeTouched()
    if (keys.length > 0) tell(this.#channel, { kind: 'touched', keys })
  }

  /** The owner closes the channel when it has read all of this, and then the process ends. */
  async #stop(graceMs: number): Promise<void> {
    await this.#drain(graceMs)
    const late = new Promise((resolve) => setTimeout(resolve, LAST_RECORDS_MS))
    await Promise.race([this.#recorder.idle(), late])
    await Promise.race([this.#learning?.sync().catch(() => {}), late])
    this.#tellTouched()
    this.drained = true
    tell(this.#channel, { kind: 'drained' })
  }
}

function listen(proxy: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    proxy.once('error', reject)
    proxy.listen({ port, host, reusePort: HAS_OWN_QUEUES }, () => resolve())
  })
}

function sentError(thrown: unknown): SentError {
  const error: NodeJS.ErrnoException = thrown instanceof Error ? thrown : new Error(String(thrown))
  const { address, port } = Object.fromEntries(Object.entries(error))
  return {
    message: error.message,
    code: error.code ?? null,
    syscall: error.syscall ?? null,
    address: typeof address === 'string' ? address : null,
    port: typeof port === 'number' ? port : null,
  }
}

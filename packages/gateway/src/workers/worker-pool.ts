import type { Duplex } from 'node:stream'
import type { DurableCharges } from '../contracts/durable-charge.ts'
import type { Gate } from '../contracts/limit.ts'
import type { Logger } from '../contracts/logger.ts'
import type { RecordIntake } from '../contracts/recorder.ts'
import { KnownLimits } from './charge-names.ts'
import type { GateDesk } from './gate-desk.ts'
import type { Change, SentError, WorkerNews, WorkerReport, WorkerStart } from './messages.ts'
import type { Room } from '../contracts/room.ts'
import { Rooms } from './rooms.ts'
import { mergeTargets, type NamedSignals } from './merged-targets.ts'
import type { SharedStore } from './store-calls.ts'
import { WorkerLink } from './worker-link.ts'
import type { Readiness } from '../lib/readiness.ts'

/** A worker that does not take over a change in so long is started again, with all changes. */
const APPLY_MS = 10_000
/** How long a worker may take to report for a scrape. */
const REPORT_MS = 1000
/** How often what `/health/ready` says is looked at. */
const READINESS_MS = 100
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5000
/** A worker that served for so long did not fail at its start. */
const STEADY_MS = 10_000
/** Beyond the grace: for the records of the calls that were cut. */
const LAST_RECORDS_MS = 5000

export type WorkerProcess = {
  readonly pid: number
  readonly stream: Duplex
  readonly kill: () => void
  readonly exited: Promise<string>
}

export type PoolOptions = {
  readonly count: number
  readonly spawn: (slot: number) => WorkerProcess
  readonly start: (slot: number) => WorkerStart
  readonly gate: Gate
  readonly durable: DurableCharges
  /** Null: counters are shared with others, so nothing can be kept for a worker. */
  readonly room: Room | null
  readonly intake: RecordIntake
  readonly store: SharedStore
  /** Settles what a worker that is gone has left, before the next one takes its place. */
  readonly bury: (slot: number, desk: GateDesk) => Promise<void>
  readonly onNews: (news: Extract<WorkerNews, { kind: 'event' | 'touched' }>) => void
  readonly onLogLine: (line: string) => void
  readonly readiness: () => Readiness
  readonly log: Logger
}

type MemberReport = Omit<WorkerReport, 'targets'> & {
  readonly slot: number
  /** That have ended since the process began. */
  readonly requests: number
}

type Member = {
  readonly slot: number
  readonly process: WorkerProcess
  readonly link: WorkerLink
  readonly startedAtMs: number
  state: 'starting' | 'serving' | 'drained' | 'gone'
}

/** Starts the workers, keeps as many running, and tells all of them what changes. */
export class WorkerPool {
  readonly #options: PoolOptions
  readonly #members = new Map<number, Member>()
  readonly #limits = new KnownLimits()
  readonly #rooms: Rooms | null
  readonly #failures = new Map<number, number>()
  readonly #restarts = new Set<NodeJS.Timeout>()
  #lastReadiness = ''
  #watch: NodeJS.Timeout | null = null
  #stopping = false
  #lost = 0
  #wake: (() => void)[] = []

  constructor(options: PoolOptions) {
    this.#options = options
    this.#rooms = options.room === null ? null : new Rooms(options.room)
  }

  /** Resolves when all of them serve. Rejects with what the first that cannot says; then none is left. */
  async start(): Promise<void> {
    const slots = Array.from({ length: this.#options.count }, (_, index) => index + 1)
    try {
      await Promise.all(slots.map((slot) => this.#spawn(slot)))
    } catch (thrown) {
      this.#stopping = true
      for (const { process } of this.#members.values()) process.kill()
      throw thrown
    }
    this.#watch = setInterval(() => this.#tellReadiness(), READINESS_MS)
    this.#watch.unref()
  }

  /** Of those that serve. */
  reports(): readonly MemberReport[] {
    return this.#serving().map(({ slot, link: { records: requests, report } }) => {
      const { inFlight, cpuSeconds, residentBytes } = report
      return { slot, requests, inFlight, cpuSeconds, residentBytes }
    })
  }

  /** What the workers know of their targets together. */
  targets(nowMs: number): ReadonlyMap<string, NamedSignals> {
    return mergeTargets(
      this.#serving().flatMap(({ link }) => link.report.targets),
      nowMs,
    )
  }

  /** Workers that ended without being asked to. */
  lost(): number {
    return this.#lost
  }

  problem(): string | null | { readonly warning: string } {
    const serving = this.#serving().length
    const { count } = this.#options
    if (serving === count) return null
    if (serving === 0) return 'no worker serves'
    return { warning: `${serving} of ${count} workers serve` }
  }

  change(change: Change): void {
    for (const { link } of this.#members.values()) link.change(change)
  }

  /** Resolves when every worker uses every change so far. */
  async applied(): Promise<void> {
    const members = [...this.#members.values()].filter(({ state }) => state !== 'drained')
    const late = setTimeout(() => {
      for (const { process, slot, link } of members) {
        if (this.#members.get(slot)?.link !== link) continue
        this.#options.log.error(
          { worker: slot },
          'a worker did not take over a change; it is ended',
        )
        process.kill()
      }
    }, APPLY_MS)
    await Promise.all(members.map(({ link }) => link.applied()))
    clearTimeout(late)
  }

  /** Resolves when `reports` is of now, or the slowest has taken too long. */
  async refresh(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const late = setTimeout(resolve, REPORT_MS)
    await Promise.race([promise, Promise.all(this.#serving().map(({ link }) => link.refresh()))])
    clearTimeout(late)
  }

  /** Lets calls under way end up to the grace, takes their records, and ends all workers. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true
    if (this.#watch !== null) clearInterval(this.#watch)
    for (const timer of this.#restarts) clearTimeout(timer)
    for (const { link } of this.#members.values()) link.tell({ kind: 'drain', graceMs })
    const late = setTimeout(() => {
      for (const { process } of this.#members.values()) process.kill()
    }, graceMs + LAST_RECORDS_MS)
    await this.#untilEmpty()
    clearTimeout(late)
  }

  #serving(): readonly Member[] {
    return [...this.#members.values()].filter(({ state }) => state === 'serving')
  }

  async #spawn(slot: number): Promise<void> {
    const { spawn, start, gate, durable, intake, store, onLogLine } = this.#options
    const process = spawn(slot)
    const listening = Promise.withResolvers<void>()
    const link = new WorkerLink({
      stream: process.stream,
      gate,
      durable,
      limits: this.#limits,
      rooms: this.#rooms,
      intake,
      store,
      onUnwritten: () => this.#tellReadiness(),
      onLogLine,
      onNews: (news) => this.#hear(member, news, listening),
      onClose: () => {
        listening.reject(new Error(`Worker ${slot} ended before it served.`))
        void this.#bury(member)
      },
    })
    const member: Member = {
      slot,
      process,
      link,
      startedAtMs: performance.now(),
      state: 'starting',
    }
    this.#members.set(slot, member)
    link.tell(start(slot))
    await listening.promise
  }

  #hear(
    member: Member,
    news: WorkerNews,
    listening: { resolve: () => void; reject: (error: Error) => void },
  ): void {
    switch (news.kind) {
      case 'listening':
        member.state = 'serving'
        member.link.tell({ kind: 'readiness', readiness: this.#options.readiness() })
        listening.resolve()
        break
      case 'failed':
        listening.reject(asError(news.error))
        break
      case 'drained':
        member.state = 'drained'
        member.link.end()
        break
      case 'event':
      case 'touched':
        this.#options.onNews(news)
        break
      case 'applied':
      case 'report':
        break
    }
  }

  /** The channel has ended: so must the process, before what it left is settled. */
  async #bury(member: Member): Promise<void> {
    const { slot, process, link } = member
    const wasDrained = member.state === 'drained'
    member.state = 'gone'
    if (!wasDrained) process.kill()
    const how = await process.exited
    const { log, bury } = this.#options
    await bury(slot, link.desk).catch((err: unknown) =>
      log.error({ err, worker: slot }, 'what a worker has left cannot be settled'),
    )
    if (this.#members.get(slot) === member) this.#members.delete(slot)
    if (this.#stopping) return this.#look()
    this.#lost += 1
    log.error({ worker: slot, pid: process.pid, how }, 'a worker ended; another takes its place')
    this.#restart(member)
  }

  #restart({ slot, startedAtMs }: Member): void {
    const steady = performance.now() - startedAtMs > STEADY_MS
    const failures = steady ? 0 : (this.#failures.get(slot) ?? 0)
    this.#failures.set(slot, failures + 1)
    const pauseMs = failures === 0 ? 0 : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures)
    const timer = setTimeout(() => {
      this.#restarts.delete(timer)
      this.#spawn(slot).catch((err: unknown) =>
        this.#options.log.error({ err, worker: slot }, 'a worker cannot be started'),
      )
    }, pauseMs)
    this.#restarts.add(timer)
  }

  #tellReadiness(): void {
    const readiness = this.#options.readiness()
    const text = JSON.stringify(readiness)
    if (text === this.#lastReadiness) return
    this.#lastReadiness = text
    for (const { link } of this.#serving()) link.tell({ kind: 'readiness', readiness })
  }

  #untilEmpty(): Promise<void> {
    if (this.#members.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#wake.push(resolve)
    })
  }

  #look(): void {
    if (this.#members.size > 0) return
    for (const resolve of this.#wake) resolve()
    this.#wake = []
  }
}

/** As the listener of this process would have thrown it. */
function asError({ message, code, syscall, address, port }: SentError): Error {
  return Object.assign(new Error(message), { code, syscall, address, port })
}

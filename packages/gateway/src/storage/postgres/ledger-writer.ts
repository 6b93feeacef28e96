import type { CounterState } from '../../contracts/limit.ts'
import type { LedgerBacklog, LedgerWriter } from '../../contracts/store.ts'
import { UnreadRecord } from '../../contracts/unread-record.ts'
import type { UsageRecord } from '../../contracts/usage-record.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { notAnswered, wasSent } from '../sent-records.ts'
import { StoreError } from '../../errors/store-error.ts'
import type { Spool } from './spool.ts'
import type { SpoolDrain } from './spool-drain.ts'
import type { Frame } from './spool-frame.ts'
import type { Tail } from './tail.ts'

/** Records that wait for the disk at most; beyond, appends are refused, so that a stuck disk cannot fill the memory. */
const MOST_WAITING = 10_000
const FRAME_RECORDS = 50
const RETRY_MS = 1000
/** Turns of the event loop that a busy writer gathers records for. */
const GATHER_TURNS = 2

type Batch = {
  readonly records: UsageRecord[]
  readonly lines: string[]
  readonly outcome: PromiseWithResolvers<void>
}

type SpoolLedgerOptions = {
  readonly spool: Spool
  readonly drain: SpoolDrain
  readonly tail: Tail
  readonly maxBytes: number
}

/**
 * Group commit into the local spool: what is appended in one turn of the event loop, or while the former batch is
 * written, is one write. The database gets it from there, later.
 *
 * A record of a call that was sent upstream is kept when its write fails, although the caller was told.
 */
export class SpoolLedger implements LedgerWriter {
  readonly #options: SpoolLedgerOptions
  readonly #counters = new Map<string, string>()
  #takeCounters: (() => readonly CounterState[]) | null = null
  #tellCommitted: ((records: readonly UsageRecord[]) => void) | null = null
  #kept: readonly UsageRecord[] = []
  #waiting = newBatch()
  #inFlight: Batch | null = null
  #scheduled = false
  #closed = false
  #lastSize = 0
  #writable = true
  #retry: NodeJS.Timeout | null = null

  constructor(options: SpoolLedgerOptions) {
    this.#options = options
  }

  append(given: UsageRecord | UnreadRecord): Promise<void> {
    const isRead = !(given instanceof UnreadRecord)
    const record = isRead ? given : given.read()
    if (this.#closed) return refuse('The ledger is closed.')
    // What was spent is always taken: there is no more of it than there are calls under way.
    if (!wasSent(record) && this.#isFull()) return refuse('Too many records wait to be written.')
    this.#waiting.records.push(record)
    this.#waiting.lines.push(isRead ? JSON.stringify(record) : given.text)
    this.#options.tail.add(record)
    this.#schedule()
    return this.#waiting.outcome.promise
  }

  countersFrom(source: () => readonly CounterState[]): void {
    this.#takeCounters = source
  }

  onCommitted(listener: (records: readonly UsageRecord[]) => void): void {
    this.#tellCommitted = listener
  }

  pending(): readonly UsageRecord[] {
    return this.#options.tail.records()
  }

  healthy(): boolean {
    return this.#writable && !this.#isFull()
  }

  backlog(): LedgerBacklog {
    const { spool, drain, maxBytes } = this.#options
    const { records, bytes, oldestAtMs } = spool
    return { records, bytes, maxBytes, oldestAtMs, problem: drain.problem()?.message ?? null }
  }

  async flush(): Promise<void> {
    await this.settled().catch(() => {})
  }

  /** Resolves when everything accepted so far is in the database. Rejects while the database does not take it. */
  async settled(): Promise<void> {
    await this.#spooled()
    await this.#options.drain.drained()
  }

  /** Counters that are to be written after everything before. */
  async putCounters(states: readonly CounterState[]): Promise<void> {
    if (states.length === 0) return
    await this.#spooled()
    for (const { counterKey, state } of states) this.#counters.set(counterKey, state)
    const pairs = states.flatMap(({ counterKey, state }) => [counterKey, state])
    try {
      await this.#options.spool.write(framesOf([], pairs))
    } catch (cause) {
      throw new StoreError('full', 'The spool cannot be written.', { cause })
    }
    this.#counted(pairs)
    this.#options.drain.wake()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    if (this.#retry !== null) clearTimeout(this.#retry)
    await this.#spooled()
    this.#sendKept()
    await this.#spooled()
    await this.#options.drain.close()
    await this.#options.spool.close()
  }

  #isFull(): boolean {
    const { spool, maxBytes } = this.#options
    return this.#waiting.lines.length >= MOST_WAITING || spool.bytes >= maxBytes
  }

  #schedule(): void {
    if (this.#scheduled || this.#inFlight !== null || this.#waiting.lines.length === 0) return
    this.#scheduled = true
    setImmediate(() => this.#gather(this.#lastSize > 1 ? GATHER_TURNS : 0))
  }

  #gather(turnsLeft: number): void {
    if (turnsLeft > 0) setImmediate(() => this.#gather(turnsLeft - 1))
    else void this.#send()
  }

  async #send(): Promise<void> {
    const { spool, drain, tail } = this.#options
    this.#scheduled = false
    const batch = this.#waiting
    this.#inFlight = batch
    this.#waiting = newBatch()
    this.#lastSize = batch.lines.length
    batch.records.unshift(...this.#kept)
    batch.lines.unshift(...this.#kept.map((record) => JSON.stringify(record)))
    this.#kept = []
    for (const { counterKey, state } of this.#takeCounters?.() ?? []) {
      this.#counters.set(counterKey, state)
    }
    const counters = [...this.#counters].flat()
    try {
      await spool.write(framesOf(batch.lines, counters))
      this.#counted(counters)
      this.#recovered()
      batch.outcome.resolve()
      this.#tellCommitted?.(batch.records)
      drain.wake()
    } catch (thrown) {
      this.#kept = batch.records.filter(wasSent).map(notAnswered)
      tail.replace(batch.records, this.#kept)
      this.#failed()
      batch.outcome.reject(unavailable(thrown))
    }
    this.#inFlight = null
    this.#schedule()
  }

  /** A state that changed meanwhile stays. */
  #counted(pairs: readonly string[]): void {
    for (let i = 0; i + 1 < pairs.length; i += 2) {
      const key = pairs[i] ?? ''
      if (this.#counters.get(key) === pairs[i + 1]) this.#counters.delete(key)
    }
  }

  #recovered(): void {
    this.#writable = true
    if (this.#retry !== null) clearTimeout(this.#retry)
    this.#retry = null
  }

  #failed(): void {
    this.#writable = false
    if (this.#retry !== null || this.#closed) return
    this.#retry = setTimeout(() => void this.#probe(), RETRY_MS).unref()
  }

  async #probe(): Promise<void> {
    this.#retry = null
    try {
      await this.#options.spool.probe()
    } catch {
      return this.#failed()
    }
    this.#recovered()
    this.#sendKept()
  }

  #sendKept(): void {
    if (this.#kept.length > 0 && this.#inFlight === null && !this.#scheduled) void this.#send()
  }

  async #spooled(): Promise<void> {
    const open = this.#inFlight === null ? [] : [this.#inFlight.outcome.promise]
    if (this.#waiting.lines.length > 0) open.push(this.#waiting.outcome.promise)
    await Promise.allSettled(open)
  }
}

/** Counters go last: with all of their records or with none. */
function framesOf(lines: readonly string[], counters: readonly string[]): readonly Frame[] {
  const atMs = Date.now()
  const frames: Frame[] = []
  for (let from = 0; from === 0 || from < lines.length; from += FRAME_RECORDS) {
    const to = from + FRAME_RECORDS
    const isLast = to >= lines.length
    frames.push({ lines: lines.slice(from, to), counters: isLast ? counters : [], atMs })
  }
  return frames
}

function newBatch(): Batch {
  const outcome = Promise.withResolvers<void>()
  // A caller that does not wait must not end the process; those who wait still see the rejection.
  outcome.promise.catch(() => {})
  return { records: [], lines: [], outcome }
}

function refuse(why: string): Promise<never> {
  return Promise.reject(unavailable(why))
}

function unavailable(cause: unknown): GatewayError {
  return new GatewayError(
    'ledger_unavailable',
    'The ledger cannot be written; spending is paused.',
    { cause },
  )
}

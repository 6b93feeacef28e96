import type { CounterState } from '../../contracts/limit.ts'
import type { LedgerWriter } from '../../contracts/store.ts'
import { UnreadRecord } from '../../contracts/unread-record.ts'
import type { UsageRecord } from '../../contracts/usage-record.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { notAnswered, wasSent } from '../sent-records.ts'
import type { AppendBatch } from './messages.ts'
import type { WorkerClient } from './worker-client.ts'

/** Records that wait at most; beyond, appends are refused, so that a stuck disk cannot fill the memory. */
const MOST_WAITING = 10_000
const RETRY_MS = 1000

type Batch = {
  readonly records: (UsageRecord | UnreadRecord)[]
  readonly lines: string[]
  /** One promise for the whole batch: it commits or fails as one. */
  readonly outcome: PromiseWithResolvers<void>
}

/**
 * Group commit: what is appended in one turn of the event loop, or while the former batch is written, is one
 * transaction. One batch is in flight at a time, so commits keep the order of the appends.
 *
 * A record of a call that was sent upstream is kept when its batch fails, although the caller was told: it goes with the
 * next batch that commits, so that what was spent is in the ledger once.
 *
 * `flush` resolves when everything accepted so far is committed or has been rejected.
 */
export function createLedgerWriter(writer: Pick<WorkerClient, 'call'>): LedgerWriter {
  let waiting = newBatch()
  let inFlight: Batch | null = null
  let scheduled = false
  let closed = false
  let takeCounters: (() => readonly CounterState[]) | null = null
  const counters = createCounters()
  let kept: UsageRecord[] = []
  let tellCommitted: ((records: readonly UsageRecord[]) => void) | null = null
  const health = createHealth(() => writer.call({ kind: 'probe' }), writeKept)

  function writeKept(): void {
    if (kept.length > 0 && health.isHealthy() && inFlight === null && !scheduled) send()
  }

  function schedule(): void {
    if (scheduled || inFlight !== null || waiting.lines.length === 0) return
    scheduled = true
    // No longer: while the writer has these, the next ones come together.
    setImmediate(send)
  }

  function send(): void {
    scheduled = false
    const batch = waiting
    inFlight = batch
    waiting = newBatch()
    if (kept.length > 0) kept = putFirst(batch, kept)
    counters.add(takeCounters?.() ?? [])
    void commit(batch, { lines: batch.lines.join('\n'), counters: counters.pairs() })
  }

  async function commit(batch: Batch, message: AppendBatch): Promise<void> {
    try {
      await writer.call({ kind: 'append', batch: message })
      counters.written(message.counters)
      health.recovered()
      batch.outcome.resolve()
      tellCommitted?.(batch.records.filter(isRead))
    } catch (thrown) {
      kept = batch.records.filter(isSent).map((record) => notAnswered(read(record)))
      health.failed()
      batch.outcome.reject(unavailable(thrown))
    }
    inFlight = null
    schedule()
  }

  async function flush(): Promise<void> {
    // Batches end in their order.
    const last = waiting.lines.length > 0 ? waiting : inFlight
    await last?.outcome.promise.catch(() => {})
  }

  return {
    append(record) {
      if (closed) return Promise.reject(unavailable('The ledger is closed.'))
      // What was spent is always taken: there is no more of it than there are calls under way.
      if (waiting.lines.length >= MOST_WAITING && (health.isHealthy() || !isSent(record))) {
        health.overflowed()
        return Promise.reject(unavailable('Too many records wait to be written.'))
      }
      waiting.records.push(record)
      waiting.lines.push(lineOf(record))
      schedule()
      return waiting.outcome.promise
    },
    countersFrom(source) {
      takeCounters = source
    },
    pending: () => [...(inFlight?.records ?? []), ...kept, ...waiting.records].map(read),
    onCommitted: (listener) => void (tellCommitted = listener),
    healthy: health.isHealthy,
    flush,
    async close() {
      closed = true
      health.stopAsking()
      await flush()
      if (kept.length > 0) send()
      await flush()
    },
  }
}

/** The writer's thread reads the facts where there are some; the record goes on as it came. */
function lineOf(record: UsageRecord | UnreadRecord): string {
  if (!(record instanceof UnreadRecord)) return JSON.stringify(record)
  return `${record.facts}\t${record.text}`
}

function isRead(record: UsageRecord | UnreadRecord): record is UsageRecord {
  return !(record instanceof UnreadRecord)
}

function read(record: UsageRecord | UnreadRecord): UsageRecord {
  return record instanceof UnreadRecord ? record.read() : record
}

function isSent(record: UsageRecord | UnreadRecord): boolean {
  return record instanceof UnreadRecord ? record.wasSent : wasSent(record)
}

/** Nothing is kept then. */
function putFirst(batch: Batch, kept: readonly UsageRecord[]): [] {
  batch.records.unshift(...kept)
  batch.lines.unshift(...kept.map((record) => JSON.stringify(record)))
  return []
}

type Counters = {
  readonly add: (states: readonly CounterState[]) => void
  /** Keys and states in turn. */
  readonly pairs: () => string[]
  readonly written: (pairs: readonly string[]) => void
}

/** What a failed transaction could not write goes into the next one. */
function createCounters(): Counters {
  const unwritten = new Map<string, string>()
  return {
    add(states) {
      for (const { counterKey, state } of states) unwritten.set(counterKey, state)
    },
    pairs: () => [...unwritten].flat(),
    written(pairs) {
      for (let i = 0; i + 1 < pairs.length; i += 2) {
        const key = pairs[i] ?? ''
        // A state that changed meanwhile stays.
        if (unwritten.get(key) === pairs[i + 1]) unwritten.delete(key)
      }
    },
  }
}

type Health = {
  readonly isHealthy: () => boolean
  readonly recovered: () => void
  readonly failed: () => void
  /** Until the next transaction that succeeds. */
  readonly overflowed: () => void
  readonly stopAsking: () => void
}

/** Whether the store takes writes. When it does not, it is asked until it does. */
function createHealth(ask: () => Promise<unknown>, onAsked: () => void): Health {
  let healthy = true
  let stopped = false
  let retry: NodeJS.Timeout | null = null

  function recovered(): void {
    healthy = true
    clear()
  }

  function failed(): void {
    healthy = false
    if (retry === null && !stopped) retry = setTimeout(probe, RETRY_MS).unref()
  }

  function probe(): void {
    retry = null
    ask()
      .then(recovered, failed)
      .then(onAsked, () => {})
  }

  function clear(): void {
    if (retry !== null) clearTimeout(retry)
    retry = null
  }

  return {
    isHealthy: () => healthy,
    recovered,
    failed,
    overflowed() {
      healthy = false
    },
    stopAsking() {
      stopped = true
      clear()
    },
  }
}

function newBatch(): Batch {
  const outcome = Promise.withResolvers<void>()
  // A caller that does not wait must not end the process; those who wait still see the rejection.
  outcome.promise.catch(() => {})
  return { records: [], lines: [], outcome }
}

function unavailable(cause: unknown): GatewayError {
  return new GatewayError(
    'ledger_unavailable',
    'The ledger cannot be written; spending is paused.',
    {
      cause,
    },
  )
}

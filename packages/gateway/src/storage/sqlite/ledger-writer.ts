import type { CounterState } from '../../contracts/limit.ts'
import type { LedgerWriter } from '../../contracts/store.ts'
import type { UsageRecord } from '../../contracts/usage-record.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import type { AppendBatch } from './messages.ts'
import type { WorkerClient } from './worker-client.ts'

/** Records that wait at most; beyond, appends are refused, so that a stuck disk cannot fill the memory. */
const MOST_WAITING = 10_000
const RETRY_MS = 1000
/** Turns of the event loop that a busy writer gathers records for. An idle loop turns in microseconds, a loaded one with many records. */
const GATHER_TURNS = 4

type Batch = {
  readonly records: UsageRecord[]
  readonly lines: string[]
  /** One promise for the whole batch: it commits or fails as one. */
  readonly outcome: PromiseWithResolvers<void>
}

/**
 * Group commit: what is appended in one turn of the event loop, or while the former batch is written, is one
 * transaction. One batch is in flight at a time, so commits keep the order of the appends.
 *
 * `flush` resolves when everything accepted so far is committed or has been rejected.
 */
export function createLedgerWriter(writer: Pick<WorkerClient, 'call'>): LedgerWriter {
  let waiting = newBatch()
  let inFlight: Batch | null = null
  let scheduled = false
  let healthy = true
  let closed = false
  let retry: NodeJS.Timeout | null = null
  let takeCounters: () => readonly CounterState[] = () => []
  /** What a failed transaction could not write goes into the next one. */
  const unwritten = new Map<string, string>()
  let lastSize = 0

  function schedule(): void {
    if (scheduled || inFlight !== null || waiting.lines.length === 0) return
    scheduled = true
    setImmediate(gather, lastSize > 1 ? GATHER_TURNS : 0)
  }

  function gather(turnsLeft: number): void {
    if (turnsLeft > 0) setImmediate(gather, turnsLeft - 1)
    else send()
  }

  function send(): void {
    scheduled = false
    const batch = waiting
    inFlight = batch
    waiting = newBatch()
    lastSize = batch.lines.length
    for (const { counterKey, state } of takeCounters()) unwritten.set(counterKey, state)
    const counters = [...unwritten].flat()
    void commit(batch, { lines: batch.lines.join('\n'), counters })
  }

  async function commit(batch: Batch, message: AppendBatch): Promise<void> {
    try {
      await writer.call({ kind: 'append', batch: message })
      forget(message.counters)
      recovered()
      batch.outcome.resolve()
    } catch (thrown) {
      failed()
      batch.outcome.reject(unavailable(thrown))
    }
    inFlight = null
    schedule()
  }

  /** Pairs of key and state; a state that changed meanwhile stays. */
  function forget(counters: readonly string[]): void {
    for (let i = 0; i + 1 < counters.length; i += 2) {
      const key = counters[i] ?? ''
      if (unwritten.get(key) === counters[i + 1]) unwritten.delete(key)
    }
  }

  function recovered(): void {
    healthy = true
    if (retry !== null) clearTimeout(retry)
    retry = null
  }

  function failed(): void {
    healthy = false
    if (retry !== null || closed) return
    retry = setTimeout(probe, RETRY_MS).unref()
  }

  function probe(): void {
    retry = null
    writer.call({ kind: 'probe' }).then(recovered, failed)
  }

  async function flush(): Promise<void> {
    const open = inFlight === null ? [] : [inFlight.outcome.promise]
    if (waiting.lines.length > 0) open.push(waiting.outcome.promise)
    await Promise.allSettled(open)
  }

  return {
    append(record: UsageRecord): Promise<void> {
      if (closed) return Promise.reject(unavailable('The ledger is closed.'))
      if (waiting.lines.length >= MOST_WAITING) {
        healthy = false
        return Promise.reject(unavailable('Too many records wait to be written.'))
      }
      waiting.records.push(record)
      waiting.lines.push(JSON.stringify(record))
      schedule()
      return waiting.outcome.promise
    },
    countersFrom(source) {
      takeCounters = source
    },
    pending: () =>
      inFlight === null ? [...waiting.records] : [...inFlight.records, ...waiting.records],
    healthy: () => healthy,
    flush,
    async close() {
      closed = true
      await flush()
      if (retry !== null) clearTimeout(retry)
      retry = null
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

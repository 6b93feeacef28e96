import type { DurableCharge } from '../../contracts/durable-charge.ts'
import type { CounterState } from '../../contracts/limit.ts'
import type { OpenCall } from '../../contracts/open-calls.ts'

export type SimRecord = {
  readonly requestId: string
  readonly tokens: number
  /** Settled at what was reserved, because the process did not live to know better. */
  readonly lost: boolean
  readonly charges: readonly DurableCharge[]
}

/** What outlives a process: records and counters, committed together, and the journal of open calls. */
export class Disk {
  readonly records: Map<string, SimRecord> = new Map()
  readonly counters: Map<string, CounterState> = new Map()
  readonly journal: Map<string, OpenCall> = new Map()

  /** One transaction. Throws for a second record of one request. */
  commit(records: readonly SimRecord[], counters: readonly CounterState[]): void {
    for (const record of records) {
      if (this.records.has(record.requestId)) {
        throw new Error(`two records of ${record.requestId}`)
      }
      this.records.set(record.requestId, record)
    }
    for (const state of counters) this.counters.set(state.counterKey, state)
  }
}

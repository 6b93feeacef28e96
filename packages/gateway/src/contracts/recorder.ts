import type { CountedRecord } from './record-facts.ts'
import type { UnreadRecord } from './unread-record.ts'
import type { UsageRecord } from './usage-record.ts'

/** Something that wants every usage record. Called on the request path: must be cheap, must not throw. */
export type Sink = (record: UsageRecord) => void

/** A sink that only counts. */
export type CountingSink = (record: CountedRecord) => void

/**
 * Takes each request's record once and fans it out. Resolves when the ledger has committed it; sinks have run before.
 * Rejects with `ledger_unavailable` when the ledger cannot be written.
 */
export type Recorder = {
  record(record: UsageRecord): Promise<void>
  /** False: spending must be refused. */
  healthy(): boolean
}

/** The same for records of other processes. They are counted a little later: before anybody reads what was counted. */
export type RecordIntake = {
  take(record: UnreadRecord): Promise<void>
  /** Counts what has been taken. */
  count(): void
}

import type { UsageRecord } from './usage-record.ts'

/** Something that wants every usage record. Called on the request path: must be cheap, must not throw. */
export type Sink = (record: UsageRecord) => void

/**
 * Takes each request's record once and fans it out. Resolves when the ledger has committed it; sinks have run before.
 * Rejects with `ledger_unavailable` when the ledger cannot be written.
 */
export type Recorder = {
  /** `text`: the record as JSON, where somebody has it already. */
  record(record: UsageRecord, text?: string): Promise<void>
  /** False: spending must be refused. */
  healthy(): boolean
}

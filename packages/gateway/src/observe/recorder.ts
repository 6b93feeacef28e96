import type { Recorder, Sink } from '../contracts/recorder.ts'
import type { LedgerWriter } from '../contracts/store.ts'
import { tellSinks } from './tell-sinks.ts'

export type RecorderOptions = {
  /** Null: the operator runs without a ledger. Then every record counts as written. */
  readonly ledger: LedgerWriter | null
  readonly sinks: readonly Sink[]
  /** Called when a sink throws, which is a defect of the sink; the request goes on. */
  readonly onSinkError?: (thrown: unknown) => void
}

/** Fans each record out to the sinks, then hands it to the ledger. Hot: once per request. */
export function createRecorder({ ledger, sinks, onSinkError }: RecorderOptions): Recorder {
  return {
    record(record) {
      tellSinks(sinks, record, onSinkError)
      return ledger === null ? WRITTEN : ledger.append(record)
    },
    healthy: () => ledger === null || ledger.healthy(),
  }
}

const WRITTEN = Promise.resolve()

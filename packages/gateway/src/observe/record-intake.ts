import type { EventBus } from '../contracts/event.ts'
import type { CountingSink, RecordIntake } from '../contracts/recorder.ts'
import type { LedgerWriter } from '../contracts/store.ts'
import type { UnreadRecord } from '../contracts/unread-record.ts'
import { emitUnreadRecord } from './request-events.ts'
import { tellSinks } from './tell-sinks.ts'

export type RecordIntakeOptions = {
  /** Null: the operator runs without a ledger. Then every record counts as written. */
  readonly ledger: Pick<LedgerWriter, 'append'> | null
  readonly events: EventBus
  readonly sinks: readonly CountingSink[]
  /** Called when a sink throws, which is a defect of the sink; the others go on. */
  readonly onSinkError: (thrown: unknown) => void
}

/** How long records wait to be counted, if nobody asks. */
const COUNT_EVERY_MS = 250
/** So many are counted at once, so that the event loop is not held for long. */
const MOST_UNCOUNTED = 500
const WRITTEN = Promise.resolve()

/**
 * Takes the records of other processes without reading them: the ledger gets the text, events are made of it when somebody
 * listens, and what is counted is counted together, which costs a fraction of counting each in its turn.
 */
export function createRecordIntake(options: RecordIntakeOptions): RecordIntake {
  const { ledger, events, sinks, onSinkError } = options
  let uncounted: UnreadRecord[] = []
  let timer: NodeJS.Timeout | null = null

  function count(): void {
    if (timer !== null) clearTimeout(timer)
    timer = null
    const records = uncounted
    uncounted = []
    for (const record of records) tellSinks(sinks, record.counted(), onSinkError)
  }

  return {
    take(record) {
      uncounted.push(record)
      if (uncounted.length >= MOST_UNCOUNTED) count()
      else timer ??= setTimeout(count, COUNT_EVERY_MS).unref()
      emitUnreadRecord(events, record)
      return ledger === null ? WRITTEN : ledger.append(record)
    },
    count,
  }
}

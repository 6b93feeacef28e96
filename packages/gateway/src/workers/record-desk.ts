import type { DurableCharge } from '../contracts/durable-charge.ts'
import type { Recorder } from '../contracts/recorder.ts'
import type { UsageRecord } from '../contracts/usage-record.ts'
import type { SettledHere } from './gate-desk.ts'
import { readLine } from './messages.ts'

/** In the record of a worker, which does not know them. No text in it can look like this: quotes are escaped in texts. */
const NO_CHARGES = '"charges":[]'

export type RecordDeskOptions = {
  readonly recorder: Recorder
  readonly takeSettled: () => SettledHere
  readonly send: (line: string) => void
  /** The ledger did not take one. */
  readonly onUnwritten: () => void
}

/** Where one worker hands in its records. */
export function createRecordDesk({
  recorder,
  takeSettled,
  send,
  onUnwritten,
}: RecordDeskOptions): (text: string) => void {
  return (text) => {
    const tab = text.indexOf('\t')
    const number = text.slice(0, tab)
    const { charges, states } = takeSettled()
    const line = withCharges(text.slice(tab + 1), charges)
    const record = readLine<UsageRecord>(line)
    const onWritten = (): void => send(`a[${number}${states()}]`)
    const onFailed = (thrown: unknown): void => {
      const message = thrown instanceof Error ? thrown.message : 'The ledger cannot be written.'
      send(`x[${number},${JSON.stringify(message)}${states()}]`)
      onUnwritten()
    }
    recorder.record(record, line).then(onWritten, onFailed)
  }
}

function withCharges(line: string, charges: readonly DurableCharge[]): string {
  if (charges.length === 0) return line
  const at = line.indexOf(NO_CHARGES)
  if (at === -1) throw new TypeError('The record of a worker has charges of its own.')
  const end = at + NO_CHARGES.length
  return `${line.slice(0, at)}"charges":${JSON.stringify(charges)}${line.slice(end)}`
}

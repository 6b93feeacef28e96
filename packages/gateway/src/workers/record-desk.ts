import type { DurableCharge } from '../contracts/durable-charge.ts'
import type { RecordIntake } from '../contracts/recorder.ts'
import { UnreadRecord } from '../contracts/unread-record.ts'
import type { SettledHere } from './gate-desk.ts'
import { HAS_FAILED, WAS_SENT } from './messages.ts'

/** In the record of a worker, which does not know them. No text in it can look like this: quotes are escaped in texts. */
const NO_CHARGES = '"charges":[]'

export type RecordDeskOptions = {
  readonly intake: RecordIntake
  readonly takeSettled: () => readonly SettledHere[]
  readonly chargesOf: (settled: readonly SettledHere[]) => readonly DurableCharge[]
  readonly statesText: (settled: readonly SettledHere[]) => string
  readonly send: (line: string) => void
  /** The ledger did not take one. */
  readonly onUnwritten: () => void
}

/** Where one worker hands in its records. Those of one commit are answered in one line. */
export function createRecordDesk(options: RecordDeskOptions): (text: string) => void {
  const { intake, takeSettled, chargesOf, statesText, send, onUnwritten } = options
  let written = ''
  let settledOfWritten: SettledHere[] = []

  function tellWritten(): void {
    send(`a[[${written}]${statesText(settledOfWritten)}]`)
    written = ''
    settledOfWritten = []
  }

  function onWritten(number: string, settled: readonly SettledHere[]): void {
    // What waits for the same commit is told of before the microtask that is queued now.
    if (written === '') queueMicrotask(tellWritten)
    written += written === '' ? number : `,${number}`
    settledOfWritten.push(...settled)
  }

  return (line) => {
    const [number, flags, facts, text] = partsOf(line)
    const settled = takeSettled()
    const record = new UnreadRecord(
      { text: withCharges(text, chargesOf(settled)), facts },
      { wasSent: (flags & WAS_SENT) !== 0, hasFailed: (flags & HAS_FAILED) !== 0 },
    )
    const onFailed = (thrown: unknown): void => {
      const message = thrown instanceof Error ? thrown.message : 'The ledger cannot be written.'
      send(`x[${number},${JSON.stringify(message)}${statesText(settled)}]`)
      onUnwritten()
    }
    intake.take(record).then(() => onWritten(number, settled), onFailed)
  }
}

/** JSON has no tab in it. */
function partsOf(line: string): [number: string, flags: number, facts: string, text: string] {
  const first = line.indexOf('\t')
  const second = line.indexOf('\t', first + 1)
  const third = line.indexOf('\t', second + 1)
  return [
    line.slice(0, first),
    Number(line.slice(first + 1, second)),
    line.slice(second + 1, third),
    line.slice(third + 1),
  ]
}

function withCharges(text: string, charges: readonly DurableCharge[]): string {
  if (charges.length === 0) return text
  const at = text.indexOf(NO_CHARGES)
  if (at === -1) throw new TypeError('The record of a worker has charges of its own.')
  const end = at + NO_CHARGES.length
  return `${text.slice(0, at)}"charges":${JSON.stringify(charges)}${text.slice(end)}`
}

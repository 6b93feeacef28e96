import { factsOf } from '../contracts/record-facts.ts'
import type { Recorder, Sink } from '../contracts/recorder.ts'
import type { UsageRecord } from '../contracts/usage-record.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import type { LineChannel } from './line-channel.ts'
import { HAS_FAILED, readLine, type SettledStates, WAS_SENT } from './messages.ts'

export type RecorderLinkOptions = {
  readonly channel: Pick<LineChannel, 'ask' | 'answered'>
  /** False: the operator runs without a ledger, and nothing is waited for. */
  readonly ledger: () => boolean
  /** As the owner told last. */
  readonly healthy: () => boolean
  readonly onCommitted: (requestId: string) => void
  readonly onStates: (...settled: SettledStates) => void
  /** For what the owner need not know: the access log. */
  readonly sink: Sink
}

export type WorkerRecorder = Recorder & {
  readonly onWritten: (text: string) => void
  readonly onUnwritten: (text: string) => void
  /** Resolves when every record so far has been answered. */
  readonly idle: () => Promise<void>
}

type Waiting = {
  readonly requestId: string
  readonly resolve: () => void
  readonly reject: (error: GatewayError) => void
}

const NOT_WAITED_FOR = Promise.resolve()

/** Hands each record to the owner, which tells all sinks and the ledger. Resolves when the ledger has committed it. */
export function createWorkerRecorder(options: RecorderLinkOptions): WorkerRecorder {
  const { channel, ledger, healthy, onCommitted, onStates, sink } = options
  const waiting = new Map<number, Waiting>()
  let lastNumber = 0
  let tellIdle: (() => void) | null = null

  function take(number: number): Waiting | undefined {
    const one = waiting.get(number)
    waiting.delete(number)
    if (waiting.size === 0) tellIdle?.()
    return one
  }

  return {
    record(record: UsageRecord) {
      lastNumber += 1
      const number = lastNumber
      sink(record)
      channel.ask(`D${number}\t${recordText(record)}`)
      const written = new Promise<void>((resolve, reject) => {
        waiting.set(number, { requestId: record.requestId, resolve, reject })
      })
      if (ledger()) return written
      written.catch(() => {})
      return NOT_WAITED_FOR
    },
    healthy,
    onWritten(text) {
      const [numbers, ...settled] =
        readLine<readonly [records: readonly number[], ...SettledStates[]]>(text)
      channel.answered(numbers.length)
      for (const one of settled) onStates(...one)
      for (const number of numbers) {
        const one = take(number)
        if (one === undefined) continue
        onCommitted(one.requestId)
        one.resolve()
      }
    },
    onUnwritten(text) {
      const [number, message, ...settled] =
        readLine<readonly [record: number, message: string, ...SettledStates[]]>(text)
      channel.answered(1)
      for (const one of settled) onStates(...one)
      take(number)?.reject(new GatewayError('ledger_unavailable', message))
    },
    idle() {
      if (waiting.size === 0) return Promise.resolve()
      return new Promise((resolve) => {
        tellIdle = resolve
      })
    },
  }
}

function recordText(record: UsageRecord): string {
  const flags =
    (record.attempts.length > 0 ? WAS_SENT : 0) | (record.errorClass === null ? 0 : HAS_FAILED)
  return `${flags}\t${JSON.stringify(factsOf(record))}\t${JSON.stringify(record)}`
}

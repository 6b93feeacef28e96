import type { Recorder } from '../contracts/recorder.ts'
import type { UsageRecord } from '../contracts/usage-record.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import { readLine, type States } from './messages.ts'

export type RecorderLinkOptions = {
  readonly send: (line: string) => void
  /** False: the operator runs without a ledger, and nothing is waited for. */
  readonly ledger: () => boolean
  /** As the owner told last. */
  readonly healthy: () => boolean
  readonly onCommitted: (requestId: string) => void
  readonly onStates: (reservation: number, states: States) => void
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

type Settled = readonly [reservation: number, states: States]

const NOT_WAITED_FOR = Promise.resolve()

/** Hands each record to the owner, which tells all sinks and the ledger. Resolves when the ledger has committed it. */
export function createWorkerRecorder(options: RecorderLinkOptions): WorkerRecorder {
  const { send, ledger, healthy, onCommitted, onStates } = options
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
      send(`D${number}\t${JSON.stringify(record)}`)
      const written = new Promise<void>((resolve, reject) => {
        waiting.set(number, { requestId: record.requestId, resolve, reject })
      })
      if (ledger()) return written
      written.catch(() => {})
      return NOT_WAITED_FOR
    },
    healthy,
    onWritten(text) {
      const [number, ...settled] = readLine<readonly [record: number, ...Settled[]]>(text)
      for (const [reservation, states] of settled) onStates(reservation, states)
      const one = take(number)
      if (one === undefined) return
      onCommitted(one.requestId)
      one.resolve()
    },
    onUnwritten(text) {
      const [number, message, ...settled] =
        readLine<readonly [record: number, message: string, ...Settled[]]>(text)
      for (const [reservation, states] of settled) onStates(reservation, states)
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

import type { Duplex } from 'node:stream'
import type { DurableCharges } from '../contracts/durable-charge.ts'
import type { Gate } from '../contracts/limit.ts'
import type { RecordIntake } from '../contracts/recorder.ts'
import type { KnownLimits } from './charge-names.ts'
import { GateDesk } from './gate-desk.ts'
import { type LineChannel, lineChannel } from './line-channel.ts'
import {
  type Change,
  type OwnerNews,
  readLine,
  type WorkerNews,
  type WorkerReport,
} from './messages.ts'
import type { Rooms } from './rooms.ts'
import { createRecordDesk } from './record-desk.ts'
import { answerStoreCall, type SharedStore } from './store-calls.ts'

export type WorkerLinkOptions = {
  readonly stream: Duplex
  readonly gate: Gate
  readonly durable: DurableCharges
  readonly limits: KnownLimits
  readonly rooms: Rooms | null
  readonly intake: RecordIntake
  readonly store: SharedStore
  /** The ledger did not take a record. */
  readonly onUnwritten: () => void
  readonly onLogLine: (line: string) => void
  readonly onNews: (news: WorkerNews) => void
  /** Everything that the worker has sent was read, and nothing comes any more. */
  readonly onClose: () => void
}

const NO_REPORT: WorkerReport = { inFlight: 0, cpuSeconds: 0, residentBytes: 0, targets: [] }

/** The owner's end of the channel to one worker. */
export class WorkerLink {
  readonly desk: GateDesk
  /** As it was told last. */
  report: WorkerReport = NO_REPORT
  /** Requests that have ended. */
  records = 0
  readonly #channel: LineChannel
  readonly #options: WorkerLinkOptions
  readonly #record: (text: string) => void
  #lastChange = 0
  #applied = 0
  #closed = false
  #waiting: { readonly until: () => boolean; readonly resolve: () => void }[] = []
  #reports = 0
  #reported = 0

  constructor(options: WorkerLinkOptions) {
    this.#options = options
    const { stream, gate, durable, limits, rooms, intake, onUnwritten } = options
    this.#channel = lineChannel(stream, {
      onLine: (line) => this.#take(line),
      onClose: () => this.#close(),
    })
    const send = (line: string): void => this.#channel.send(line)
    const desk = new GateDesk({ gate, durable, limits, rooms, send })
    this.desk = desk
    this.#record = createRecordDesk({
      intake,
      takeSettled: () => desk.takeSettled(),
      chargesOf: (settled) => desk.chargesOf(settled),
      statesText: (settled) => desk.settledText(settled),
      send,
      onUnwritten,
    })
  }

  tell(news: OwnerNews): void {
    this.#channel.send(`J${JSON.stringify(news)}`)
  }

  change(change: Change): void {
    this.#lastChange += 1
    this.tell({ kind: 'change', number: this.#lastChange, change })
  }

  /** Resolves when the worker uses every change so far, or is gone. */
  applied(): Promise<void> {
    const number = this.#lastChange
    return this.#until(() => this.#applied >= number)
  }

  /** Resolves when `report` is new, or the worker is gone. */
  refresh(): Promise<void> {
    this.#reports += 1
    const number = this.#reports
    this.tell({ kind: 'report' })
    return this.#until(() => this.#reported >= number)
  }

  /** The worker ends when nothing comes from here any more. */
  end(): void {
    this.#channel.end()
  }

  #take(line: string): void {
    const kind = line.charAt(0)
    const text = line.slice(1)
    if (kind === 'D') {
      this.records += 1
      return this.#record(text)
    }
    if (this.desk.take(kind, text)) return
    if (kind === 'Q') {
      const { store } = this.#options
      return void answerStoreCall(store, text, (answer) => this.#channel.send(answer))
    }
    if (kind === 'G') return this.#options.onLogLine(`${text}\n`)
    const news = readLine<WorkerNews>(text)
    if (news.kind === 'applied') {
      this.#applied = news.number
      return this.#look()
    }
    if (news.kind === 'report') {
      this.report = news
      if (news.isAnswer) this.#reported += 1
      return this.#look()
    }
    this.#options.onNews(news)
  }

  #close(): void {
    this.#closed = true
    this.#look()
    this.#options.onClose()
  }

  #until(until: () => boolean): Promise<void> {
    if (this.#closed || until()) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiting.push({ until, resolve })
    })
  }

  #look(): void {
    const ready = this.#waiting.filter(({ until }) => this.#closed || until())
    if (ready.length === 0) return
    this.#waiting = this.#waiting.filter((one) => !ready.includes(one))
    for (const { resolve } of ready) resolve()
  }
}

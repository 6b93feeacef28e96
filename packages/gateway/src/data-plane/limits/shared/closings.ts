import type { ScriptConnection } from '../../../contracts/script-server.ts'
import type { Use } from './reports.ts'
import { type Answer, listOf } from './script-calls.ts'
import type { SharedGateParts } from './gate-parts.ts'
import type { SharedHold } from './shared-reservation.ts'

/** The end of one reservation, as it has to be told to the server. */
export type Closing = {
  readonly name: string
  readonly kind: 'settle' | 'release'
  readonly holds: readonly SharedHold[]
  /** Per hold. */
  readonly used: readonly number[]
  /** `isKnown`: the server had such a reservation, or had ended it for this process. */
  readonly onAnswer?: (isKnown: boolean) => void
  /** Nobody has heard yet that the server took the reservation. */
  readonly isUntaken?: () => boolean
}

/** Beyond, a reservation is left to its end on the server, where it is charged in full: nothing is forgotten. */
const MOST_WAITING = 100_000

/** A record is committed before. Should this process be killed, the next one can take back what no record says. */
const REMEMBERED_MS = 3000

/** Settlements and releases: told at once, kept until they are answered, told again after a reconnection. */
export class Closings {
  readonly #parts: SharedGateParts
  readonly #waiting = new Map<string, Closing>()
  readonly #underWay = new Set<Promise<void>>()
  /** Ends that were answered, the oldest first. Monotonic time. */
  readonly #answered: { readonly name: string; readonly atMs: number }[] = []

  constructor(parts: SharedGateParts) {
    this.#parts = parts
  }

  add(connection: ScriptConnection | null, closing: Closing): void {
    if (this.#waiting.size >= MOST_WAITING) {
      this.#parts.open.delete(closing.name)
      return
    }
    this.#waiting.set(closing.name, closing)
    if (connection !== null) this.#tell(connection, closing)
  }

  /** What is held by reservations that the server may not have. */
  *spent(): Iterable<Use> {
    for (const { holds, isUntaken } of this.#waiting.values()) {
      if (isUntaken?.() !== true) continue
      for (const { charge, amount } of holds) yield { charge, used: amount }
    }
  }

  names(): readonly string[] {
    return [...this.#waiting.keys()]
  }

  isWaiting(name: string): boolean {
    return this.#waiting.has(name)
  }

  /** The ends of reservations that the server may not have. Resolves when it has heard of them; rejects with `ServerAway`. */
  async tellUntaken(connection: ScriptConnection): Promise<void> {
    const untaken = [...this.#waiting.values()].filter(({ isUntaken }) => isUntaken?.() === true)
    await Promise.all(untaken.map((closing) => this.#close(connection, closing)))
  }

  retry(connection: ScriptConnection): void {
    for (const closing of this.#waiting.values()) this.#tell(connection, closing)
  }

  /** Waits for this too when asked to be idle. Its failure is a lost connection, which is told elsewhere. */
  track(work: Promise<unknown>): void {
    const done = ended(work).finally(() => this.#underWay.delete(done))
    this.#underWay.add(done)
  }

  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }

  #tell(connection: ScriptConnection, closing: Closing): void {
    this.track(this.#close(connection, closing))
  }

  async #close(connection: ScriptConnection, closing: Closing): Promise<void> {
    const { name, kind, holds, used } = closing
    const args = [name, kind, this.#known(), this.#parts.options.ledger ?? '']
    for (const [index, { charge, counted, used: said }] of holds.entries()) {
      args.push(String(used[index] ?? 0), charge.limit.alerts.join(','), charge.counterKey)
      const inRecord = kind === 'settle' && counted !== undefined && said !== undefined
      args.push(inRecord ? `${counted.at} ${counted.era}` : '')
    }
    const names = holds.map(({ charge }) => charge.counterKey)
    const answer = await this.#parts.call(connection, 'close', names, args)
    this.#waiting.delete(name)
    this.#answered.push({ name, atMs: this.#parts.options.clock.monotonicMs() })
    this.#parts.open.delete(name)
    closing.onAnswer?.(answer.code !== 0)
    this.#learn(closing, answer)
  }

  /** Ends that the server need not remember any more, by spaces. */
  #known(): string {
    const beforeMs = this.#parts.options.clock.monotonicMs() - REMEMBERED_MS
    const later = this.#answered.findIndex(({ atMs }) => atMs > beforeMs)
    const known = this.#answered.splice(0, later === -1 ? this.#answered.length : later)
    return known.map(({ name }) => name).join(' ')
  }

  #learn({ holds }: Closing, answer: Answer): void {
    const { seen, dirty, options } = this.#parts
    const views = answer.list(2).map(listOf)
    for (const [index, { charge }] of holds.entries()) {
      const view = views[index] ?? []
      if (view.length === 0) continue
      const counter = seen.of(charge)
      counter.learn(view, answer.nowMs)
      if (counter.durable) dirty.add(charge.counterKey)
      for (const fraction of listOf(view[4])) {
        const { used, amount } = counter
        const { limit, value } = charge
        options.onAlert({ limit, value, fraction: Number(fraction), used, amount })
      }
    }
  }
}

async function ended(work: Promise<unknown>): Promise<void> {
  try {
    await work
  } catch {
    // It is told again on the next connection.
  }
}

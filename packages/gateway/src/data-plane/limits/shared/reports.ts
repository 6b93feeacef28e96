import type { LimitCharge } from '../../../contracts/limit.ts'
import type { ScriptConnection } from '../../../contracts/script-server.ts'
import type { SharedGateParts } from './gate-parts.ts'
import { LEASE_MS } from './housekeeping.ts'
import { batches, keysOf, perCounter } from './script-calls.ts'

/** What to add to a shared counter, and by how much this process's lease of it changes. */
export type ReportEntry = {
  readonly charge: LimitCharge
  readonly used: number
  readonly change: number
}

/**
 * What was admitted without the server, told to it in numbered reports. A report is told again until it is answered, and
 * the server counts each number once. Calls are made at once and run in order, so that a report is counted before the
 * next request.
 */
export class Reports {
  readonly #parts: SharedGateParts
  readonly #waiting = new Map<number, readonly ReportEntry[]>()
  readonly #underWay = new Set<Promise<void>>()
  #lastNumber = 0

  constructor(parts: SharedGateParts) {
    this.#parts = parts
  }

  add(connection: ScriptConnection | null, entries: readonly ReportEntry[]): void {
    const telling = entries.filter(({ used, change }) => used !== 0 || change !== 0)
    for (const batch of batches(telling)) {
      this.#lastNumber += 1
      this.#waiting.set(this.#lastNumber, batch)
      if (connection !== null) this.#send(connection, this.#lastNumber, batch)
    }
  }

  retry(connection: ScriptConnection): void {
    for (const [number, entries] of this.#waiting) this.#send(connection, number, entries)
  }

  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }

  /** Says what this process holds of each counter, whatever the server thought before. */
  async sync(
    connection: ScriptConnection,
    leases: readonly { readonly charge: LimitCharge; readonly lease: number }[],
  ): Promise<void> {
    await Promise.all(
      batches(leases).map(async (batch) => {
        const charges = batch.map(({ charge }) => charge)
        const args = perCounter(charges, (_, index) => [batch[index]?.lease ?? 0])
        await this.#parts.call(connection, 'sync', keysOf(charges), [String(LEASE_MS), ...args])
      }),
    )
  }

  #send(connection: ScriptConnection, number: number, entries: readonly ReportEntry[]): void {
    const sent = this.#tell(connection, number, entries).catch(() => {
      // The connection is lost; it is told again on the next.
    })
    this.#underWay.add(sent)
    void sent.then(() => this.#underWay.delete(sent))
  }

  async #tell(
    connection: ScriptConnection,
    number: number,
    entries: readonly ReportEntry[],
  ): Promise<void> {
    const charges = entries.map(({ charge }) => charge)
    const args = perCounter(charges, (_, index) => {
      const { used = 0, change = 0 } = entries[index] ?? {}
      return [used, change]
    })
    const [first = number] = this.#waiting.keys()
    const answer = await this.#parts.call(connection, 'report', keysOf(charges), [
      String(number),
      String(first),
      String(LEASE_MS),
      ...args,
    ])
    // The one before it was lost: all are told again on the next connection.
    if (answer.code === 2) return connection.fail('A report was lost')
    this.#waiting.delete(number)
    for (const { counterKey } of charges) this.#parts.dirty.add(counterKey)
  }
}

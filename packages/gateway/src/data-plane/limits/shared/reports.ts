import type { LimitCharge } from '../../../contracts/limit.ts'
import type { ScriptConnection } from '../../../contracts/script-server.ts'
import type { SharedGateParts } from './gate-parts.ts'
import { LEASE_MS } from './housekeeping.ts'
import { batches, keysOf, listOf, numberOf, perCounter } from './script-calls.ts'

/** What was used of a counter without the server. */
export type Use = { readonly charge: LimitCharge; readonly used: number }

/**
 * The server counts one use of a counter under one name once. `spent`: how much of the lease is over when it has been
 * counted; absent: the use.
 */
export type NamedUse = Use & { readonly name: string; readonly spent?: number }

/**
 * What was admitted without the server, told to it under a name: again until it is answered, and by the next start of this
 * process if this one is killed before. Calls are made at once and run in order, so that it is counted before the next
 * request.
 */
export class Reports {
  readonly #parts: SharedGateParts
  readonly #waiting = new Set<NamedUse>()
  readonly #underWay = new Set<Promise<void>>()

  constructor(parts: SharedGateParts) {
    this.#parts = parts
  }

  /** `fromLease`: the server has what was spent as a part of the lease. */
  add(
    connection: ScriptConnection | null,
    uses: readonly NamedUse[],
    from: { readonly fromLease: boolean },
  ): void {
    const telling = uses.filter(({ used }) => used > 0)
    for (const use of telling) {
      this.#waiting.add(use)
      this.#parts.known.owe(use)
    }
    if (connection !== null) this.#send(connection, telling, from)
  }

  /** All that is waiting, and was synced as a part of the lease. Resolves when it has been counted; rejects with `ServerAway`. */
  async tellSynced(connection: ScriptConnection): Promise<void> {
    const all = batches([...this.#waiting])
    await Promise.all(all.map((batch) => this.#tell(connection, batch, { fromLease: true })))
  }

  /** All that is waiting. */
  retry(connection: ScriptConnection): void {
    this.#send(connection, [...this.#waiting], { fromLease: false })
  }

  isEmpty(): boolean {
    return this.#waiting.size === 0
  }

  /** What is not counted yet. */
  *spent(): Iterable<Use> {
    for (const use of this.#waiting) yield { charge: use.charge, used: spentBy(use) }
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

  #send(
    connection: ScriptConnection,
    uses: readonly NamedUse[],
    from: { readonly fromLease: boolean },
  ): void {
    for (const batch of batches(uses)) {
      const sent = this.#tell(connection, batch, from).catch(() => {
        // The connection is lost; it is told again on the next.
      })
      this.#underWay.add(sent)
      void sent.then(() => this.#underWay.delete(sent))
    }
  }

  async #tell(
    connection: ScriptConnection,
    uses: readonly NamedUse[],
    { fromLease }: { readonly fromLease: boolean },
  ): Promise<void> {
    const { known, seen, dirty, call } = this.#parts
    const charges = uses.map(({ charge }) => charge)
    const args = perCounter(charges, (charge, index) => {
      const use = uses[index] ?? { charge, name: '', used: 0 }
      return [use.name, use.used, fromLease ? spentBy(use) : 0]
    })
    const answer = await call(connection, 'report', keysOf(charges), args)
    for (const [index, use] of uses.entries()) {
      this.#waiting.delete(use)
      known.owe({ ...use, used: 0 })
      // Another server may ask for it before the state is fetched.
      const view = listOf(answer.list(2)[index])
      const counter = seen.of(use.charge)
      counter.learn(view, answer.nowMs)
      counter.durable = numberOf(view[4]) === 1
      if (counter.durable) dirty.add(use.charge.counterKey)
    }
  }
}

function spentBy({ used, spent }: NamedUse): number {
  return spent ?? used
}

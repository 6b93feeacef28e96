import type { LimitCharge } from '../../../contracts/limit.ts'
import type { ScriptConnection } from '../../../contracts/script-server.ts'
import type { Adoptions } from './adoptions.ts'
import type { Attachment } from './attachment.ts'
import type { Closings } from './closings.ts'
import type { SharedGateParts } from './gate-parts.ts'
import type { OutageGate } from './outage-gate.ts'
import type { Reports } from './reports.ts'

export type Tellers = {
  readonly reports: Reports
  readonly closings: Closings
  readonly adoptions: Adoptions
  readonly attachment: Attachment
}

/** What the server has to have of a lease. */
export type WholeLease = { readonly charge: LimitCharge; readonly lease: number }

/**
 * The end of an outage: what was spent alone is brought, and waited for. Until the server has all of it, it is a part of the
 * lease there, which the next request could take; and what leaves the lease first is taken by others.
 */
export class SettleUp {
  readonly #parts: SharedGateParts
  readonly #tellers: Tellers

  constructor(parts: SharedGateParts, tellers: Tellers) {
    this.#parts = parts
    this.#tellers = tellers
  }

  /** `fresh`: of that generation nothing is leased. Rejects with `ServerAway`; then it is told on the next connection. */
  async tell(
    connection: ScriptConnection,
    { outage, fresh }: { readonly outage: OutageGate | null; readonly fresh: boolean },
  ): Promise<void> {
    const { reports, closings, adoptions, attachment } = this.#tellers
    if (outage !== null) this.#takeOver(outage)
    for (const counter of this.#parts.seen.all()) {
      if (fresh) counter.lease = 0
      counter.giving = 0
    }
    await Promise.all([reports.sync(connection, this.leases()), closings.tellUntaken(connection)])
    await Promise.all([reports.tellSynced(connection), adoptions.tell(connection, attachment)])
  }

  /** What may be spent, and what was and is not told. */
  leases(): readonly WholeLease[] {
    const { reports, closings, adoptions } = this.#tellers
    const spent = new Map<string, number>()
    for (const part of [reports, adoptions, closings]) {
      for (const { charge, used } of part.spent()) {
        spent.set(charge.counterKey, (spent.get(charge.counterKey) ?? 0) + used)
      }
    }
    return [...this.#parts.seen.all()].flatMap(({ charge, beatAtMs, lease }) => {
      const whole = lease + (spent.get(charge.counterKey) ?? 0)
      return beatAtMs > 0 || whole > 0 ? [{ charge, lease: whole }] : []
    })
  }

  #takeOver(outage: OutageGate): void {
    const { reports, adoptions } = this.#tellers
    for (const { charge, spent } of outage.used()) {
      const counter = this.#parts.seen.of(charge)
      counter.lease = Math.max(0, counter.lease - spent)
    }
    adoptions.adopt(outage)
    reports.add(null, outage.namedUses(), { fromLease: true })
  }
}

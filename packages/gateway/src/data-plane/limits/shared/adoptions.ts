import type { Demand, Reservation } from '../../../contracts/limit.ts'
import type { ScriptConnection } from '../../../contracts/script-server.ts'
import type { Attachment } from './attachment.ts'
import type { Closing } from './closings.ts'
import type { SharedGateParts } from './gate-parts.ts'
import type { OutageGate, OutageReservation } from './outage-gate.ts'
import type { NamedUse, Use } from './reports.ts'
import { SharedReservation } from './shared-reservation.ts'

const NO_DEMAND: Demand = {
  inputTokens: 0,
  outputTokens: 0,
  fixedCostPicoUsd: null,
  outputPicoUsd: 0,
}

/**
 * What calls that were admitted without the server still hold becomes a reservation like any other when it is back: as a
 * part of the lease it could be spent once more.
 */
export class Adoptions {
  readonly #parts: SharedGateParts
  readonly #byReservation = new Map<Reservation, SharedReservation>()

  constructor(parts: SharedGateParts) {
    this.#parts = parts
  }

  /** All that is open there. The server is to be told with `tell`. */
  adopt(outage: OutageGate): void {
    const { open, options } = this.#parts
    for (const reservation of outage.open()) {
      const { id, name, outputTokens, shrunk } = reservation
      const grant = { id, name, outputTokens, heldTokens: outputTokens, shrunk, excused: [] }
      const holds = outage
        .heldBy(reservation)
        .map(({ charge, amount }) => ({ charge, amount, leased: false }))
      const nowMs = options.clock.monotonicMs()
      const adopted = new SharedReservation({ ...grant, demand: NO_DEMAND }, holds, nowMs)
      adopted.adopted = true
      adopted.taken = false
      open.set(name, adopted)
      this.#byReservation.set(reservation, adopted)
    }
  }

  /** What their calls hold. */
  *spent(): Iterable<Use> {
    for (const { holds } of this.#byReservation.values()) {
      for (const { charge, amount } of holds) yield { charge, used: amount }
    }
  }

  /** It comes out of the lease when the server has it, as a part of which it was synced. */
  async tell(connection: ScriptConnection, attachment: Attachment): Promise<void> {
    const all = [...this.#byReservation.values()]
    await Promise.all(
      all.map((adopted) => attachment.reopenOne(connection, adopted, { fromLease: true })),
    )
  }

  /** For its end; null: it was made in the outage that lasts. */
  takeOut(reservation: OutageReservation): SharedReservation | null {
    const adopted = this.#byReservation.get(reservation) ?? null
    this.#byReservation.delete(reservation)
    return adopted
  }
}

/**
 * The call that would have the server take `own` may have been lost, and its end come before the next try. Until the end
 * is answered its use is owed: should this process be killed, nobody else knows of it.
 */
export function orReported(closing: Closing, own: SharedReservation, owing: Owing): Closing {
  const { holds, used } = closing
  const { name } = own
  const uses = holds.map(({ charge, amount: spent }, index) => {
    return { charge, name, spent, used: used[index] ?? 0 }
  })
  owing.owe(uses)
  return {
    ...closing,
    isUntaken: () => !own.taken,
    onAnswer(isKnown) {
      if (isKnown || own.taken) owing.owe(uses.map((use) => ({ ...use, used: 0 })))
      else owing.report(uses)
    },
  }
}

export type Owing = {
  readonly owe: (uses: readonly NamedUse[]) => void
  readonly report: (uses: readonly NamedUse[]) => void
}

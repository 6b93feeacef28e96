import type {
  DurableCharge,
  DurableCharges,
  HeldCharge,
} from '../../../contracts/durable-charge.ts'
import type { LimitCharge, Reservation } from '../../../contracts/limit.ts'
import type { ScriptConnection } from '../../../contracts/script-server.ts'
import { chargeOf } from '../held-charges.ts'
import { newMeter } from '../counter.ts'
import { HOUR_MS } from '../counter-state.ts'
import type { Closings } from './closings.ts'
import type { SharedGateParts } from './gate-parts.ts'
import type { Predecessors } from './predecessors.ts'
import { OutageReservation } from './outage-gate.ts'
import type { Reports } from './reports.ts'
import { type SharedHold, SharedReservation } from './shared-reservation.ts'

/** No generation: whether the server ever heard of a reservation that was made without it is not known. */
const MADE_ALONE = 'alone'
/** A server that is away must not keep a start waiting. */
const MOST_WAIT_MS = 2000

export type OpenChargesParts = SharedGateParts & {
  readonly closings: Closings
  readonly reports: Reports
  readonly live: () => ScriptConnection | null
  readonly predecessors: Predecessors
  /** Of what no reservation names. */
  readonly nextName: () => string
}

/**
 * What calls under way hold of shared counters, for the journal of open calls. The next process ends the reservations of
 * the former at what they hold, so that nothing waits for their leases to end. The server counts each end once.
 */
export class OpenCharges implements DurableCharges {
  readonly #parts: OpenChargesParts

  constructor(parts: OpenChargesParts) {
    this.#parts = parts
  }

  /** All counters of a reservation that charges a durable one: its end must name them all. */
  held(reservation: Reservation): readonly HeldCharge[] {
    const held = this.#heldBy(reservation)
    return held.some(({ algorithm }) => isDurable(algorithm)) ? held : []
  }

  #heldBy(reservation: Reservation): readonly HeldCharge[] {
    if (reservation instanceof OutageReservation) {
      return named(`${MADE_ALONE} ${reservation.name}`, reservation.gate.heldBy(reservation))
    }
    if (!(reservation instanceof SharedReservation)) return []
    return named(`${this.#parts.generation()} ${reservation.name}`, reservation.holds)
  }

  /** What the server is told that the record says. What was admitted without it is counted there without a record. */
  settled(reservation: Reservation): readonly DurableCharge[] {
    if (!(reservation instanceof SharedReservation)) return []
    return reservation.holds.flatMap(({ charge, counted, used = 0 }) =>
      counted === undefined || used === 0
        ? []
        : [{ counter: charge.counterKey, amount: used, ...counted }],
    )
  }

  charge(all: readonly HeldCharge[]): readonly DurableCharge[] {
    for (const [reservation, own] of Map.groupBy(all, (one) => one.reservation)) {
      if (reservation === undefined) this.#report(this.#parts.nextName(), own)
      else this.#end(reservation, own)
    }
    return []
  }

  recorded(all: readonly HeldCharge[], charges: readonly DurableCharge[]): void {
    const { closings, live } = this.#parts
    const said = new Map(charges.map((one) => [one.counter, one]))
    for (const [reservation, own] of Map.groupBy(all, (one) => one.reservation)) {
      const [known, name] = (reservation ?? '').split(' ')
      // What was admitted alone is in no record's charges: it is left to its end there.
      if (name === undefined || known === MADE_ALONE) continue
      const holds = own.map((one): SharedHold => {
        const charge = said.get(one.counter)
        if (charge === undefined) return holdOf(one)
        const { at, era, amount: used } = charge
        return Object.assign(holdOf(one), { counted: { at, era }, used })
      })
      const used = holds.map((hold) => hold.used ?? unsaidUse(hold))
      closings.add(live(), { name, kind: 'settle', holds, used })
    }
  }

  unsent(all: readonly HeldCharge[]): void {
    const { closings, live } = this.#parts
    for (const [reservation, own] of Map.groupBy(all, (one) => one.reservation)) {
      const name = nameIn(reservation)
      // Of what was admitted alone, the server may have heard since.
      if (name === undefined) continue
      const holds = own.map(holdOf)
      closings.add(live(), { name, kind: 'release', holds, used: own.map(() => 0) })
    }
  }

  async told(): Promise<void> {
    const { closings, reports, predecessors } = this.#parts
    predecessors.known()
    const tooLong = Promise.withResolvers<void>()
    const timer = setTimeout(tooLong.resolve, MOST_WAIT_MS)
    // What the server did not know of is reported then.
    const told = closings.idle().then(() => reports.idle())
    await Promise.race([told, tooLong.promise])
    clearTimeout(timer)
  }

  #end(reservation: string, own: readonly HeldCharge[]): void {
    const { closings, live, generation } = this.#parts
    const [known = '', name = ''] = reservation.split(' ')
    const holds = own.map(holdOf)
    const used = own.map(({ amount }) => amount)
    closings.add(live(), {
      name,
      kind: 'settle',
      holds,
      used,
      // The same server has ended it before, when its lease was over. Another one may never have heard of it.
      onAnswer: (isKnown) => {
        if (!isKnown && known !== generation()) this.#report(name, own)
      },
    })
  }

  #report(name: string, own: readonly HeldCharge[]): void {
    const { reports, live } = this.#parts
    const durable = own.filter(({ algorithm }) => isDurable(algorithm))
    reports.add(
      live(),
      durable.map((one) => ({ charge: chargeOf(one), name, used: one.amount })),
      { fromLease: false },
    )
  }
}

/** As the process that is gone held it. */
function holdOf(held: HeldCharge): SharedHold {
  return { charge: chargeOf(held), amount: held.amount, leased: false }
}

/** Of `HeldCharge.reservation`, whichever server it was made with. */
export function nameIn(reservation: string | undefined): string | undefined {
  return reservation?.split(' ')[1]
}

function named(
  reservation: string,
  holds: readonly { readonly charge: LimitCharge; readonly amount: number }[],
): readonly HeldCharge[] {
  return holds.map(({ charge, amount }) => ({ ...heldCharge(charge, amount), reservation }))
}

function heldCharge({ limit, value, counterKey }: LimitCharge, amount: number): HeldCharge {
  const { id, scope, unit, algorithm } = limit
  return { counter: counterKey, amount, at: 0, era: 0, id, scope, value, unit, algorithm }
}

/** Of a counter that the record does not name: nothing, or of those that records never name, all that was held. */
function unsaidUse({ charge: { limit }, amount }: SharedHold): number {
  return isDurable(limit.algorithm) && limit.algorithm.kind !== 'bucket' ? 0 : amount
}

function isDurable(algorithm: LimitCharge['limit']['algorithm']): boolean {
  return newMeter(algorithm, 0).windowMs() >= HOUR_MS
}

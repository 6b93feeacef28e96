import { type ScriptConnection, ServerAway } from '../../../contracts/script-server.ts'
import type { SharedGateParts } from './gate-parts.ts'
import type { Patience } from './patience.ts'
import { type Answer, demandArguments, listOf, numberOf } from './script-calls.ts'
import type { SharedHold, SharedReservation } from './shared-reservation.ts'

/**
 * How often it is asked again while other processes give back what they lease, and how long is waited each time. Together
 * a little more than one of their turns: the stream goes on meanwhile.
 */
const TRIES = 6

/** More of the output of a stream that holds only part of it. */
export class Extensions {
  readonly #parts: SharedGateParts
  readonly #patience: Patience

  constructor(parts: SharedGateParts, patience: Patience) {
    this.#parts = parts
    this.#patience = patience
  }

  /** Resolves to the output tokens that are held; as many as before when no more can be had, or the server is away. */
  async extend(
    connection: ScriptConnection,
    reservation: SharedReservation,
    wanted: number,
  ): Promise<number> {
    try {
      let patient = true
      for (let tries = 1; reservation.open; tries++) {
        const answer = await this.#ask(connection, reservation, { wanted, patient })
        if (answer.code !== 2) return this.#learn(reservation, answer)
        patient = await this.#patience.wait(answer, { isLast: tries > TRIES })
      }
    } catch (thrown) {
      // Whether it was extended is unknown; the server knows when the reservation ends.
      if (!(thrown instanceof ServerAway)) throw thrown
    }
    return reservation.heldTokens
  }

  #ask(
    connection: ScriptConnection,
    { name, demand, outputTokens, holds }: SharedReservation,
    { wanted, patient }: { readonly wanted: number; readonly patient: boolean },
  ): Promise<Answer> {
    const args = [
      name,
      String(wanted),
      patient ? '1' : '0',
      ...demandArguments(demand, outputTokens),
    ]
    const leased = leasedOf(holds)
    for (const { charge } of leased) {
      args.push(charge.limit.mode === 'enforce' ? '1' : '0', charge.counterKey)
    }
    const keys = leased.map(({ charge }) => charge.counterKey)
    return this.#parts.call(connection, 'extend', keys, args)
  }

  #learn(reservation: SharedReservation, answer: Answer): number {
    if (answer.code !== 1) return reservation.heldTokens
    const { seen, dirty } = this.#parts
    const views = answer.list(3).map(listOf)
    for (const [index, hold] of leasedOf(reservation.holds).entries()) {
      const view = views[index]
      if (view === undefined) continue
      const counter = seen.of(hold.charge)
      counter.learn(view, answer.nowMs)
      counter.lease = Math.max(0, counter.lease - numberOf(view[4]))
      if (counter.durable) dirty.add(hold.charge.counterKey)
      hold.amount = numberOf(view[5])
    }
    reservation.heldTokens = Math.max(reservation.heldTokens, answer.number(2))
    return reservation.heldTokens
  }
}

function leasedOf(holds: readonly SharedHold[]): readonly SharedHold[] {
  return holds.filter(({ leased }) => leased)
}

import { randomBytes } from 'node:crypto'
import type { LimitCharge } from '../../../contracts/limit.ts'
import { type ScriptConnection, ServerAway } from '../../../contracts/script-server.ts'
import type { LostCounter } from './known-states.ts'
import { batches, keysOf, listOf, perCounter } from './script-calls.ts'
import type { SharedReservation } from './shared-reservation.ts'
import { pauseFor, type SharedGateParts } from './gate-parts.ts'

const READY_PAUSE_MS = 50

/**
 * The beginning of a connection. A server that restarted or took over from another may have lost what it was told: it
 * begins a new generation, and every process brings what it knows before the gate opens again.
 */
export class Attachment {
  /**
   * Whose counters have been brought all that this process knew. Set when it is done: a connection that breaks before
   * leaves the rest to the next one.
   */
  generation = ''
  /** Of this connection. */
  #attached = ''
  /** Of connections, so that what an earlier one sent late is told from this one's. */
  #number = 0
  readonly #parts: SharedGateParts

  constructor(parts: SharedGateParts) {
    this.#parts = parts
  }

  /** What every call says, so that it counts only where and while it should. */
  stamp(): string {
    return `${this.#attached}/${this.#number}`
  }

  /**
   * `fresh`: the leases of this process are not known there. `isEnding`: the end of a reservation is still to be told.
   * `syncLeases`: what is spent alone until the gate opens, and what was, comes out of the leases. So they are brought too.
   */
  async begin(
    connection: ScriptConnection,
    members: number,
    {
      isEnding,
      syncLeases,
    }: {
      readonly isEnding: (name: string) => boolean
      readonly syncLeases: () => Promise<void>
    },
  ): Promise<{ readonly fresh: boolean }> {
    this.#number += 1
    const proposed = randomBytes(9).toString('base64url')
    const answer = await this.#parts.call(
      connection,
      'attach',
      [],
      [connection.serverRun, proposed, String(members), String(this.#number)],
    )
    const generation = answer.text(2)
    this.#attached = generation
    const fresh = generation !== this.generation
    if (fresh) {
      await this.restore(connection)
      await this.#reopen(connection)
      await syncLeases()
      await this.#forgetEnded(connection, isEnding)
    }
    await this.#ready(connection)
    this.generation = generation
    return { fresh }
  }

  /** Tells the server every durable counter that it may have lost. */
  async restore(connection: ScriptConnection): Promise<void> {
    const { known, seen, time, dirty } = this.#parts
    const lost = known.lost(this.#attached, seen, time.nowMs())
    await this.#tell(connection, lost)
    for (const { charge } of lost) dirty.add(charge.counterKey)
  }

  /** One counter that is not there although it should be: evicted, or deleted by hand. */
  async restoreOne(connection: ScriptConnection, charge: LimitCharge | undefined): Promise<void> {
    if (charge === undefined) throw new TypeError('The script missed no counter.')
    const { known, seen, time, dirty } = this.#parts
    const counter = seen.of(charge)
    const lost = known.lostOne(counter, time.nowMs())
    counter.counted = false
    counter.lease = 0
    dirty.add(charge.counterKey)
    try {
      await this.#tell(connection, [lost])
    } catch (thrown) {
      // The next try meets the same fault and goes on without the server.
      if (!(thrown instanceof ServerAway)) throw thrown
    }
  }

  async #tell(connection: ScriptConnection, lost: readonly LostCounter[]): Promise<void> {
    for (const batch of batches(lost)) {
      const charges = batch.map(({ charge }) => charge)
      const savedAtMs = Math.min(...batch.map((one) => one.savedAtMs))
      const args = [
        String(savedAtMs),
        ...perCounter(charges, (_, index) => [batch[index]?.meter ?? '{}']),
      ]
      await this.#parts.call(connection, 'restore', keysOf(charges), args)
    }
  }

  async #reopen(connection: ScriptConnection): Promise<void> {
    for (const reservation of this.#parts.open.values())
      await this.reopenOne(connection, reservation, { fromLease: false })
  }

  /** Takes a reservation on the server that it does not know. It is taken once, however often it is told. */
  async reopenOne(
    connection: ScriptConnection,
    reservation: SharedReservation,
    { fromLease }: { readonly fromLease: boolean },
  ): Promise<void> {
    const { name, holds, heldTokens } = reservation
    const { options, call } = this.#parts
    const charges = holds.map(({ charge }) => charge)
    const args = [
      name,
      String(options.lifetimeMs()),
      String(heldTokens),
      reservation.adopted ? '1' : '0',
      ...perCounter(charges, (_, index) => [
        holds[index]?.amount ?? 0,
        holds[index]?.leased === true ? 1 : 0,
        fromLease ? (holds[index]?.amount ?? 0) : 0,
      ]),
    ]
    await call(connection, 'reopen', keysOf(charges), args)
    reservation.taken = true
  }

  /** A server that took over may not have heard of ends that the one before it had answered. */
  async #forgetEnded(
    connection: ScriptConnection,
    isEnding: (name: string) => boolean,
  ): Promise<void> {
    const { open, call } = this.#parts
    const answer = await call(connection, 'mine', [], [])
    for (const one of answer.list(2)) {
      const [name, ...counters] = listOf(one).map(String)
      if (name === undefined || open.has(name) || isEnding(name)) continue
      const args = counters.flatMap((counter) => ['0', '', counter, ''])
      await call(connection, 'close', counters, [name, 'forget', '', '', ...args])
    }
  }

  /** Until all processes have brought what they knew, or the server waits no longer for them. */
  async #ready(connection: ScriptConnection): Promise<void> {
    while ((await this.#parts.call(connection, 'ready', [], [])).code !== 1) {
      await pauseFor(this.#parts.options, READY_PAUSE_MS)
    }
  }
}

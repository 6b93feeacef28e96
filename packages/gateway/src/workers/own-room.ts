import type { HeldCharge } from '../contracts/durable-charge.ts'
import type { Demand, LimitCharge, LimitState } from '../contracts/limit.ts'
import { demandedAmount } from '../data-plane/limits/amounts.ts'

/** What was told longer ago is too old to reserve by: a quiet worker asks, so that what it tells is exact. */
const FRESH_MS = 250

type OwnRoom = {
  readonly number: number
  readonly charge: LimitCharge
  amount: number
  at: number
  /** Null: not a durable counter. */
  era: number | null
  untilMs: number
}

type Told = { readonly state: LimitState; readonly atMs: number }

export type TakenRoom = {
  readonly numbers: readonly number[]
  readonly states: readonly LimitState[]
  readonly held: readonly HeldCharge[]
}

/** The room that the owner has set aside for this worker, by counter. */
export class OwnRooms {
  readonly #rooms = new Map<string, OwnRoom>()
  readonly #byNumber = new Map<number, OwnRoom>()

  /** Null: there is not enough for all charges, or the owner decides more than whether they fit. */
  take(
    charges: readonly LimitCharge[],
    demand: Demand,
    { nowMs, toldOf }: { readonly nowMs: number; readonly toldOf: (key: string) => Told | null },
  ): TakenRoom | null {
    if (this.#rooms.size === 0) return null
    const own: OwnRoom[] = []
    const states: LimitState[] = []
    for (const charge of charges) {
      const room = this.#rooms.get(charge.counterKey)
      const told = toldOf(charge.counterKey)
      if (room === undefined || told === null || own.includes(room)) return null
      if (nowMs - told.atMs > FRESH_MS || nowMs >= room.untilMs) return null
      if (!isPlain(room, charge, demand)) return null
      const amount = demandedAmount(charge.limit.unit, demand, demand.outputTokens)
      if (amount > room.amount) return null
      own.push(room)
      if (charge.limit.mode === 'enforce') {
        states.push({ ...told.state, limit: charge.limit, reserved: told.state.reserved + amount })
      }
    }
    const held: HeldCharge[] = []
    for (const room of own) {
      const { limit, value, counterKey } = room.charge
      const amount = demandedAmount(limit.unit, demand, demand.outputTokens)
      room.amount -= amount
      if (room.era === null) continue
      const { id, scope, unit, algorithm } = limit
      const { at, era } = room
      held.push({ counter: counterKey, amount, at, era, id, scope, value, unit, algorithm })
    }
    return { numbers: own.map(({ number }) => number), states, held }
  }

  /** `era` -1: not a durable counter. `forMs`: how long the place in time holds; null: for ever. */
  add(
    charge: LimitCharge,
    [number, amount, at, era, forMs]: readonly [number, number, number, number, number | null],
    nowMs: number,
  ): void {
    let room = this.#byNumber.get(number)
    if (room === undefined) {
      room = { number, charge, amount: 0, at, era: null, untilMs: 0 }
      this.#byNumber.set(number, room)
    }
    this.#rooms.set(charge.counterKey, room)
    room.amount += amount
    room.at = at
    room.era = era === -1 ? null : era
    room.untilMs = forMs === null ? Infinity : nowMs + forMs
  }

  /** All that is left of it. */
  giveUp(number: number): number {
    const room = this.#byNumber.get(number)
    if (room === undefined) return 0
    const { amount } = room
    room.amount = 0
    return amount
  }

  forget(): void {
    this.#rooms.clear()
    this.#byNumber.clear()
  }
}

/** The whole worst case is held from the start, of the limit that the room was given for. */
function isPlain({ charge: known }: OwnRoom, { limit }: LimitCharge, demand: Demand): boolean {
  if (known.limit !== limit || limit.reserve === 'expected') return false
  return limit.reserve !== 'lease' || demand.mayLease !== true
}

import type { DurableCharge, DurableCharges, HeldCharge } from '../contracts/durable-charge.ts'
import type {
  Actual,
  Demand,
  LimitCharge,
  LimitState,
  Refusal,
  RequestGate,
  Reservation,
  ReserveResult,
} from '../contracts/limit.ts'
import { actualAmount, demandedAmount } from '../data-plane/limits/amounts.ts'
import { checkDemand } from '../data-plane/limits/memory-gate.ts'
import type { Clock } from '../lib/clock.ts'
import { ChargeNames } from './charge-names.ts'
import { OwnRooms, type TakenRoom } from './own-room.ts'
import { factsOf, heldOf, type OwnedFacts, refusalOf, reserveText, statesOf } from './gate-lines.ts'
import {
  type Holds,
  readLine,
  type RefusalNumbers,
  type ReservedLine,
  type States,
} from './messages.ts'

/** What was seen longer ago says nothing of how much room there is. */
const FITS_AGE_MS = 5000
const MOST_SEEN = 20_000
const NO_CHARGES: readonly DurableCharge[] = []

type Waiting = {
  readonly charges: readonly LimitCharge[]
  readonly demand: Demand
  readonly resolve: (result: ReserveResult) => void
  readonly reject: (error: Error) => void
}

type WaitingExtension = {
  readonly reservation: OwnedReservation
  readonly resolve: (held: number) => void
}

type Seen = { readonly state: LimitState; readonly atMs: number }

/** A reservation that the owner holds; what it told of it. */
export class OwnedReservation implements Reservation {
  readonly id: number
  readonly outputTokens: number
  readonly shrunk: boolean
  readonly excused: readonly Refusal[]
  readonly charges: readonly LimitCharge[]
  readonly demand: Demand
  heldTokens: number
  held: readonly HeldCharge[]
  states: readonly LimitState[]
  #open = true

  constructor(facts: OwnedFacts, { charges, demand }: Pick<Waiting, 'charges' | 'demand'>) {
    this.id = facts.id
    this.outputTokens = facts.outputTokens
    this.heldTokens = facts.heldTokens
    this.shrunk = facts.outputTokens < demand.outputTokens
    this.charges = charges
    this.demand = demand
    this.states = facts.states
    this.held = facts.held
    this.excused = facts.excused
  }

  /** True the first time, so that a reservation is settled or released once. */
  close(): boolean {
    const first = this.#open
    this.#open = false
    return first
  }

  get open(): boolean {
    return this.#open
  }
}

/**
 * The gate of a worker: every reservation is made by the owner of the counters, over all scopes in one line, so a
 * refusal is as exact as in one process.
 */
export class WorkerGate implements RequestGate {
  readonly #send: (line: string) => void
  /** For what nobody waits for. */
  readonly #sendLate: (line: string) => void
  readonly #clock: Clock
  readonly #names: ChargeNames
  readonly #waiting = new Map<number, Waiting>()
  readonly #extensions = new Map<number, WaitingExtension>()
  /** Settled, and their record is not committed yet: the owner tells their states once more. */
  readonly #settled = new Map<number, OwnedReservation>()
  #seen = new Map<string, Seen>()
  readonly #rooms = new OwnRooms()
  /** Counters by their numbers. */
  readonly #named: LimitCharge[] = []
  #numbering = 0
  #lastId = 0
  #open = 0

  constructor(options: {
    readonly send: (line: string) => void
    readonly sendLate?: (line: string) => void
    readonly clock: Clock
    readonly mostNames?: number
  }) {
    this.#send = options.send
    this.#sendLate = options.sendLate ?? options.send
    this.#clock = options.clock
    this.#names = new ChargeNames(options.send, options.mostNames)
  }

  /** What the journal of open calls writes down. What was settled is known to the owner, which writes the record. */
  readonly durable: Pick<DurableCharges, 'held' | 'settled'> = {
    held: (reservation) => asOwned(reservation).held,
    settled: () => NO_CHARGES,
  }

  /** Throws a `RangeError` for a demand that is not made of whole numbers. */
  reserve(charges: readonly LimitCharge[], demand: Demand): ReserveResult | Promise<ReserveResult> {
    checkDemand(demand)
    this.#lastId += 1
    const id = this.#lastId
    const taken = this.#rooms.take(charges, demand, {
      nowMs: this.#clock.monotonicMs(),
      toldOf: this.#toldOf,
    })
    if (taken !== null) return this.#reserveInRoom({ id, charges, demand }, taken)
    if (this.#names.beginAnew(charges.length)) {
      this.#rooms.forget()
      this.#numbering += 1
      this.#named.length = 0
    }
    const numbers = charges.map((charge) => this.#numberOf(charge))
    this.#send(`R${reserveText(id, demand, numbers)}`)
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { charges, demand, resolve, reject })
    })
  }

  /** The owner is told, and nothing is waited for: it has kept room for this. */
  #reserveInRoom(
    { id, charges, demand }: Pick<Waiting, 'charges' | 'demand'> & { readonly id: number },
    { numbers, states, held }: TakenRoom,
  ): ReserveResult {
    this.#sendLate(`K${reserveText(id, demand, numbers)}`)
    const { outputTokens } = demand
    const facts = { id, outputTokens, heldTokens: outputTokens, states, held, excused: NOT_EXCUSED }
    const reservation = new OwnedReservation(facts, { charges, demand })
    this.#open += 1
    return { ok: true, reservation }
  }

  readonly #toldOf = (counterKey: string): Seen | null => this.#seen.get(counterKey) ?? null

  #numberOf(charge: LimitCharge): number {
    const number = this.#names.numberOf(charge)
    this.#named[number] = charge
    return number
  }

  /** By what the owner told last: a hint, as its only use is to leave out an exact count. */
  fits(charges: readonly LimitCharge[], demand: Demand): boolean {
    checkDemand(demand)
    const nowMs = this.#clock.monotonicMs()
    for (const { counterKey, limit } of charges) {
      const seen = this.#seen.get(counterKey)
      if (seen === undefined || nowMs - seen.atMs > FITS_AGE_MS) return false
      const { amount, used, reserved } = seen.state
      const needed = demandedAmount(limit.unit, demand, demand.outputTokens)
      if (needed > amount - used - reserved) return false
    }
    return true
  }

  extend(reservation: Reservation, outputTokens: number): number | Promise<number> {
    const own = asOwned(reservation)
    if (!own.open || own.heldTokens >= own.outputTokens) return own.heldTokens
    this.#lastId += 1
    const question = this.#lastId
    this.#send(`E[${question},${own.id},${outputTokens}]`)
    return new Promise((resolve) => {
      this.#extensions.set(question, { reservation: own, resolve })
    })
  }

  settle(reservation: Reservation, actual: Actual): void {
    const own = asOwned(reservation)
    if (!own.close()) return
    this.#open -= 1
    const { inputTokens, outputTokens, costNanoUsd } = actual
    this.#sendLate(`S${JSON.stringify([own.id, inputTokens, outputTokens, costNanoUsd])}`)
    own.states = own.states.map((state) => settledState(state, own, actual))
    this.#settled.set(own.id, own)
  }

  release(reservation: Reservation): void {
    const own = asOwned(reservation)
    if (!own.close()) return
    this.#open -= 1
    this.#sendLate(`U[${own.id}]`)
  }

  statesOf(reservation: Reservation): readonly LimitState[] {
    return asOwned(reservation).states
  }

  openReservations(): number {
    return this.#open
  }

  onReserved(text: string): void {
    const line = readLine<ReservedLine>(text)
    const waiting = this.#take(line[0])
    if (waiting === null) return
    const reservation = new OwnedReservation(factsOf(line, waiting.charges), waiting)
    this.#open += 1
    this.#learn(reservation)
    waiting.resolve({ ok: true, reservation })
  }

  /** Room that the owner has set aside for this worker. */
  onRoom(text: string): void {
    const [numbering, ...numbers] = readLine<readonly (number | null)[]>(text)
    // Of counters that had other numbers then: the owner has taken it back.
    if (numbering !== this.#numbering) return
    const nowMs = this.#clock.monotonicMs()
    for (let i = 0; i + ROOM_NUMBERS <= numbers.length; i += ROOM_NUMBERS) {
      const [number, amount, at, era] = numbers.slice(i, i + 4).map(Number)
      const charge = this.#named[number ?? 0]
      if (charge === undefined) continue
      const forMs = numbers[i + 4] ?? null
      this.#rooms.add(charge, [number ?? 0, amount ?? 0, at ?? 0, era ?? -1, forMs], nowMs)
    }
  }

  /** Somebody else is short of it. */
  onAskedBack(text: string): void {
    const number = Number(text)
    this.#send(`H[${number},${this.#rooms.giveUp(number)}]`)
  }

  onRefused(text: string): void {
    const [id, ...refusal] = readLine<readonly [id: number, ...RefusalNumbers]>(text)
    const waiting = this.#take(id)
    waiting?.resolve({ ok: false, refusal: refusalOf(refusal, waiting.charges) })
  }

  onFailed(text: string): void {
    const [id, message] = readLine<readonly [id: number, message: string]>(text)
    this.#take(id)?.reject(new Error(message))
  }

  onExtended(text: string): void {
    const [question, heldTokens, holds] =
      readLine<readonly [question: number, heldTokens: number, holds: Holds]>(text)
    const waiting = this.#extensions.get(question)
    this.#extensions.delete(question)
    if (waiting === undefined) return
    const { reservation, resolve } = waiting
    reservation.heldTokens = heldTokens
    reservation.held = heldOf(holds, reservation.charges)
    resolve(heldTokens)
  }

  /** The states after settlements of the same charges, as they are when the records are committed. */
  onSettled(ids: readonly number[], numbers: States): void {
    let states: readonly LimitState[] | null = null
    for (const id of ids) {
      const own = this.#settled.get(id)
      this.#settled.delete(id)
      if (own === undefined) continue
      if (states === null) {
        own.states = statesOf(numbers, own.charges)
        this.#learn(own)
      } else own.states = states
      states = own.states
    }
  }

  #take(id: number): Waiting | null {
    const waiting = this.#waiting.get(id) ?? null
    this.#waiting.delete(id)
    return waiting
  }

  #learn({ states, charges }: OwnedReservation): void {
    if (this.#seen.size + states.length > MOST_SEEN) this.#seen = new Map()
    const atMs = this.#clock.monotonicMs()
    for (const state of states) {
      const { limit, value } = state
      const charge = charges.find((one) => one.limit === limit && one.value === value)
      if (charge !== undefined) this.#seen.set(charge.counterKey, { state, atMs })
    }
  }
}

const ROOM_NUMBERS = 5
const NOT_EXCUSED: readonly Refusal[] = []

function asOwned(reservation: Reservation): OwnedReservation {
  if (reservation instanceof OwnedReservation) return reservation
  throw new TypeError('The reservation was not made by this gate.')
}

/** Until the owner tells them: the reservation is replaced by what was used. */
function settledState(
  state: LimitState,
  { demand, heldTokens }: OwnedReservation,
  actual: Actual,
): LimitState {
  const { unit } = state.limit
  const held = demandedAmount(unit, demand, heldTokens)
  const used = unit === 'concurrent' ? 0 : actualAmount(unit, actual)
  return {
    ...state,
    used: state.used + used,
    reserved: Math.max(0, state.reserved - held),
  }
}

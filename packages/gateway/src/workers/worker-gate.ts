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
import {
  type Holds,
  MAY_LEASE,
  MAY_NOT_SHRINK,
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

type Seen = { readonly free: number; readonly atMs: number }

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

  constructor(line: ReservedLine, { charges, demand }: Pick<Waiting, 'charges' | 'demand'>) {
    const [id, outputTokens, heldTokens, states, holds, excused] = line
    this.id = id
    this.outputTokens = outputTokens
    this.heldTokens = heldTokens
    this.shrunk = outputTokens < demand.outputTokens
    this.charges = charges
    this.demand = demand
    this.states = statesOf(states, charges)
    this.held = heldOf(holds, charges)
    this.excused = excused.map((one) => refusalOf(one, charges))
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
  readonly #clock: Clock
  readonly #names: ChargeNames
  readonly #waiting = new Map<number, Waiting>()
  readonly #extensions = new Map<number, WaitingExtension>()
  /** Settled, and their record is not committed yet: the owner tells their states once more. */
  readonly #settled = new Map<number, OwnedReservation>()
  #seen = new Map<string, Seen>()
  #lastId = 0
  #open = 0

  constructor(options: {
    readonly send: (line: string) => void
    readonly clock: Clock
    readonly mostNames?: number
  }) {
    this.#send = options.send
    this.#clock = options.clock
    this.#names = new ChargeNames(options.send, options.mostNames)
  }

  /** What the journal of open calls writes down. What was settled is known to the owner, which writes the record. */
  readonly durable: Pick<DurableCharges, 'held' | 'settled'> = {
    held: (reservation) => asOwned(reservation).held,
    settled: () => NO_CHARGES,
  }

  /** Throws a `RangeError` for a demand that is not made of whole numbers. */
  reserve(charges: readonly LimitCharge[], demand: Demand): Promise<ReserveResult> {
    checkDemand(demand)
    this.#lastId += 1
    const id = this.#lastId
    this.#names.makeRoom(charges.length)
    const { inputTokens, outputTokens, fixedCostPicoUsd, outputPicoUsd, model } = demand
    const flags =
      (demand.mayShrink === false ? MAY_NOT_SHRINK : 0) | (demand.mayLease === true ? MAY_LEASE : 0)
    let line = `R[${id},${inputTokens},${outputTokens},${fixedCostPicoUsd},${outputPicoUsd},${flags},`
    line += model === undefined ? 'null' : JSON.stringify(model)
    for (const charge of charges) line += `,${this.#names.numberOf(charge)}`
    this.#send(`${line}]`)
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { charges, demand, resolve, reject })
    })
  }

  /** By what the owner told last: a hint, as its only use is to leave out an exact count. */
  fits(charges: readonly LimitCharge[], demand: Demand): boolean {
    checkDemand(demand)
    const nowMs = this.#clock.monotonicMs()
    for (const { counterKey, limit } of charges) {
      const seen = this.#seen.get(counterKey)
      if (seen === undefined || nowMs - seen.atMs > FITS_AGE_MS) return false
      if (demandedAmount(limit.unit, demand, demand.outputTokens) > seen.free) return false
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
    this.#send(`S${JSON.stringify([own.id, inputTokens, outputTokens, costNanoUsd])}`)
    own.states = own.states.map((state) => settledState(state, own, actual))
    this.#settled.set(own.id, own)
  }

  release(reservation: Reservation): void {
    const own = asOwned(reservation)
    if (!own.close()) return
    this.#open -= 1
    this.#send(`U[${own.id}]`)
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
    const reservation = new OwnedReservation(line, waiting)
    this.#open += 1
    this.#learn(reservation)
    waiting.resolve({ ok: true, reservation })
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

  /** The states after a settlement, as they are when its record is committed. */
  onSettled(id: number, states: States): void {
    const own = this.#settled.get(id)
    this.#settled.delete(id)
    if (own === undefined) return
    own.states = statesOf(states, own.charges)
    this.#learn(own)
  }

  #take(id: number): Waiting | null {
    const waiting = this.#waiting.get(id) ?? null
    this.#waiting.delete(id)
    return waiting
  }

  #learn({ states, charges }: OwnedReservation): void {
    if (this.#seen.size + states.length > MOST_SEEN) this.#seen = new Map()
    const atMs = this.#clock.monotonicMs()
    for (const { limit, value, used, reserved, amount } of states) {
      const charge = charges.find((one) => one.limit === limit && one.value === value)
      if (charge === undefined) continue
      this.#seen.set(charge.counterKey, { free: amount - used - reserved, atMs })
    }
  }
}

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

const STATE_NUMBERS = 5

function statesOf(numbers: States, charges: readonly LimitCharge[]): readonly LimitState[] {
  const states: LimitState[] = []
  for (let i = 0; i + STATE_NUMBERS <= numbers.length; i += STATE_NUMBERS) {
    const charge = charges[numbers[i] ?? 0]
    if (charge === undefined) continue
    states.push({
      limit: charge.limit,
      value: charge.value,
      used: numbers[i + 1] ?? 0,
      reserved: numbers[i + 2] ?? 0,
      amount: numbers[i + 3] ?? 0,
      resetsAtMs: numbers[i + 4] ?? null,
    })
  }
  return states
}

const HOLD_NUMBERS = 4

function heldOf([name, ...numbers]: Holds, charges: readonly LimitCharge[]): readonly HeldCharge[] {
  const held: HeldCharge[] = []
  for (let i = 0; i + HOLD_NUMBERS <= numbers.length; i += HOLD_NUMBERS) {
    const charge = charges[numbers[i] ?? 0]
    if (charge === undefined) continue
    const { id, scope, unit, algorithm } = charge.limit
    held.push({
      counter: charge.counterKey,
      amount: numbers[i + 1] ?? 0,
      at: numbers[i + 2] ?? 0,
      era: numbers[i + 3] ?? 0,
      id,
      scope,
      value: charge.value,
      unit,
      algorithm,
      ...(name === null ? {} : { reservation: name }),
    })
  }
  return held
}

function refusalOf(numbers: RefusalNumbers, charges: readonly LimitCharge[]): Refusal {
  const [at, used, reserved, amount, resetsAtMs, retryAfterMs, neverFits, backendAway] = numbers
  const charge = charges[at]
  if (charge === undefined) throw new RangeError('The owner refused for no limit.')
  const refusal: Refusal = {
    limit: charge.limit,
    value: charge.value,
    used,
    reserved,
    amount,
    resetsAtMs,
    retryAfterMs,
    neverFits: neverFits === 1,
  }
  return backendAway === 1 ? { ...refusal, backendAway: true } : refusal
}

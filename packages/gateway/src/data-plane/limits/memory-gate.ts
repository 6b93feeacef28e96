import type {
  Actual,
  CounterState,
  CounterView,
  Demand,
  LimitAlert,
  LimitCharge,
  LimitState,
  Refusal,
  Reservation,
  ReserveResult,
} from '../../contracts/limit.ts'
import type {
  DurableCharge,
  DurableCharges,
  DurableGate,
  HeldCharge,
} from '../../contracts/durable-charge.ts'
import { aheadOf, type Clock } from '../../lib/clock.ts'
import type { CounterPlace, Room } from '../../contracts/room.ts'
import { actualAmount, demandedAmount } from './amounts.ts'
import type { Counter } from './counter.ts'
import { copyCounter, isDurable, restoreCounter, saveCounter } from './counter-state.ts'
import { type CounterOrigin, Counters } from './counters.ts'
import { GateClock } from './gate-clock.ts'
import { chargeOf, heldOf, settledOf } from './held-charges.ts'
import { extendLease, firstHold, isLeased, sharesOf } from './lease.ts'
import { asOpenReservation, type Grant, Hold, OpenReservation } from './open-reservation.ts'
import { graver, refusalOf, reservedOutput, shortageOf } from './shortage.ts'

export type MemoryGateOptions = {
  readonly clock: Clock
  /** Called while a request settles, after all its counters were settled. Must not throw. */
  readonly onAlert: (alert: LimitAlert) => void
  /**
   * What a restored counter makes of the reservations that were open when its state was saved. `forget` (default): only
   * what was settled counts. `charge`: their worst case counts as used, for operators who save the state before each
   * upstream call.
   */
  readonly openOnRestore?: 'charge' | 'forget'
}

/** The gate of one process. Every operation is synchronous, so it is atomic over all charges. */
export function createMemoryGate(options: MemoryGateOptions): DurableGate {
  return new MemoryGate(options)
}

const NOTHING_EXCUSED: readonly Refusal[] = []

type Forked = { readonly clock: GateClock; readonly origin: CounterOrigin }

/** A gate that begins each counter as `origin` says. `clock`: of gate time. */
export function forkedGate(options: MemoryGateOptions, forked: Forked): DurableGate {
  return new MemoryGate(options, forked)
}

class MemoryGate implements DurableGate {
  readonly #wall: Clock
  readonly #clock: GateClock
  readonly #onAlert: (alert: LimitAlert) => void
  readonly #chargeOpen: boolean
  readonly #counters: Counters
  /** Durable counters that the store does not know in their present state. */
  readonly #changed = new Set<Counter>()
  #lastId = 0
  #open = 0

  constructor(options: MemoryGateOptions, forked: Forked | null = null) {
    this.#wall = options.clock
    this.#clock = forked?.clock ?? new GateClock(options.clock)
    this.#counters = new Counters(forked?.origin ?? null)
    this.#onAlert = options.onAlert
    this.#chargeOpen = options.openOnRestore === 'charge'
  }

  /** Hot: once per request. bench/gate.ts. Throws a `RangeError` for a demand that is not made of whole numbers. */
  reserve(charges: readonly LimitCharge[], demand: Demand): ReserveResult {
    checkDemand(demand)
    return this.#reserve(charges, demand, false)
  }

  #reserve(charges: readonly LimitCharge[], demand: Demand, inRoom: boolean): ReserveResult {
    const nowMs = this.#clock.nowMs()
    this.#counters.sweep(nowMs)
    const holds: Hold[] = []
    let outputTokens = demand.outputTokens
    let refusal: Refusal | null = null
    let excused: Refusal[] | null = null
    for (const charge of charges) {
      const counter = this.#counters.of(charge, nowMs)
      if (!isHeld(holds, counter)) holds.push(new Hold(counter))
      const short = inRoom ? null : shortageOf(counter, demand, nowMs)
      if (short === null) continue
      const enforced = charge.limit.mode === 'enforce'
      if (short.kind === 'shrinks') {
        if (enforced) outputTokens = Math.min(outputTokens, short.outputTokens)
        continue
      }
      const found = refusalOf(counter, short.needed, this.#clock)
      if (!enforced) (excused ??= []).push(found)
      else refusal = refusal === null ? found : graver(refusal, found)
    }
    if (refusal !== null) return { ok: false, refusal }
    const heldTokens = leaseAll(holds, { demand, outputTokens, nowMs })
    takeAll(holds, { demand, outputTokens, heldTokens, nowMs })
    this.#noteChanged(holds)
    const shrunk = outputTokens < demand.outputTokens
    const grant: Grant = {
      outputTokens,
      shrunk,
      excused: excused ?? NOTHING_EXCUSED,
      demand,
      heldTokens,
    }
    this.#lastId += 1
    this.#open += 1
    return { ok: true, reservation: new OpenReservation(this.#lastId, grant, holds) }
  }

  fits(charges: readonly LimitCharge[], demand: Demand): boolean {
    checkDemand(demand)
    const nowMs = this.#clock.nowMs()
    for (const charge of charges) {
      if (shortageOf(this.#counters.of(charge, nowMs), demand, nowMs) !== null) return false
    }
    return true
  }

  extend(reservation: Reservation, outputTokens: number): number {
    const open = asOpenReservation(reservation)
    if (!open.isOpen() || open.heldTokens >= open.outputTokens) return open.heldTokens
    const held = extendLease(open, outputTokens, this.#clock.nowMs())
    this.#noteChanged(open.holds)
    return held
  }

  /** Numbers that are no amounts are a bug of the caller; the whole reservation is charged then. */
  settle(reservation: Reservation, actual: Actual): void {
    const open = asOpenReservation(reservation)
    if (!open.close()) return
    this.#open -= 1
    const nowMs = this.#clock.nowMs()
    const shares = open.extended ? sharesOf(open.holds, actual) : null
    for (const [index, hold] of open.holds.entries()) {
      const { meter, limit, outputs } = hold.counter
      const used = shares === null ? actualAmount(limit.unit, actual) : (shares[index] ?? 0)
      hold.used = isAmount(used) ? used : hold.amount
      hold.era = hold.counter.era.id
      meter.close(hold, hold.used, nowMs)
      if (hold.leased) hold.counter.leases -= 1
      if (outputs !== null && isAmount(actual.outputTokens)) {
        outputs.of(open.demand.model ?? '').add(actual.outputTokens)
      }
    }
    this.#noteChanged(open.holds)
    for (const hold of open.holds) hold.counter.alertIfReached(nowMs, this.#onAlert)
  }

  release(reservation: Reservation): void {
    const open = asOpenReservation(reservation)
    if (!open.close()) return
    this.#open -= 1
    const nowMs = this.#clock.nowMs()
    for (const hold of open.holds) {
      hold.counter.meter.close(hold, 0, nowMs)
      if (hold.leased) hold.counter.leases -= 1
    }
    this.#noteChanged(open.holds)
  }

  statesOf(reservation: Reservation): readonly LimitState[] {
    const states: LimitState[] = []
    const nowMs = this.#clock.nowMs()
    for (const { counter, limit, isMore } of asOpenReservation(reservation).holds) {
      if (limit.mode === 'enforce' && !isMore) states.push(counter.stateAt(this.#clock, nowMs))
    }
    return states
  }

  #noteChanged(holds: readonly Hold[]): void {
    for (const { counter } of holds) if (isDurable(counter)) this.#changed.add(counter)
  }

  takeChanged(): readonly CounterState[] {
    if (this.#changed.size === 0) return []
    const nowMs = this.#clock.nowMs()
    const states = Array.from(this.#changed, (counter) => saveCounter(counter, nowMs))
    this.#changed.clear()
    return states
  }

  /** For start-up, before the first reservation. Throws an `Error` when a state cannot be read. */
  restore(states: readonly CounterState[]): void {
    const options = { nowMs: this.#clock.nowMs(), chargeOpen: this.#chargeOpen }
    for (const state of states) this.#counters.put(restoreCounter(state, options))
  }

  list(): readonly CounterView[] {
    const nowMs = this.#clock.nowMs()
    const views: CounterView[] = []
    for (const counter of this.#counters.all()) {
      if (!counter.meter.idleAt(nowMs)) views.push(counter.viewAt(this.#clock))
    }
    return views
  }

  openReservations(): number {
    return this.#open
  }

  readonly durable: DurableCharges = {
    held: (reservation) => heldOf(asOpenReservation(reservation).holds),
    settled: (reservation) => settledOf(asOpenReservation(reservation).holds),
    charge: (held) => held.map((one) => this.#chargeHeld(one)),
    abandon: (reservation) => this.#abandon(asOpenReservation(reservation)),
  }

  readonly room: Room = {
    setAside: (charge, amount, times) => {
      const nowMs = this.#clock.nowMs()
      const counter = this.#counters.of(charge, nowMs)
      if (counter.freeAt(nowMs) < amount * times) return false
      counter.aside += amount
      return true
    },
    giveBack: (counterKey, amount) => {
      const counter = this.#counters.get(counterKey)
      if (counter !== null) counter.aside = Math.max(0, counter.aside - amount)
    },
    aside: (counterKey) => this.#counters.get(counterKey)?.aside ?? 0,
    place: (charge) => {
      const nowMs = this.#clock.nowMs()
      return placeOf(this.#counters.of(charge, nowMs), nowMs)
    },
    reserveInRoom: (charges, demand) => {
      const result = this.#reserve(charges, demand, true)
      if (result.ok) return result.reservation
      throw new TypeError('A reservation in its own room was refused.')
    },
  }

  #abandon(open: OpenReservation): void {
    if (!open.close()) return
    this.#open -= 1
    const nowMs = this.#clock.nowMs()
    for (const hold of open.holds) {
      hold.counter.meter.close(hold, isDurable(hold.counter) ? 0 : hold.amount, nowMs)
      if (hold.leased) hold.counter.leases -= 1
    }
    this.#noteChanged(open.holds)
  }

  #chargeHeld(held: HeldCharge): DurableCharge {
    const nowMs = this.#clock.nowMs()
    const counter = this.#counters.get(held.counter) ?? this.#counters.of(chargeOf(held), nowMs)
    const at = counter.meter.chargeAt(held.at, held.amount, nowMs)
    this.#changed.add(counter)
    return { counter: counter.key, amount: held.amount, at, era: counter.era.id }
  }

  /** Counters are copied when they are first asked for, so that a fork of very many costs nothing. */
  fork(aheadMs: number): DurableGate {
    const clock = aheadOf(this.#wall, aheadMs)
    const origin: CounterOrigin = (charge) => {
      const nowMs = this.#clock.nowMs()
      const counter = this.#counters.find(charge, nowMs)
      return counter === null ? null : copyCounter(counter, { nowMs, endsFirst: aheadMs > 0 })
    }
    const options = { clock, onAlert: () => {} }
    return new MemoryGate(options, { clock: this.#clock.ahead(aheadMs), origin })
  }

  reset(limitId: string, value: string | null): readonly CounterState[] {
    const nowMs = this.#clock.nowMs()
    return this.#change(limitId, value, (counter) => counter.reset(nowMs))
  }

  /** Throws a `RangeError` unless `extra` is a whole number above 0. Changes nothing for a counter that never counted. */
  grant(limitId: string, value: string, extra: number): readonly CounterState[] {
    if (!isAmount(extra) || extra === 0) throw new RangeError('An allowance is a whole number.')
    const nowMs = this.#clock.nowMs()
    return this.#change(limitId, value, (counter) => counter.meter.grant(extra, nowMs))
  }

  #change(
    limitId: string,
    value: string | null,
    change: (counter: Counter) => void,
  ): readonly CounterState[] {
    const nowMs = this.#clock.nowMs()
    const states: CounterState[] = []
    for (const counter of this.#counters.all()) {
      if (counter.limit.id !== limitId || (value !== null && counter.value !== value)) continue
      change(counter)
      states.push(saveCounter(counter, nowMs))
    }
    return states
  }
}

function placeOf(counter: Counter, nowMs: number): CounterPlace {
  const { meter, era } = counter
  const at = meter.take(0, nowMs)
  meter.close({ ticket: at, amount: 0 }, 0, nowMs)
  const endsAtMs = meter.kind === 'fixed' ? meter.endsAtMs(nowMs) : null
  const forMs = endsAtMs === null ? null : endsAtMs - nowMs
  return { at, era: era.id, durable: isDurable(counter), forMs }
}

/** A counter that is named twice must pass twice, but the request is charged once. */
function isHeld(holds: readonly Hold[], counter: Counter): boolean {
  for (const hold of holds) if (hold.counter === counter) return true
  return false
}

type Granted = {
  readonly demand: Demand
  readonly outputTokens: number
  readonly nowMs: number
}

/** Marks the holds that start small. Returns how many output tokens they start with: all that was granted, or fewer. */
function leaseAll(holds: readonly Hold[], { demand, outputTokens, nowMs }: Granted): number {
  if (demand.mayLease !== true) return outputTokens
  let heldTokens = outputTokens
  for (const hold of holds) {
    if (!isLeased(hold.limit, demand)) continue
    hold.leased = true
    hold.counter.leases += 1
    heldTokens = Math.min(heldTokens, firstHold(hold.counter, demand, nowMs))
  }
  return heldTokens
}

function takeAll(holds: readonly Hold[], granted: Granted & { readonly heldTokens: number }): void {
  for (const hold of holds) {
    const { counter } = hold
    const outputTokens = hold.leased
      ? granted.heldTokens
      : reservedOutput(counter, granted.demand, granted.outputTokens)
    hold.amount = demandedAmount(counter.limit.unit, granted.demand, outputTokens)
    hold.ticket = counter.meter.take(hold.amount, granted.nowMs)
  }
}

/** Throws a `RangeError` for a demand that is not made of whole numbers. */
export function checkDemand(demand: Demand): void {
  const { inputTokens, outputTokens, fixedCostPicoUsd, outputPicoUsd } = demand
  const costPicoUsd = (fixedCostPicoUsd ?? 0) + outputTokens * outputPicoUsd
  if (
    isAmount(inputTokens) &&
    isAmount(outputTokens) &&
    costPicoUsd >= 0 &&
    costPicoUsd < Infinity
  ) {
    return
  }
  throw new RangeError('A demand is made of whole numbers, 0 or more.')
}

export function isAmount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

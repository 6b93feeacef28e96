import type { Demand, LimitPlan, Refusal, Reservation } from '../../contracts/limit.ts'
import type { Counter } from './counter.ts'
import type { Taken } from './meter.ts'

/** What one request holds of one counter. */
export class Hold implements Taken {
  readonly counter: Counter
  /** As the request's policy has it; another policy may share the counter. */
  readonly limit: LimitPlan
  ticket = 0
  amount = 0
  /** Null until it is settled. */
  used: number | null = null
  era = 0
  /** Holds less than the request may use, and is extended. */
  leased = false
  /** Added by an extension that reached into another window. */
  isMore = false

  constructor(counter: Counter) {
    this.counter = counter
    this.limit = counter.limit
  }
}

export type Grant = Pick<Reservation, 'outputTokens' | 'shrunk' | 'excused'> & {
  readonly demand: Demand
  readonly heldTokens: number
}

export class OpenReservation implements Reservation {
  readonly id: number
  readonly outputTokens: number
  readonly shrunk: boolean
  readonly excused: readonly Refusal[]
  /** A lease that reached into another window has one more for the same counter. */
  readonly holds: Hold[]
  readonly demand: Demand
  heldTokens: number
  extended = false
  #open = true

  constructor(id: number, grant: Grant, holds: Hold[]) {
    this.id = id
    this.outputTokens = grant.outputTokens
    this.shrunk = grant.shrunk
    this.excused = grant.excused
    this.holds = holds
    this.demand = grant.demand
    this.heldTokens = grant.heldTokens
  }

  isOpen(): boolean {
    return this.#open
  }

  /** True the first time, so that a reservation is settled or released once. */
  close(): boolean {
    const first = this.#open
    this.#open = false
    return first
  }
}

/** Throws a `TypeError` for a reservation that another gate made. */
export function asOpenReservation(reservation: Reservation): OpenReservation {
  if (reservation instanceof OpenReservation) return reservation
  throw new TypeError('The reservation was not made by this gate.')
}

import type { LimitPlan, Refusal, Reservation } from '../../contracts/limit.ts'
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

  constructor(counter: Counter) {
    this.counter = counter
    this.limit = counter.limit
  }
}

export type Grant = Pick<Reservation, 'outputTokens' | 'shrunk' | 'excused'> & {
  readonly model: string
}

export class OpenReservation implements Reservation {
  readonly id: number
  readonly outputTokens: number
  readonly shrunk: boolean
  readonly excused: readonly Refusal[]
  readonly holds: readonly Hold[]
  readonly model: string
  #open = true

  constructor(id: number, grant: Grant, holds: readonly Hold[]) {
    this.id = id
    this.outputTokens = grant.outputTokens
    this.shrunk = grant.shrunk
    this.excused = grant.excused
    this.holds = holds
    this.model = grant.model
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

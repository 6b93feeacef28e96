import type { Demand, LimitCharge, Refusal, Reservation } from '../../../contracts/limit.ts'

/** Where a usage record says that its charge was counted; see `DurableCharge`. */
type CountedAt = { readonly at: number; readonly era: number }

/** What a reservation holds of one counter. */
export type SharedHold = {
  readonly charge: LimitCharge
  /** Absent: no record says what is charged. */
  readonly counted?: CountedAt
  /** What was settled and the record says; absent: nothing. */
  used?: number
  /** All that is held; of a lease, so far. */
  amount: number
  /** Holds less of the output than the request may write, and is extended. */
  readonly leased: boolean
}

type Grant = Pick<
  SharedReservation,
  'id' | 'name' | 'outputTokens' | 'heldTokens' | 'shrunk' | 'excused' | 'demand'
>

/** A reservation that the server knows by `name`. */
export class SharedReservation implements Reservation {
  readonly id: number
  readonly name: string
  readonly outputTokens: number
  readonly shrunk: boolean
  readonly excused: readonly Refusal[]
  readonly holds: readonly SharedHold[]
  readonly demand: Demand
  heldTokens: number
  /** Monotonic; when the server was last told that somebody works on it. */
  renewedAtMs: number
  /** Made without the server. */
  adopted = false
  /** The server has it. One that was made without the server: not before it said so. */
  taken = true
  #open = true

  constructor(grant: Grant, holds: readonly SharedHold[], nowMs: number) {
    this.id = grant.id
    this.name = grant.name
    this.outputTokens = grant.outputTokens
    this.shrunk = grant.shrunk
    this.excused = grant.excused
    this.demand = grant.demand
    this.heldTokens = grant.heldTokens
    this.holds = holds
    this.renewedAtMs = nowMs
  }

  get open(): boolean {
    return this.#open
  }

  /** True the first time, so that a reservation is settled or released once. */
  close(): boolean {
    const first = this.#open
    this.#open = false
    return first
  }
}

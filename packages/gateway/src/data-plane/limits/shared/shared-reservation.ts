import type { LimitCharge, Refusal, Reservation } from '../../../contracts/limit.ts'

/** What a reservation holds of one counter. */
export type SharedHold = { readonly charge: LimitCharge; readonly amount: number }

/** A reservation that the server knows by `name`. */
export class SharedReservation implements Reservation {
  readonly id: number
  readonly name: string
  readonly outputTokens: number
  readonly shrunk: boolean
  readonly excused: readonly Refusal[]
  readonly holds: readonly SharedHold[]
  readonly model: string
  /** Monotonic; when the server was last told that somebody works on it. */
  renewedAtMs: number
  #open = true

  constructor(
    grant: Pick<SharedReservation, 'id' | 'name' | 'outputTokens' | 'shrunk' | 'excused' | 'model'>,
    holds: readonly SharedHold[],
    nowMs: number,
  ) {
    this.id = grant.id
    this.name = grant.name
    this.outputTokens = grant.outputTokens
    this.shrunk = grant.shrunk
    this.excused = grant.excused
    this.model = grant.model
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

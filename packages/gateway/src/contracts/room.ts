import type { DurableCharge } from './durable-charge.ts'
import type { Demand, LimitCharge, Reservation } from './limit.ts'

/** Where in time a reservation that is made now counts, for the journal of open calls. */
export type CounterPlace = Pick<DurableCharge, 'at' | 'era'> & {
  /** The counter is a durable one. */
  readonly durable: boolean
  /** How long the place holds. Null: for ever. */
  readonly forMs: number | null
}

/**
 * Room of counters that is set aside for somebody, who may then reserve there without asking first.
 *
 * Room is no reservation: nobody sees it as used or reserved. It is only not given to anybody else.
 */
export type Room = {
  /** Sets so much more aside. False, and nothing changes, when the counter would have less than `times` that left. */
  setAside(charge: LimitCharge, amount: number, times: number): boolean
  giveBack(counterKey: string, amount: number): void
  /** What is set aside at the counter for all together. */
  aside(counterKey: string): number
  place(charge: LimitCharge): CounterPlace
  /** Reserves the whole demand, whatever is free: room was set aside for it, and has been given back in this turn. */
  reserveInRoom(charges: readonly LimitCharge[], demand: Demand): Reservation
}

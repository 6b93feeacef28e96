import type { Room } from './room.ts'
import type { LimitAlgorithm, LimitScope, LimitUnit, ProcessGate, Reservation } from './limit.ts'

/** What a request came to at one durable counter: enough to count the counter again from the records alone. */
export type DurableCharge = {
  /** Key of the counter. */
  readonly counter: string
  /** In the limit's unit; `usd`: nano-US-dollars. */
  readonly amount: number
  /** The window that it belongs to, in the algorithm's own terms: a fixed window's start, a slot of a sliding one, 0 for life. */
  readonly at: number
  /** A counter counts anew after a reset or an edit of its kind: then its era is another. */
  readonly era: number
}

/** A charge that is still reserved, and enough of its limit to make the counter again when nothing else is left of it. */
export type HeldCharge = DurableCharge & {
  readonly id: string
  readonly scope: LimitScope
  readonly value: string
  readonly unit: LimitUnit
  readonly algorithm: LimitAlgorithm
  /** Where counters are shared: what the server of the counters knows the reservation by. */
  readonly reservation?: string
}

/** The part of a gate that has counters of an hour or more, or for life. */
export type DurableCharges = {
  /** What the reservation holds of durable counters. */
  held(reservation: Reservation): readonly HeldCharge[]
  /** What a settled reservation came to. Empty after a release. */
  settled(reservation: Reservation): readonly DurableCharge[]
  /** Counts as used what calls held that a former process left open. For start-up, after `restore`. */
  charge(held: readonly HeldCharge[]): readonly DurableCharge[]
  /**
   * Where counters are shared: a call that was left open has a record with these charges. Whether the server of the counters
   * has heard of its end is unknown; it counts the end once.
   */
  recorded?(held: readonly HeldCharge[], charges: readonly DurableCharge[]): void
  /** Where counters are shared: a call that was left open was never sent. Absent: what it held is gone with its process. */
  unsent?(held: readonly HeldCharge[]): void
  /** Where counters are shared: resolves when what was charged has been told, or cannot be for now. */
  told?(): Promise<void>
  /**
   * Closes a reservation whose process died. What it holds of durable counters is given back: the journal of open calls
   * says what of it is charged. The rest counts as used. Absent: a charge ends the reservation by its name, once.
   */
  abandon?(reservation: Reservation): void
}

export type DurableGate = ProcessGate & { readonly durable: DurableCharges; readonly room: Room }

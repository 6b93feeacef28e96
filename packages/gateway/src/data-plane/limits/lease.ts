import type { Actual, Demand, LimitPlan } from '../../contracts/limit.ts'
import { actualAmount, demandedAmount, outputThatFits } from './amounts.ts'
import type { Counter } from './counter.ts'
import { Hold, type OpenReservation } from './open-reservation.ts'

/** Less than this is no use to a stream. Output tokens. */
const LEAST_TOKENS = 16
/**
 * A lease takes this part of what is free, divided by those who share it: with plenty left that is all that a stream may
 * write, and the last of it is handed out in pieces so small that next to nothing lies unused when it is gone.
 */
const SHARE = 32
/** Of what is free when a stream begins: nobody knows who comes next. */
const FIRST_SHARE = 64

/** Whether less than the whole output of this request is held at the limit. */
export function isLeased(limit: LimitPlan, demand: Demand): boolean {
  if (limit.reserve !== 'lease' || demand.mayLease !== true) return false
  const { unit } = limit
  return (
    unit === 'tokens' || unit === 'output_tokens' || (unit === 'usd' && demand.outputPicoUsd > 0)
  )
}

/** What a lease starts with at least. */
export function leastHold({ outputTokens }: Demand): number {
  return Math.min(LEAST_TOKENS, outputTokens)
}

/** What a lease starts with: the whole output where there is room for many of its kind. */
export function firstHold(counter: Counter, demand: Demand, nowMs: number): number {
  const { limit } = counter
  const fits = outputThatFits(limit.unit, demand, counter.freeAt(nowMs))
  if (limit.mode !== 'enforce') return demand.outputTokens
  return Math.max(leastHold(demand), Math.min(demand.outputTokens, Math.floor(fits / FIRST_SHARE)))
}

function shareOf({ leases }: Counter, freeTokens: number): number {
  return Math.floor(freeTokens / (SHARE * Math.max(1, leases)))
}

/** Holds output up to `wanted` tokens in all, and more where there is plenty. Nothing changes when no more can be had. */
export function extendLease(open: OpenReservation, wanted: number, nowMs: number): number {
  const { demand, heldTokens: held } = open
  const leased = open.holds.filter((hold) => hold.leased)
  let most = open.outputTokens
  let share = most
  for (const { limit, counter } of leased) {
    if (limit.mode !== 'enforce') continue
    const before = demandedAmount(limit.unit, demand, held)
    const fits = outputThatFits(limit.unit, demand, before + counter.freeAt(nowMs))
    most = Math.min(most, fits)
    share = Math.min(share, shareOf(counter, fits - held))
  }
  const reached = Math.min(most, Math.max(wanted, held + share))
  if (reached <= held) return held
  for (const hold of leased) grow(open, hold, { from: held, to: reached, nowMs })
  open.heldTokens = reached
  open.extended = true
  return reached
}

function grow(
  open: OpenReservation,
  hold: Hold,
  { from, to, nowMs }: { readonly from: number; readonly to: number; readonly nowMs: number },
): void {
  const { limit, counter } = hold
  const { unit } = limit
  const more = demandedAmount(unit, open.demand, to) - demandedAmount(unit, open.demand, from)
  if (more === 0) return
  const ticket = counter.meter.take(more, nowMs)
  const last = open.holds.findLast((one) => one.counter === counter) ?? hold
  if (last.ticket === ticket) {
    // One open taking is enough of the same window.
    counter.meter.close({ ticket, amount: 0 }, 0, nowMs)
    last.amount += more
    return
  }
  const next = new Hold(counter)
  next.isMore = true
  next.ticket = ticket
  next.amount = more
  open.holds.push(next)
}

/** What of the usage belongs to each hold: windows in the order in which they were reserved, the last takes the rest. */
export function sharesOf(holds: readonly Hold[], actual: Actual): readonly number[] {
  const left = new Map<Counter, number>()
  return holds.map((hold, index) => {
    const { counter, limit } = hold
    const rest = left.get(counter) ?? actualAmount(limit.unit, actual)
    const isLast = !holds.some((one, at) => at > index && one.counter === counter)
    const share = isLast ? rest : Math.min(rest, hold.amount)
    left.set(counter, rest - share)
    return share
  })
}

import type { DurableGate } from '../../contracts/durable-charge.ts'
import type { CounterView, LimitPlan } from '../../contracts/limit.ts'
import { aheadOf, type Clock } from '../../lib/clock.ts'
import { counterKey } from '../../lib/counter-key.ts'
import { Counter, newMeter } from './counter.ts'
import type { CounterOrigin } from './counters.ts'
import { GateClock } from './gate-clock.ts'
import { forkedGate } from './memory-gate.ts'

export type ViewedCounters = {
  readonly views: readonly CounterView[]
  /** A limit as it was last charged at this counter; null: not known. Tells an allowance from an edit. */
  readonly limitOf: (counterKey: string) => LimitPlan | null
  readonly clock: Clock
  readonly aheadMs: number
}

/**
 * A gate of its own that begins with what counters were last told to hold. When within its window something was used is not
 * told, so that all of it counts as used now: what it says of waiting is the longest that it can be.
 */
export function gateOfViews({ views, limitOf, clock, aheadMs }: ViewedCounters): DurableGate {
  const byKey = new Map(
    views.map((view) => [counterKey(view.id, view.scope, view.value), view] as const),
  )
  const origin: CounterOrigin = ({ limit, value, counterKey: key }, forkMs) => {
    const nowMs = forkMs - aheadMs
    const view = byKey.get(key)
    if (view === undefined || view.unit !== limit.unit) return null
    const meter = newMeter(limit.algorithm, nowMs)
    const charged = limitOf(key)
    const allowance = charged === null ? 0 : view.amount - amountOf(charged)
    if (allowance > 0) meter.grant(allowance, nowMs)
    const ended = view.used + (aheadMs > 0 ? view.reserved : 0)
    if (ended > 0) meter.close({ ticket: meter.take(ended, nowMs), amount: ended }, ended, nowMs)
    if (aheadMs === 0 && view.reserved > 0) meter.take(view.reserved, nowMs)
    return new Counter(limit, { key, value, meter, restored: false, era: { id: nowMs, base: [] } })
  }
  const ahead = aheadOf(clock, aheadMs)
  return forkedGate({ clock: ahead, onAlert: () => {} }, { clock: new GateClock(ahead), origin })
}

function amountOf({ algorithm }: LimitPlan): number {
  return algorithm.kind === 'bucket' ? algorithm.capacity : algorithm.amount
}

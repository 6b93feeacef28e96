import type { ChargeSum } from '../../contracts/ledger-proof.ts'
import type { CounterState, LimitUnit } from '../../contracts/limit.ts'
import { readCounterState } from './counter-state.ts'
import { settledParts } from './settled-parts.ts'

/** A durable counter beside what the records come to. */
export type Recount = {
  readonly id: string
  readonly scope: string
  readonly value: string
  readonly unit: LimitUnit
  readonly algorithm: string
  /** Start of a fixed window, ms since 1970; null: of no one window. */
  readonly windowStartMs: number | null
  readonly counted: number
  /** From the records; null: they cannot tell. */
  readonly recounted: number | null
  /** Why they cannot tell; null: they can. */
  readonly reason: string | null
}

/** Counts every stored counter again. Throws an `Error` that names a state that cannot be read. */
export function recount(
  states: readonly CounterState[],
  charged: readonly ChargeSum[],
): readonly Recount[] {
  const byCounter = Map.groupBy(charged, ({ counter }) => counter)
  return states.map((state) => recountOne(state, byCounter.get(state.counterKey) ?? []))
}

function recountOne(stored: CounterState, charged: readonly ChargeSum[]): Recount {
  const { limit, value, era, meter } = readCounterState(stored)
  const { id, scope, unit, algorithm } = limit
  const parts = settledParts(algorithm.kind, meter)
  const counted = (parts ?? []).reduce((sum, [, amount]) => sum + amount, 0)
  const facts = {
    id,
    scope,
    value,
    unit,
    algorithm: algorithm.kind,
    windowStartMs: algorithm.kind === 'fixed' ? (parts?.[0]?.[0] ?? null) : null,
    counted,
  }
  if (parts === null) {
    return { ...facts, recounted: null, reason: 'a bucket gives back as time passes' }
  }
  if (era === null) {
    return { ...facts, recounted: null, reason: 'not charged since records say what they charged' }
  }
  const oldest = parts[0]?.[0] ?? Infinity
  let recounted = 0
  for (const [at, amount] of era.base) if (at >= oldest) recounted += amount
  for (const sum of charged) {
    if (sum.era === era.id && sum.at >= oldest) recounted += sum.amount
  }
  return { ...facts, recounted, reason: null }
}

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

/** What is counted of a unit in a window, as `DurableCharge.at` names it. */
export type Parts = readonly (readonly [at: number, amount: number])[]

/** The sum of what is of the window `oldest` or a later one. */
export function sumSince(parts: Parts, oldest: number): number {
  let sum = 0
  for (const [at, amount] of parts) if (at >= oldest) sum += amount
  return sum
}

export function chargedSince(charged: readonly ChargeSum[], era: number, oldest: number): number {
  return sumSince(
    charged.filter((sum) => sum.era === era).map(({ at, amount }) => [at, amount]),
    oldest,
  )
}

export const NOT_A_SUM = 'a bucket gives back as time passes'
export const NO_ERA = 'not charged since records say what they charged'

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
    return { ...facts, recounted: null, reason: NOT_A_SUM }
  }
  if (era === null) {
    return { ...facts, recounted: null, reason: NO_ERA }
  }
  const oldest = parts[0]?.[0] ?? Infinity
  const recounted = sumSince(era.base, oldest) + chargedSince(charged, era.id, oldest)
  return { ...facts, recounted, reason: null }
}

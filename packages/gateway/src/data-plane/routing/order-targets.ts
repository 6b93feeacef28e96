import type { CandidateView, Strategy } from '../../contracts/routing.ts'
import { drawAt } from '../../lib/seeded-draw.ts'
import type { TargetPlan } from '../../plan/gateway-plan.ts'
import { orderByBandit } from './order-by-bandit.ts'
import { orderByLatency } from './order-by-latency.ts'
import { orderByScore } from './order-by-score.ts'
import type { Examined } from './reject-target.ts'
import { takeTurn } from './rotations.ts'
import type { SelectQuery } from './select-query.ts'
import { type Placed, type Ranked, sortByRank } from './sort-by-rank.ts'

/** `route`: the name of what is chosen from, for strategies that take turns. */
export type OrderTargets = (
  candidates: readonly Examined[],
  query: SelectQuery,
  route: string,
) => readonly Placed[]

/** One line per strategy. */
export const STRATEGY_ORDERS: Readonly<Record<Strategy, OrderTargets>> = {
  priority: (candidates) => candidates.map(({ target }) => ({ target, view: plainView(target) })),
  weighted: orderByWeight,
  round_robin: orderByTurn,
  least_busy: orderByLoad,
  latency: orderByLatency,
  score: orderByScore,
  thompson: orderByBandit,
}

function plainView(target: TargetPlan): CandidateView {
  return { target: target.id, rejected: null }
}

/**
 * Drawn without putting back: the first in proportion to the weights, and so are those that follow, should it fail. Of
 * weight 0: last, unless all are.
 */
function orderByWeight(candidates: readonly Examined[], { seed }: SelectQuery): readonly Placed[] {
  let total = 0
  for (const { target } of candidates) total += target.weight
  const ranked: Ranked[] = []
  for (const { target } of candidates) {
    const weight = total === 0 ? 1 : target.weight
    const propensity = total === 0 ? 1 / candidates.length : weight / total
    const view = { target: target.id, rejected: null, weight: target.weight, propensity }
    // The smallest of such times is each one's in proportion to its weight.
    const time = weight === 0 ? Infinity : -Math.log(drawAt(seed, ranked.length)) / weight
    ranked.push({ target, view, rank: time, tie: 0 })
  }
  return sortByRank(ranked)
}

function orderByTurn(
  candidates: readonly Examined[],
  { rotations }: SelectQuery,
  route: string,
): readonly Placed[] {
  const targets = candidates.map(({ target }) => target)
  return takeTurn(targets, rotations.of(route)).map((target) => ({
    target,
    view: { target: target.id, rejected: null, weight: target.weight },
  }))
}

/** Calls under way for each unit of weight. */
function orderByLoad(candidates: readonly Examined[], { seed }: SelectQuery): readonly Placed[] {
  const unweighted = candidates.every(({ target }) => target.weight === 0)
  const ranked: Ranked[] = []
  for (const { target, signals } of candidates) {
    const inFlight = signals?.inFlight ?? 0
    const weight = unweighted ? 1 : target.weight
    const view = { target: target.id, rejected: null, weight: target.weight, inFlight }
    const load = weight === 0 ? Infinity : inFlight / weight
    ranked.push({ target, view, rank: load, tie: drawAt(seed, ranked.length) })
  }
  return sortByRank(ranked)
}

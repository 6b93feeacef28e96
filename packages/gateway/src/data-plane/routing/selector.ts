import type { CandidateView } from '../../contracts/routing.ts'
import type { TargetPlan } from '../../plan/gateway-plan.ts'
import { STRATEGY_ORDERS } from './order-targets.ts'
import { type Examined, rejectTarget, savedByCache, worstCostNanoUsd } from './reject-target.ts'
import type { SelectQuery } from './select-query.ts'

/** The targets to try, in order, and what was found out about each candidate. */
export type Selection = {
  readonly order: readonly TargetPlan[]
  /** Those of `order` first, then the rejected ones. */
  readonly candidates: readonly CandidateView[]
  readonly rejected: readonly Examined[]
}

/**
 * The one selector: of plain calls, streams and simulations. First what may not be tried is left out, then the strategy
 * says the order. Hot where a model has several targets. bench/routing.ts
 *
 * `route`: the name of what is chosen from, for strategies that take turns.
 */
export function select(
  targets: readonly TargetPlan[],
  query: SelectQuery,
  route: string,
): Selection {
  const { book, nowMs } = query
  const costs = needsCost(query)
  const eligible: Examined[] = []
  const rejected: Examined[] = []
  for (const target of targets) {
    const signals = book === null ? null : book.signals(target.healthId, nowMs)
    const costNanoUsd = costs ? worstCostNanoUsd(target, query.size) : null
    const rejection = rejectTarget(target, costNanoUsd, query, signals)
    const savedNanoUsd = costs ? savedByCache(target, query) : 0
    const examined = { target, signals, costNanoUsd, savedNanoUsd, rejection }
    if (rejection === null) eligible.push(examined)
    else rejected.push(examined)
  }
  const placed = STRATEGY_ORDERS[query.strategy](eligible, query, route)
  const order: TargetPlan[] = []
  const candidates: CandidateView[] = []
  for (const { target, view } of placed) {
    order.push(target)
    candidates.push(view)
  }
  for (const examined of rejected) candidates.push(rejectedView(examined))
  return { order, candidates, rejected }
}

function needsCost({ strategy, hints }: SelectQuery): boolean {
  return strategy === 'score' || strategy === 'thompson' || hints.maxCostNanoUsd !== null
}

function rejectedView({ target, rejection }: Examined): CandidateView {
  if (rejection === null) return { target: target.id, rejected: null }
  return { target: target.id, rejected: rejection.reason, detail: rejection.detail }
}

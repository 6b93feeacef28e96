import type { Examined } from './reject-target.ts'
import type { SelectQuery } from './select-query.ts'
import { type Placed, sortByRank } from './sort-by-rank.ts'

/** The highest draw first. */
export function orderByBandit(
  candidates: readonly Examined[],
  { seedText, arm, bandit, wallMs }: SelectQuery,
): readonly Placed[] {
  const ids = candidates.map(({ target }) => target.id)
  const draws = bandit.draw(ids, arm, seedText, wallMs)
  const placed = candidates.map(({ target, costNanoUsd, signals }, index) => {
    const { draw = 0, alpha = 1, beta = 1 } = draws[index] ?? {}
    const view = {
      target: target.id,
      rejected: null,
      costNanoUsd,
      latencyMs: signals?.latencyMs ?? null,
      failureShare: signals?.failureShare ?? 0,
      weight: target.weight,
      draw,
      alpha,
      beta,
    }
    return { target, view, rank: -draw }
  })
  return sortByRank(placed)
}

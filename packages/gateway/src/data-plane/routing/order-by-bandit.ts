import type { CandidateView } from '../../contracts/routing.ts'
import type { Examined } from './reject-target.ts'
import { FOR_COST } from './reward.ts'
import type { SelectQuery } from './select-query.ts'
import { type Placed, type Ranked, sortByRank } from './sort-by-rank.ts'

/**
 * The highest draw first. To leave a target whose prompt cache holds the conversation costs what the cache would have
 * saved: the warm one's draw is raised by as much as that is worth in rewards.
 */
export function orderByBandit(
  candidates: readonly Examined[],
  { seedText, arm, bandit, wallMs }: SelectQuery,
): readonly Placed[] {
  const ids = candidates.map(({ target }) => target.id)
  const draws = bandit.draw(ids, arm, seedText, wallMs)
  let dearest = 0
  for (const { costNanoUsd } of candidates) dearest = Math.max(dearest, costNanoUsd ?? 0)
  const ranked: Ranked[] = []
  for (const { target, costNanoUsd, savedNanoUsd, signals } of candidates) {
    const { draw = 0, alpha = 1, beta = 1 } = draws[ranked.length] ?? {}
    const bonus = dearest === 0 ? 0 : (FOR_COST * savedNanoUsd) / dearest
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
    const shown: CandidateView = savedNanoUsd > 0 ? { ...view, savedNanoUsd, bonus } : view
    ranked.push({ target, view: shown, rank: -draw - bonus, tie: 0 })
  }
  return sortByRank(ranked)
}

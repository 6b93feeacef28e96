import { drawAt } from '../../lib/seeded-draw.ts'
import type { Examined } from './reject-target.ts'
import type { SelectQuery } from './select-query.ts'
import { type Placed, sortByRank } from './sort-by-rank.ts'

/** The highest draw first. Without a bandit, as written: the configuration is refused before that. */
export function orderByBandit(
  candidates: readonly Examined[],
  { seed, seedText, arm, bandit, nowMs }: SelectQuery,
): readonly Placed[] {
  const ids = candidates.map(({ target }) => target.id)
  const draws = new Map(
    bandit?.draw(ids, arm, seedText, nowMs).map((one) => [one.target, one.draw]),
  )
  const placed = candidates.map(({ target, costNanoUsd, signals }, index) => {
    const draw = draws.get(target.id) ?? 0
    const latencyMs = signals?.latencyMs ?? null
    const view = { target: target.id, rejected: null, costNanoUsd, latencyMs, draw }
    return { target, view, rank: -draw, tie: drawAt(seed, index) }
  })
  return sortByRank(placed)
}

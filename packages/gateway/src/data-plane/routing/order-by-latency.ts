import { drawAt } from '../../lib/seeded-draw.ts'
import type { Examined } from './reject-target.ts'
import type { SelectQuery } from './select-query.ts'
import { type Placed, type Ranked, sortByRank } from './sort-by-rank.ts'

/**
 * Power of two choices: of two that are drawn, the one that should answer sooner is first; the others follow by the same.
 *
 * What counts is the peak-sensitive latency times the calls that would then be under way. To take always the best would
 * send every request to one target until its number shows that. A target that was never seen is tried while nothing is
 * under way there, and counts as the slowest otherwise.
 */
export function orderByLatency(
  candidates: readonly Examined[],
  { seed }: SelectQuery,
): readonly Placed[] {
  const sorted = sortByRank(rankAll(candidates, seed))
  const count = sorted.length
  const chosen = betterOfTwo(count, seed)
  const placed: Placed[] = []
  for (let place = 0; place < count; place++) {
    // The chosen one goes before those that are better than it.
    const from = place === 0 ? chosen : place <= chosen ? place - 1 : place
    const one = sorted[from]
    if (one === undefined) continue
    const propensity = count === 1 ? 1 : (2 * (count - 1 - from)) / (count * (count - 1))
    placed.push({ target: one.target, view: { ...one.view, propensity } })
  }
  return placed
}

function rankAll(candidates: readonly Examined[], seed: number): Ranked[] {
  let slowestMs = 1
  for (const { signals } of candidates) slowestMs = Math.max(slowestMs, signals?.latencyMs ?? 0)
  const ranked: Ranked[] = []
  for (const { target, signals } of candidates) {
    const inFlight = signals?.inFlight ?? 0
    const latencyMs = signals?.latencyMs ?? null
    const perCallMs = latencyMs ?? (inFlight === 0 ? 0 : slowestMs)
    const view = { target: target.id, rejected: null, latencyMs, inFlight }
    const tie = drawAt(seed, ranked.length)
    ranked.push({ target, view, rank: perCallMs * (inFlight + 1), tie })
  }
  return ranked
}

/** The smaller of two different places of so many, drawn after the ties. */
function betterOfTwo(count: number, seed: number): number {
  if (count < 2) return 0
  const one = Math.floor(drawAt(seed, count) * count)
  const skipped = Math.floor(drawAt(seed, count + 1) * (count - 1))
  return Math.min(one, skipped < one ? skipped : skipped + 1)
}

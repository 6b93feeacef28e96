import { drawAt } from '../../lib/seeded-draw.ts'
import type { Examined } from './reject-target.ts'
import type { SelectQuery } from './select-query.ts'
import { type Placed, sortByRank } from './sort-by-rank.ts'

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
  const slowestMs = Math.max(1, ...candidates.map(({ signals }) => signals?.latencyMs ?? 0))
  const ranked = candidates.map(({ target, signals }, index) => {
    const inFlight = signals?.inFlight ?? 0
    const latencyMs = signals?.latencyMs ?? null
    const perCallMs = latencyMs ?? (inFlight === 0 ? 0 : slowestMs)
    return { target, index, inFlight, latencyMs, rank: perCallMs * (inFlight + 1) }
  })
  const placed = ranked.map(({ target, index, inFlight, latencyMs, rank }) => ({
    target,
    rank,
    tie: drawAt(seed, index),
    index,
    view: { target: target.id, rejected: null, latencyMs, inFlight, propensity: 0 },
  }))
  const sorted = [...sortByRank(placed)]
  const count = sorted.length
  for (const [place, one] of sorted.entries()) {
    one.view.propensity = count === 1 ? 1 : (2 * (count - 1 - place)) / (count * (count - 1))
  }
  const first = sorted[betterOfTwo(count, seed)]
  return first === undefined ? sorted : [first, ...sorted.filter((one) => one !== first)]
}

/** The smaller of two different places of so many, drawn after the ties. */
function betterOfTwo(count: number, seed: number): number {
  if (count < 2) return 0
  const one = Math.floor(drawAt(seed, count) * count)
  const skipped = Math.floor(drawAt(seed, count + 1) * (count - 1))
  return Math.min(one, skipped < one ? skipped : skipped + 1)
}

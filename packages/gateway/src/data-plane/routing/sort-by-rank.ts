import type { CandidateView } from '../../contracts/routing.ts'
import type { TargetPlan } from '../../plan/gateway-plan.ts'

/** A candidate that may be tried, with what the strategy went by. */
export type Placed = { readonly target: TargetPlan; readonly view: CandidateView }

type Ranked = Placed & { readonly rank: number; readonly tie?: number }

/** In place: the smallest first. Equal ones by their tie, and as written without one. Few are sorted, so by insertion. */
export function sortByRank<T extends Ranked>(placed: T[]): readonly T[] {
  for (let i = 1; i < placed.length; i++) {
    const one = placed[i]
    if (one === undefined) continue
    let at = i
    for (let other = placed[at - 1]; other !== undefined && isBefore(one, other); ) {
      placed[at] = other
      at -= 1
      other = placed[at - 1]
    }
    placed[at] = one
  }
  return placed
}

function isBefore(one: Ranked, other: Ranked): boolean {
  if (one.rank !== other.rank) return one.rank < other.rank
  return one.tie !== undefined && other.tie !== undefined && one.tie < other.tie
}

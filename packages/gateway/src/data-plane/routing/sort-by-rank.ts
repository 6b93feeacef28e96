import type { CandidateView } from '../../contracts/routing.ts'
import type { TargetPlan } from '../../plan/gateway-plan.ts'

/** A candidate that may be tried, with what the strategy went by. */
export type Placed = { readonly target: TargetPlan; readonly view: CandidateView }

/** All strategies make these of the same members in the same order, so that one sort serves them quickly. */
export type Ranked = {
  readonly target: TargetPlan
  readonly view: CandidateView
  readonly rank: number
  /** Among equal ranks the smaller comes first; equal ones stay as written. */
  readonly tie: number
}

/** In place: the smallest first. Few are sorted, so by insertion. */
export function sortByRank(ranked: Ranked[]): readonly Placed[] {
  for (let i = 1; i < ranked.length; i++) {
    const one = ranked[i]
    if (one === undefined) continue
    let at = i
    for (; at > 0; at--) {
      const before = ranked[at - 1]
      if (before === undefined || !isBefore(one, before)) break
      ranked[at] = before
    }
    ranked[at] = one
  }
  return ranked
}

function isBefore(one: Ranked, other: Ranked): boolean {
  return one.rank < other.rank || (one.rank === other.rank && one.tie < other.tie)
}

import type { LimitPlan } from '../../contracts/limit.ts'

/** What a counter is made of; how its limit is enforced comes with the first request under the present configuration. */
export function bareLimit(
  counted: Pick<LimitPlan, 'id' | 'scope' | 'unit' | 'algorithm'>,
): LimitPlan {
  return {
    ...counted,
    match: null,
    mode: 'enforce',
    reserve: 'max',
    whenShort: 'refuse',
    minOutputTokens: 0,
    alerts: [],
  }
}

import type { LimitPlan } from '../contracts/limit.ts'
import type { TriedAdmission, TriedCharge } from '../data-plane/what-if/try-admission.ts'
import { limitFor } from '../plan/compile-limit.ts'
import type { KeyPlan } from '../plan/gateway-plan.ts'
import { termsFor } from '../data-plane/routing/terms-for.ts'
import { judged, limitFacts, limitValue, type Situation, whySkipped } from './explain-limits.ts'
import type { SimulatedLimit } from './what-if-api.ts'

const NANO_PER_USD = 1e9

type Asked = {
  readonly key: KeyPlan
  readonly query: Situation['query']
  /** The layers of the policy that each field comes from. */
  readonly sources: ReadonlyMap<string, readonly string[]>
}

/** Every limit of the policy that holds: what the request would take of it, or why it takes nothing. */
export function simulatedLimits(
  tried: TriedAdmission,
  { key, query, sources }: Asked,
): readonly SimulatedLimit[] {
  const { policy } = query.model === undefined ? key : termsFor(key, query.model)
  const fromOf = (id: string): readonly string[] => sources.get(`limits.${id}`) ?? []
  const situation: Situation = { query, key, target: tried.target ?? tried.targets[0] ?? null }
  return policy.limits.flatMap((limit): readonly SimulatedLimit[] => {
    const from = fromOf(limit.id)
    const charges = tried.charges.filter(({ charge }) => charge.limit.id === limit.id)
    if (charges.length === 0) return [untaken(limit, situation, from)]
    return charges.map((one) => taken(one, { from, admitted: tried.error === null }))
  })
}

function taken(
  { charge, before, demand, held }: TriedCharge,
  { from, admitted }: { readonly from: readonly string[]; readonly admitted: boolean },
): SimulatedLimit {
  const { limit, value } = charge
  const found = judged(limit, before ?? undefined, demand)
  const scale = limit.unit === 'usd' ? NANO_PER_USD : 1
  const own = { ...limitFacts(limit), from, value, held: held === null ? null : held / scale }
  if (!admitted || (found.outcome !== 'refused' && found.outcome !== 'never')) {
    return { ...own, ...found }
  }
  return { ...own, ...found, outcome: 'passes', reason: 'less than the worst case is held' }
}

function untaken(limit: LimitPlan, situation: Situation, from: readonly string[]): SimulatedLimit {
  const value = limitValue(limit, situation)
  const own = value === null ? limit : (limitFor(limit, value) ?? limit)
  const skipped = whySkipped(limit, value, situation)
  return {
    ...limitFacts(own),
    from,
    value,
    used: null,
    reserved: null,
    amount: null,
    resets_at: null,
    needs: null,
    held: null,
    outcome: skipped?.outcome ?? 'not_reached',
    reason: skipped?.reason ?? 'the request was refused before',
  }
}

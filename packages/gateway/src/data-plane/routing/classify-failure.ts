import type { ProviderRefusal } from '../../contracts/conversation.ts'
import type { FailureClass } from '../../contracts/provider.ts'
import type { ProviderPlan } from '../../plan/gateway-plan.ts'

/** What a status means where neither the provider's own facts nor its words say otherwise. */
const BY_STATUS: ReadonlyMap<number, FailureClass> = new Map<number, FailureClass>([
  [401, 'auth'],
  [402, 'quota'],
  [403, 'auth'],
  [408, 'timeout'],
  [429, 'rate_limited'],
  [503, 'overloaded'],
  [504, 'timeout'],
  [529, 'overloaded'],
])

/** Words of an upstream that say more than its status. */
const BY_KIND: Partial<Record<ProviderRefusal['kind'], FailureClass>> = {
  authentication: 'auth',
  quota: 'quota',
  rate_limit: 'rate_limited',
  overloaded: 'overloaded',
  timeout: 'timeout',
  context_overflow: 'context_overflow',
  content_filter: 'content_filter',
}
const CONFLICT = 409

/** What the status alone says. `auth` may hold the gateway's own credential, so that its body goes nowhere. */
export function classOfStatus(provider: ProviderPlan, status: number): FailureClass {
  const known = provider.failures[status] ?? BY_STATUS.get(status)
  if (known !== undefined) return known
  return status >= 500 ? 'transient' : 'client'
}

/** The class of an upstream's refusal. `refusal`: what its protocol reads in the body; null: nothing. */
export function classifyFailure(
  provider: ProviderPlan,
  status: number,
  refusal: ProviderRefusal | null,
): FailureClass {
  const byStatus = classOfStatus(provider, status)
  const kind = refusal?.kind ?? null
  if (kind === null) return byStatus
  if (provider.failures[status] !== undefined) {
    return kind === 'quota' && byStatus === 'rate_limited' ? 'quota' : byStatus
  }
  // Some say of a conflict that it is theirs, and passes.
  if (status === CONFLICT) return kind === 'upstream' ? 'transient' : byStatus
  if (byStatus === 'auth' && kind !== 'quota' && kind !== 'content_filter') return byStatus
  return BY_KIND[kind] ?? byStatus
}

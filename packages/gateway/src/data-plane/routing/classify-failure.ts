import type { FailureClass } from '../../contracts/provider.ts'
import type { ProviderPlan } from '../../plan/gateway-plan.ts'

/** What a status means where the provider's own facts do not say otherwise. */
const GENERAL: ReadonlyMap<number, FailureClass> = new Map<number, FailureClass>([
  [401, 'auth'],
  [402, 'quota'],
  [403, 'auth'],
  [408, 'timeout'],
  [429, 'rate_limited'],
  [503, 'overloaded'],
  [504, 'timeout'],
  [529, 'overloaded'],
])

/** The class of an upstream's refusal. `client` ends the request; any other class may be tried at another target. */
export function classifyFailure(provider: ProviderPlan, status: number): FailureClass {
  const known = provider.failures[status] ?? GENERAL.get(status)
  if (known !== undefined) return known
  return status >= 500 ? 'transient' : 'client'
}

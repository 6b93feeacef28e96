import type { RouteDecision } from '../../contracts/routing.ts'
import type { RequestContext } from '../pipeline/request-context.ts'

/** Why the request went where it went, told of the target that was tried last. Null: it came to no choice. */
export function toldDecision({ decision, target }: RequestContext): RouteDecision | null {
  if (decision === null || target === null || target.fallback === null) return decision
  return decision.reason === 'escalated' ? decision : { ...decision, reason: 'fallback' }
}

/** The same in one word. */
export function toldReason({ decision, target }: RequestContext): RouteDecision['reason'] | null {
  if (decision === null) return null
  const standsIn = target !== null && target.fallback !== null
  return standsIn && decision.reason !== 'escalated' ? 'fallback' : decision.reason
}

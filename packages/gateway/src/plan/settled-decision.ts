import type { RouteDecision, Strategy } from '../contracts/routing.ts'
import type { ModelPlan, TargetPlan } from './gateway-plan.ts'

/** The decision for one target of which nothing depends on the request; null: there is something to choose or to check. */
export function settledDecision(
  targets: readonly TargetPlan[],
  strategy: Strategy,
  reason: ModelPlan['reason'],
): RouteDecision | null {
  const [only] = targets
  if (only === undefined || targets.length > 1 || !only.enabled || only.lacks !== null) return null
  return {
    strategy,
    mode: null,
    alias: null,
    variant: null,
    reason,
    candidates: [{ target: only.id, rejected: null }],
  }
}

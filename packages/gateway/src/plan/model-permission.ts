import type { PolicyPlan } from './gateway-plan.ts'

/** Allowed by the name that was asked for; denied also by the target's own names, so that no other spelling escapes. */
export function targetPermitted(
  policy: PolicyPlan,
  requested: string,
  target: { readonly id: string; readonly address: string; readonly model: string },
): boolean {
  if (policy.modelAllowed !== null && !policy.modelAllowed(requested)) return false
  const denied = policy.modelDenied
  if (denied === null) return true
  return !(denied(target.address) || denied(target.model) || denied(target.id))
}

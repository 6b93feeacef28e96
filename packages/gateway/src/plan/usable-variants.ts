import type { AliasPlan, AliasVariant, GatewayPlan, KeyPlan } from './gateway-plan.ts'
import { targetPermitted } from './model-permission.ts'
import { resolveModel } from './resolve-model.ts'

/**
 * The variants that this key may use under their own names; none when the alias is switched off or its name is denied.
 *
 * An alias gives nobody a model: a key that may use only some of its variants gets those.
 */
export function usableVariants(
  plan: GatewayPlan,
  key: KeyPlan,
  alias: AliasPlan,
): readonly AliasVariant[] {
  const { policy } = key
  if (!alias.enabled || policy.modelDenied?.(alias.name) === true) return []
  if (policy.modelAllowed === null && policy.modelDenied === null) return alias.variants
  return alias.variants.filter(({ model }) =>
    resolveModel(plan, key, model)?.targets.some((one) => targetPermitted(policy, model, one)),
  )
}

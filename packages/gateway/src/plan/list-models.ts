import type { GatewayPlan, KeyPlan } from './gateway-plan.ts'
import { targetPermitted } from './model-permission.ts'
import { usableVariants } from './usable-variants.ts'

/**
 * Names that this key may ask for, sorted: the models of the configuration, then what the catalogue knows of each
 * configured provider that has its credential, under the bare id where that alone says which is meant, else as
 * `provider/model`.
 */
export function listModels(plan: GatewayPlan, key: KeyPlan): readonly string[] {
  const { policy } = key
  const names = new Set<string>()
  for (const model of plan.models.values()) {
    if (model.targets.some((one) => one.enabled && targetPermitted(policy, model.name, one))) {
      names.add(model.name)
    }
  }
  for (const alias of plan.routing.aliases?.values() ?? []) {
    if (usableVariants(plan, key, alias).length > 0) names.add(alias.name)
  }
  const bareNamesServe = policy.providerEntries.length === 0 && policy.defaultProvider === null
  for (const provider of plan.providers.values()) {
    if (provider.credentialMissing !== null) continue
    for (const model of plan.onDemand.modelsOf(provider)) {
      const address = `${provider.name}/${model}`
      const target = { id: address, address, model }
      const bare = bareNamesServe && isUnambiguous(plan, model)
      const name = [...(bare ? [model] : []), target.id].find((one) =>
        targetPermitted(policy, one, target),
      )
      if (name !== undefined) names.add(name)
    }
  }
  return [...names].toSorted()
}

/** Also false where the id would be read as `provider/model` of another provider. */
function isUnambiguous(plan: GatewayPlan, model: string): boolean {
  if (plan.models.has(model)) return false
  const slash = model.indexOf('/')
  if (slash > 0 && plan.providers.has(model.slice(0, slash))) return false
  return plan.onDemand.providersKnowing(model).length === 1
}

import { targetPermitted } from './model-permission.ts'
import type { GatewayPlan, KeyPlan } from './gateway-plan.ts'

/**
 * Names that this key may ask for, sorted: the models of the configuration, then `provider/model` of what the catalogue
 * knows of each configured provider that has its credential.
 */
export function listModels(plan: GatewayPlan, key: KeyPlan): readonly string[] {
  const names = new Set<string>()
  for (const model of plan.models.values()) {
    if (model.targets.some((target) => targetPermitted(key.policy, model.name, target))) {
      names.add(model.name)
    }
  }
  for (const provider of plan.providers.values()) {
    if (provider.credentialMissing !== null) continue
    for (const id of plan.onDemand.modelsOf(provider)) {
      const name = `${provider.name}/${id}`
      if (targetPermitted(key.policy, name, { id: name, model: id })) names.add(name)
    }
  }
  return [...names].toSorted()
}

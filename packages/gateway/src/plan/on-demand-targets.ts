import { compileTarget, type CatalogueOf } from './compile-model.ts'
import type { OnDemandTargets, ProviderPlan, TargetPlan } from './gateway-plan.ts'

/** Names come from clients, so that only so many are kept; the oldest goes first. */
const MAX_KEPT = 5_000

export function createOnDemandTargets(
  providers: ReadonlyMap<string, ProviderPlan>,
  catalogue: CatalogueOf,
): OnDemandTargets {
  const kept = new Map<string, TargetPlan>()
  return {
    target(provider, model) {
      const id = `${provider.name}/${model}`
      const known = kept.get(id)
      if (known !== undefined) return known
      const target = compileTarget(provider, model, { catalogue, facts: [], weight: 1 })
      if (kept.size >= MAX_KEPT) kept.delete(kept.keys().next().value ?? '')
      kept.set(id, target)
      return target
    },
    providersKnowing(model) {
      return [...providers.keys()].filter(
        (name) => catalogue.models.find(catalogue.idOf(name), model) !== null,
      )
    },
    modelsOf(provider) {
      return catalogue.models.modelsOf(catalogue.idOf(provider.name))
    },
  }
}

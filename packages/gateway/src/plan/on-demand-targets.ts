import { compileTarget, type CatalogueOf } from './compile-model.ts'
import type { OnDemandTargets, ProviderPlan, TargetPlan } from './gateway-plan.ts'

/** Names come from clients, so that only so many are kept; the oldest goes first. */
const MAX_KEPT = 5_000

export function createOnDemandTargets(
  providers: ReadonlyMap<string, ProviderPlan>,
  catalogue: CatalogueOf,
): OnDemandTargets {
  const kept = new Map<string, TargetPlan>()
  const listed = new Map<string, ReadonlySet<string>>()
  const listOf = (name: string): ReadonlySet<string> => {
    const known = listed.get(name) ?? new Set(catalogue.models.modelsOf(catalogue.idOf(name)))
    listed.set(name, known)
    return known
  }
  return {
    target(provider, model) {
      const id = `${provider.name}/${model}`
      const known = kept.get(id)
      if (known !== undefined) return known
      const target = compileTarget(provider, model, {
        catalogue,
        facts: [],
        weight: 1,
        isOnly: true,
      })
      if (kept.size >= MAX_KEPT) kept.delete(kept.keys().next().value ?? '')
      kept.set(id, target)
      return target
    },
    /** A listed id counts before one that is only understood, because the sandbox understands every name. */
    providersKnowing(model) {
      const names = [...providers.keys()]
      const exact = names.filter((name) => listOf(name).has(model))
      if (exact.length > 0) return exact
      return names.filter((name) => catalogue.models.find(catalogue.idOf(name), model) !== null)
    },
    modelsOf(provider) {
      return catalogue.models.modelsOf(catalogue.idOf(provider.name))
    },
  }
}

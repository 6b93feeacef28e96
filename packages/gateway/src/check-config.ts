import { createModelCatalogue } from './catalogue/model-catalogue.ts'
import { withProviders } from './compose-core.ts'
import { type LoadedConfig, loadConfig, type LoadOptions } from './config/load-config.ts'
import { compilePlan } from './plan/compile-plan.ts'
import { PROVIDERS } from './registry.ts'

/**
 * Loads and compiles without opening the store: policies that are only stored are not known here. Throws `ConfigError` or
 * `PlanError`.
 */
export function checkConfig(load: LoadOptions): LoadedConfig {
  const loaded = withProviders(loadConfig(load), load.env)
  compilePlan({
    config: loaded.config,
    catalogue: new Map(PROVIDERS.map((facts) => [facts.id, facts])),
    models: createModelCatalogue(),
    storedPolicies: [],
    revision: 0,
    env: load.env,
  })
  return loaded
}

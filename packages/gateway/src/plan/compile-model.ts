import type { ModelConfig, ModelFacts, TargetConfig } from '../config/gateway-config.ts'
import type { ModelCatalogue } from '../contracts/catalogue.ts'
import { didYouMean } from '../lib/did-you-mean.ts'
import { formatPath } from '../config/config-error.ts'
import { compilePrice } from './compile-price.ts'
import type { ModelPlan, ProviderPlan, TargetPlan } from './gateway-plan.ts'
import { PlanError } from './plan-error.ts'
import { orderBy } from './strategies/order-targets.ts'

/**
 * The cap of a model that neither the catalogue nor the file knows one for. Tokens.
 *
 * Enough for what most models write; an answer that is longer is charged in full when it is settled.
 */
const DEFAULT_MAX_OUTPUT_TOKENS = 16_384

/** What the catalogue says of the models of a configured provider. */
export type CatalogueOf = {
  readonly models: ModelCatalogue
  /** Catalogue id of a configured provider: its own name, or the one that it extends. */
  readonly idOf: (providerName: string) => string
}

/** One model at one provider. `facts`: later ones win over earlier ones, field by field. */
export function compileTarget(
  provider: ProviderPlan,
  model: string,
  use: {
    readonly catalogue: CatalogueOf
    readonly facts: readonly { readonly facts: ModelFacts; readonly at: string }[]
    readonly weight: number
  },
): TargetPlan {
  const known = use.catalogue.models.find(use.catalogue.idOf(provider.name), model)
  let price = known?.price ?? null
  let contextTokens = known?.contextTokens ?? null
  let maxOutputTokens = known?.maxOutputTokens ?? null
  let tokenizer = known?.tokenizer ?? null
  for (const { facts, at } of use.facts) {
    price = compilePrice(facts.price, price, `${at}.price`)
    contextTokens = facts.context ?? contextTokens
    maxOutputTokens = facts.max_output ?? maxOutputTokens
    tokenizer = facts.tokenizer ?? tokenizer
  }
  return {
    id: `${provider.name}/${model}`,
    provider,
    model,
    weight: use.weight,
    price,
    contextTokens,
    maxOutputTokens:
      maxOutputTokens ?? Math.min(DEFAULT_MAX_OUTPUT_TOKENS, contextTokens ?? Infinity),
    maxOutputAssumed: maxOutputTokens === null,
    tokenizer,
    prompts: null,
    fallback: null,
  }
}

/** A public name and its targets. Throws `PlanError`. */
export function compileModel(
  name: string,
  config: ModelConfig,
  use: {
    readonly providers: ReadonlyMap<string, ProviderPlan>
    readonly catalogue: CatalogueOf
  },
): ModelPlan {
  const at = formatPath(['models', name])
  const targets = config.targets.map((target, index) => {
    const targetAt = `${at}.targets[${index}]`
    return compileTarget(findProvider(target, use.providers, targetAt), target.model ?? name, {
      catalogue: use.catalogue,
      facts: [
        { facts: config, at },
        { facts: target, at: targetAt },
      ],
      weight: target.weight ?? 1,
    })
  })
  return { name, targets, order: orderBy(config.strategy, targets) }
}

function findProvider(
  target: TargetConfig,
  providers: ReadonlyMap<string, ProviderPlan>,
  at: string,
): ProviderPlan {
  const provider = providers.get(target.provider)
  if (provider !== undefined) return provider
  const near = didYouMean(target.provider, [...providers.keys()])
  throw new PlanError(`${at}.provider`, `no provider "${target.provider}" is configured${near}`)
}

import type {
  CapabilitiesConfig,
  ModelConfig,
  ModelFacts,
  TargetConfig,
} from '../config/gateway-config.ts'
import type { CatalogueModel, ModelCatalogue } from '../contracts/catalogue.ts'
import { CAPABILITIES, type Capability, type Strategy } from '../contracts/routing.ts'
import type { Secret } from '../config/secret.ts'
import { didYouMean } from '../lib/did-you-mean.ts'
import { formatPath } from '../config/config-error.ts'
import { compilePrice } from './compile-price.ts'
import type { ModelPlan, ProviderPlan, TargetPlan } from './gateway-plan.ts'
import { PlanError } from './plan-error.ts'
import { settledDecision } from './settled-decision.ts'

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
    readonly facts: readonly PlacedFacts[]
    readonly weight: number
    /** Nothing else can be chosen, so what the catalogue says of its abilities is left to the provider. */
    readonly isOnly: boolean
    readonly id?: string | undefined
    readonly enabled?: boolean | undefined
  },
): TargetPlan {
  const known = use.catalogue.models.find(use.catalogue.idOf(provider.name), model)
  const start = known === null || use.isOnly ? { ...(known ?? UNKNOWN), capabilities: {} } : known
  const { maxOutputTokens, contextTokens, ...facts } = layFacts(start, use.facts)
  const address = `${provider.name}/${model}`
  return {
    id: use.id ?? address,
    healthId: use.id ?? address,
    address,
    enabled: use.enabled ?? true,
    lacks: lacking(facts.capabilities ?? {}),
    provider,
    model,
    weight: use.weight,
    price: facts.price,
    contextTokens,
    maxOutputTokens:
      maxOutputTokens ?? Math.min(DEFAULT_MAX_OUTPUT_TOKENS, contextTokens ?? Infinity),
    maxOutputAssumed: maxOutputTokens === null,
    tokenizer: facts.tokenizer,
    prompts: null,
    fallback: null,
    servesAs: null,
  }
}

type PlacedFacts = { readonly facts: ModelFacts; readonly at: string }

const UNKNOWN: CatalogueModel = {
  price: null,
  contextTokens: null,
  maxOutputTokens: null,
  tokenizer: null,
}

function layFacts(known: CatalogueModel, layers: readonly PlacedFacts[]): CatalogueModel {
  let laid = known
  for (const { facts, at } of layers) {
    laid = {
      price: compilePrice(facts.price, laid.price, `${at}.price`),
      contextTokens: facts.context ?? laid.contextTokens,
      maxOutputTokens: facts.max_output ?? laid.maxOutputTokens,
      tokenizer: facts.tokenizer ?? laid.tokenizer,
      capabilities: { ...laid.capabilities, ...facts.capabilities },
    }
  }
  return laid
}

/** Null: nothing, as far as anybody knows. */
function lacking(capabilities: CapabilitiesConfig): readonly Capability[] | null {
  const lacks = CAPABILITIES.filter((name) => capabilities[name] === false)
  return lacks.length === 0 ? null : lacks
}

export type ModelSources = {
  readonly providers: ReadonlyMap<string, ProviderPlan>
  readonly catalogue: CatalogueOf
  /** Of models that name none. */
  readonly strategy: Strategy
  /** The provider of this name with another credential. Throws `PlanError`. */
  readonly withCredential: (provider: string, credential: Secret, at: string) => ProviderPlan
}

/** A public name and its targets. Throws `PlanError`. */
export function compileModel(name: string, config: ModelConfig, use: ModelSources): ModelPlan {
  const at = formatPath(['models', name])
  const targets = config.targets.map((target, index) => {
    const targetAt = `${at}.targets[${index}]`
    return compileTarget(providerOf(target, use, targetAt), target.model ?? name, {
      catalogue: use.catalogue,
      facts: [
        { facts: config, at },
        { facts: target, at: targetAt },
      ],
      weight: target.weight ?? 1,
      isOnly: config.targets.length === 1,
      id: target.id,
      enabled: target.enabled,
    })
  })
  refuseRepeated(targets, at)
  const strategy = config.strategy ?? use.strategy
  const statesContext = [config, ...config.targets].some(({ context }) => context !== undefined)
  const settled = statesContext ? null : settledDecision(targets, strategy, 'model')
  return { name, targets, strategy, reason: 'model', settled }
}

/** Health, limits and records go by the id. */
function refuseRepeated(targets: readonly TargetPlan[], at: string): void {
  const seen = new Set<string>()
  for (const [index, { id }] of targets.entries()) {
    if (seen.has(id)) {
      const problem = `another target of this model is "${id}"; give each an id of its own`
      throw new PlanError(`${at}.targets[${index}].id`, problem)
    }
    seen.add(id)
  }
}

function providerOf(target: TargetConfig, use: ModelSources, at: string): ProviderPlan {
  const provider = findProvider(target, use.providers, at)
  const { credential } = target
  if (credential === undefined) return provider
  if (provider.auth.kind === 'none') {
    throw new PlanError(`${at}.credential`, `the provider ${provider.name} takes none`)
  }
  return use.withCredential(provider.name, credential, at)
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

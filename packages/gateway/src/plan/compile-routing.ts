import { formatPath } from '../config/config-error.ts'
import type { AliasConfig, GatewayConfig, RoutingConfig } from '../config/gateway-config.ts'
import { BUILT_IN_MODES, type Strategy } from '../contracts/routing.ts'
import { didYouMean } from '../lib/did-you-mean.ts'
import { parseDurationMs } from '../lib/duration.ts'
import type {
  AliasPlan,
  GatewayPlan,
  ModelPlan,
  OperatorTerms,
  RoutingPlan,
  TargetPlan,
} from './gateway-plan.ts'
import { PlanError } from './plan-error.ts'
import { isServed } from './resolve-model.ts'

/** Names that stand for any model. No model, no alias may have them. */
export const WILDCARDS: ReadonlySet<string> = new Set(['*', 'auto'])
/** The mode in which the bandit orders. */
export const THOMPSON = 'thompson'

type Served = Pick<GatewayPlan, 'models' | 'providers' | 'onDemand'>

export type StoredAlias = { readonly name: string; readonly alias: AliasConfig }

/** Throws `PlanError`. */
export function compileRoutingPlan(
  config: GatewayConfig,
  served: Served,
  stored: readonly StoredAlias[],
): RoutingPlan {
  const { routing } = config
  const modes = new Map([...Object.entries(BUILT_IN_MODES), ...Object.entries(routing.modes)])
  if (routing.modes[THOMPSON] !== undefined) {
    throw new PlanError(`routing.modes.${THOMPSON}`, 'is the name of the bandit itself')
  }
  checkMode(routing.default_mode, 'routing.default_mode', modes)
  for (const name of WILDCARDS) {
    const problem = `"${name}" stands for any model, so none can have this name`
    if (served.models.has(name)) throw new PlanError(formatPath(['models', name]), problem)
  }
  return {
    modes,
    defaultMode: routing.default_mode,
    forgetting: {
      halfLifeMs: parseDurationMs(routing.thompson.half_life),
      window: routing.thompson.window,
    },
    wildcard: compileWildcard(routing, served),
    aliases: compileAliases(config, served, stored),
  }
}

/** Throws `PlanError` unless there is such a mode. */
function checkMode(mode: string, at: string, modes: RoutingPlan['modes']): void {
  if (mode === THOMPSON || modes.has(mode)) return
  const near = didYouMean(mode, [...modes.keys(), THOMPSON])
  throw new PlanError(at, `no mode "${mode}" is known${near}`)
}

/** Throws `PlanError` when a policy asks for what does not exist. */
export function checkPolicyRouting(
  routing: { readonly mode?: string },
  { modes }: Pick<OperatorTerms, 'modes'>,
  at: string,
): void {
  if (routing.mode !== undefined) checkMode(routing.mode, `${at}mode`, modes)
}

const WILDCARD_STRATEGY: Strategy = 'score'

function compileWildcard(routing: RoutingConfig, served: Served): ModelPlan | null {
  const names = routing.wildcard ?? [...served.models.keys()]
  const targets = new Map<string, TargetPlan>()
  for (const [index, name] of names.entries()) {
    for (const target of wildcardTargets(name, served, `routing.wildcard[${index}]`)) {
      // A target that several models share serves the first of them.
      if (!targets.has(target.id)) targets.set(target.id, { ...target, servesAs: name })
    }
  }
  if (targets.size === 0) return null
  const strategy = routing.strategy ?? WILDCARD_STRATEGY
  return { name: '*', targets: [...targets.values()], strategy, reason: 'wildcard', settled: null }
}

function wildcardTargets(name: string, served: Served, at: string): readonly TargetPlan[] {
  const model = served.models.get(name)
  if (model !== undefined) return model.targets
  const slash = name.indexOf('/')
  const provider = served.providers.get(name.slice(0, Math.max(0, slash)))
  if (provider !== undefined && name.length > slash + 1) {
    return [served.onDemand.target(provider, name.slice(slash + 1))]
  }
  const knowing = served.onDemand.providersKnowing(name)
  const only = served.providers.get(knowing.length === 1 ? (knowing[0] ?? '') : '')
  if (only !== undefined) return [served.onDemand.target(only, name)]
  throw new PlanError(at, `no configured provider serves "${name}"`)
}

/** What stands in the file wins over what is stored under the same name. A stored one that is not valid any more is left out. */
function compileAliases(
  config: GatewayConfig,
  served: Served,
  stored: readonly StoredAlias[],
): RoutingPlan['aliases'] {
  const aliases = new Map<string, AliasPlan>()
  const names = new Set([...stored.map(({ name }) => name), ...Object.keys(config.aliases)])
  for (const { name, alias } of stored) {
    if (aliasProblem(name, alias, { ...served, aliases: names }) === null) {
      aliases.set(name, { name, ...alias })
    }
  }
  for (const [name, alias] of Object.entries(config.aliases)) {
    const problem = aliasProblem(name, alias, { ...served, aliases: names })
    if (problem !== null) {
      throw new PlanError(formatPath(['aliases', name, ...problem.path]), problem.message)
    }
    aliases.set(name, { name, ...alias })
  }
  return aliases.size === 0 ? null : aliases
}

/** What is wrong with an alias, besides its form; null: nothing. `aliases`: the names of all. */
export function aliasProblem(
  name: string,
  alias: AliasConfig,
  known: Served & { readonly aliases: ReadonlySet<string> },
): { readonly path: readonly (string | number)[]; readonly message: string } | null {
  if (WILDCARDS.has(name)) return { path: [], message: `"${name}" stands for any model` }
  if (known.models.has(name)) return { path: [], message: `"${name}" is a model already` }
  for (const [index, { model }] of alias.variants.entries()) {
    const path = ['variants', index, 'model']
    if (model === name) return { path, message: 'is the alias itself' }
    if (WILDCARDS.has(model)) return { path, message: `"${model}" stands for any model` }
    if (known.aliases.has(model)) {
      return { path, message: `"${model}" is an alias itself; name its variants` }
    }
    if (!isServed(known, model)) {
      return { path, message: `no configured provider serves "${model}"` }
    }
  }
  return null
}

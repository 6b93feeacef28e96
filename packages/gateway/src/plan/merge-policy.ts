import { allLimits, type FullLimit } from '../config/limit-shorthands.ts'
import { searchPattern } from '../config/name-matcher.ts'
import type { PolicyFields, ProviderEntryConfig } from '../config/policy-config.ts'
import { patternsOf } from './compile-limit.ts'
import { looserThan } from './looser-limit.ts'
import { mergeUpstream, type MergedUpstream, NO_UPSTREAM } from './merge-upstream.ts'
import {
  addNumber,
  addScalar,
  type PolicyConflict,
  type PolicyLayer,
  type Sourced,
  sourced,
} from './sourced.ts'

/** `floor`: where the limit is open, the inherited one that still may not be passed; null: none. */
type SourcedLimit = Sourced<FullLimit> & { readonly floor: Sourced<FullLimit> | null }

/**
 * Policies laid over each other. Every list of `Sourced` holds constraints that hold together: the strictest counts for
 * numbers, all must agree for lists of names.
 */
export type MergedPolicy = {
  readonly allow: readonly Sourced<readonly string[]>[]
  readonly deny: readonly Sourced<readonly string[]>[]
  readonly endpoints: readonly Sourced<readonly string[]>[]
  readonly ipAllow: readonly Sourced<readonly string[]>[]
  readonly limits: readonly SourcedLimit[]
  readonly maxOutputTokens: readonly Sourced<number>[]
  readonly maxInputTokens: readonly Sourced<number>[]
  readonly maxCostPerRequest: readonly Sourced<number>[]
  readonly unpriced: readonly Sourced<'deny' | 'allow'>[]
  readonly strictTranslation: readonly Sourced<boolean>[]
  readonly trustScopeHeaders: readonly Sourced<boolean>[]
  readonly defaultProvider: Sourced<string> | null
  readonly metadata: ReadonlyMap<string, Sourced<string>>
  /** A later layer's entries come first, because the first match wins. */
  readonly providers: readonly Sourced<ProviderEntryConfig>[]
  readonly upstream: MergedUpstream
  readonly conflicts: readonly PolicyConflict[]
}

const NO_POLICY: MergedPolicy = {
  allow: [],
  deny: [],
  endpoints: [],
  ipAllow: [],
  limits: [],
  maxOutputTokens: [],
  maxInputTokens: [],
  maxCostPerRequest: [],
  unpriced: [],
  strictTranslation: [],
  trustScopeHeaders: [],
  defaultProvider: null,
  metadata: new Map(),
  providers: [],
  upstream: NO_UPSTREAM,
  conflicts: [],
}

/** In order, the most general first. Never looser than any layer, but where that layer marks a field overridable. */
export function mergePolicies(layers: readonly PolicyLayer[]): MergedPolicy {
  return layers.reduce(mergeLayer, NO_POLICY)
}

/** One more layer on top. */
export function mergeLayer(merged: MergedPolicy, layer: PolicyLayer): MergedPolicy {
  const { policy } = layer
  const conflicts = [...merged.conflicts]
  const number = (field: NumberField, inherited: readonly Sourced<number>[]) =>
    addNumber(inherited, layer, { field, value: policy[field], conflicts })
  const limits = mergeLimits(merged.limits, layer, conflicts)
  return {
    allow: addNames(merged.allow, layer, { field: 'models.allow', names: allowOf(policy) }),
    deny: addNames(merged.deny, layer, { field: 'models.deny', names: denyOf(policy) }),
    endpoints: addNames(merged.endpoints, layer, { field: 'endpoints', names: policy.endpoints }),
    ipAllow: addNames(merged.ipAllow, layer, { field: 'ip_allow', names: policy.ip_allow }),
    limits,
    maxOutputTokens: number('max_output_tokens', merged.maxOutputTokens),
    maxInputTokens: number('max_input_tokens', merged.maxInputTokens),
    maxCostPerRequest: number('max_cost_per_request', merged.maxCostPerRequest),
    unpriced: mergeUnpriced(merged, layer, conflicts),
    strictTranslation: addScalar(merged.strictTranslation, layer, {
      field: 'strict_translation',
      value: policy.strict_translation,
      looser: (value, before) => !value && before,
      conflicts,
    }),
    trustScopeHeaders: addScalar(merged.trustScopeHeaders, layer, {
      field: 'trust_scope_headers',
      value: policy.trust_scope_headers,
      looser: (value, before) => value && !before,
      conflicts,
    }),
    defaultProvider:
      policy.default_provider === undefined
        ? merged.defaultProvider
        : sourced(policy.default_provider, layer, 'default_provider'),
    metadata: mergeMetadata(merged.metadata, layer),
    providers: [
      ...(policy.providers ?? []).map((entry) => sourced(entry, layer, 'providers')),
      ...merged.providers,
    ],
    upstream: mergeUpstream(merged.upstream, layer, conflicts),
    conflicts,
  }
}

type NumberField = 'max_output_tokens' | 'max_input_tokens' | 'max_cost_per_request'

/** Every list stays a constraint of its own, unless an earlier layer opened it to be replaced. */
function addNames(
  inherited: readonly Sourced<readonly string[]>[],
  layer: PolicyLayer,
  own: { readonly field: string; readonly names: readonly string[] | undefined },
): readonly Sourced<readonly string[]>[] {
  if (own.names === undefined) return inherited
  return [...inherited.filter(({ open }) => !open), sourced(own.names, layer, own.field)]
}

/** To let unpriced models pass would let them pass every inherited budget in US dollars. */
function mergeUnpriced(
  merged: MergedPolicy,
  layer: PolicyLayer,
  conflicts: PolicyConflict[],
): MergedPolicy['unpriced'] {
  const { unpriced } = layer.policy
  const budget = merged.limits.find(
    (limit) => limit.value.unit === 'usd' && (!limit.open || limit.floor !== null),
  )
  if (unpriced === 'allow' && merged.unpriced.length === 0 && budget !== undefined) {
    conflicts.push({
      from: layer.from,
      field: 'unpriced',
      problem: `allow would get around the limit "${budget.value.id}" of ${budget.from}, which does not say unpriced: allow`,
    })
    return merged.unpriced
  }
  return addScalar(merged.unpriced, layer, {
    field: 'unpriced',
    value: unpriced,
    looser: (value, before) => value === 'allow' && before === 'deny',
    conflicts,
  })
}

/** One with a known id replaces it when it is at least as strict; else both hold, and the conflict is named. */
function mergeLimits(
  inherited: readonly SourcedLimit[],
  layer: PolicyLayer,
  conflicts: PolicyConflict[],
): readonly SourcedLimit[] {
  const limits = [...inherited]
  for (const limit of allLimits(layer.policy)) {
    const index = limits.findIndex(({ value }) => value.id === limit.id)
    const parent = limits[index]
    const floor = parent === undefined ? null : floorOf(parent)
    const problem = floor === null ? null : looserThan(floor.value, limit)
    const own = sourcedLimit(limit, layer, floor)
    if (problem !== null && floor !== null) {
      const field = `limits.${limit.id}`
      conflicts.push({ from: layer.from, field, problem: `${problem} (of ${floor.from})` })
      limits.push({ ...own, value: { ...limit, id: `${limit.id}@${layer.from}` } })
    } else if (parent === undefined) {
      limits.push(own)
    } else {
      limits[index] = own
    }
  }
  return limits
}

/** What a later limit of the same id may not pass. */
function floorOf(limit: SourcedLimit): Sourced<FullLimit> | null {
  return limit.open ? limit.floor : limit
}

function sourcedLimit(
  limit: FullLimit,
  layer: PolicyLayer,
  floor: Sourced<FullLimit> | null,
): SourcedLimit {
  const names = layer.policy.overridable ?? []
  const open = names.includes('limits') || names.includes(`limits.${limit.id}`)
  return { value: limit, from: layer.from, open, floor }
}

function mergeMetadata(
  inherited: ReadonlyMap<string, Sourced<string>>,
  layer: PolicyLayer,
): ReadonlyMap<string, Sourced<string>> {
  if (layer.policy.metadata === undefined) return inherited
  const merged = new Map(inherited)
  for (const [name, value] of Object.entries(layer.policy.metadata)) {
    merged.set(name, sourced(value, layer, 'metadata'))
  }
  return merged
}

/** `models` as a list or text, `models.allow`, and Tokenomics' `model` and `model_regex` (either one lets a model in). */
function allowOf(policy: PolicyFields & Tokenomics): readonly string[] | undefined {
  const { models, model, model_regex: regex } = policy
  const written = isAllowDeny(models) ? models.allow : models
  const patterns = [
    ...(written === undefined ? [] : patternsOf(written)),
    ...(model === undefined ? [] : [model]),
    ...(regex === undefined ? [] : [searchPattern(regex)]),
  ]
  const said = written !== undefined || model !== undefined || regex !== undefined
  return said ? patterns : undefined
}

type Tokenomics = { readonly model?: string; readonly model_regex?: string }

function denyOf(policy: PolicyFields): readonly string[] | undefined {
  const { models } = policy
  return isAllowDeny(models) && models.deny !== undefined ? patternsOf(models.deny) : undefined
}

type AllowDeny = Exclude<PolicyFields['models'], string | readonly string[] | undefined>

function isAllowDeny(models: PolicyFields['models']): models is AllowDeny {
  return typeof models === 'object' && !('length' in models)
}

import { compileNames, searchPattern } from '../config/name-matcher.ts'
import type { PolicyConfig, ProviderEntryConfig } from '../config/policy-config.ts'
import { intersectCidrs } from '../lib/cidr.ts'
import { compileLimit, nanoUsd, patternsOf } from './compile-limit.ts'
import type { NameMatcher, PolicyPlan, RetryPlan } from './gateway-plan.ts'
import { mergeLayer, type MergedPolicy } from './merge-policy.ts'
import { compileHedge, compileRescue, compileRouting } from './merge-routing.ts'
import type { MergedUpstream } from './merge-upstream.ts'
import { type Sourced, strictest } from './sourced.ts'

/** A merged policy as plain tests and tables, but for what depends on the providers: see compile-key.ts. */
export function compilePolicy(
  merged: MergedPolicy,
): Omit<PolicyPlan, 'providerEntries' | 'retarget'> {
  const denied = merged.deny.flatMap(({ value }) => value)
  const cost = strictest(merged.maxCostPerRequest)
  return {
    modelAllowed: compileAllowed(merged, denied),
    modelDenied: denied.length === 0 ? null : compileNames(denied),
    endpoints: intersection(merged.endpoints),
    limits: merged.limits.map(({ value }) => compileLimit(value)),
    maxOutputTokens: strictest(merged.maxOutputTokens),
    maxInputTokens: strictest(merged.maxInputTokens),
    maxCostPerRequestNanoUsd: cost === null ? null : nanoUsd(cost, 'max_cost_per_request'),
    unpriced: unpricedOf(merged),
    defaultProvider: merged.defaultProvider?.value ?? null,
    strictTranslation: merged.strictTranslation.some(({ value }) => value),
    trustScopeHeaders: allTrue(merged.trustScopeHeaders),
    ipAllow: cidrsOf(merged.ipAllow),
    retry: compileRetry(merged.upstream),
    directives: allTrue(merged.upstream.routing.directives),
    routing: compileRouting(merged.upstream.routing),
    hedge: compileHedge(merged.upstream.routing),
    rescue: compileRescue(merged.upstream.routing),
    metadata: Object.fromEntries([...merged.metadata].map(([name, { value }]) => [name, value])),
  }
}

/** The policy with a provider entry as its last layer; the entry's prompts come first. */
export function mergeEntry(
  merged: MergedPolicy,
  entry: Sourced<ProviderEntryConfig>,
): MergedPolicy {
  const { match: _match, provider, model: _model, model_regex: _regex, ...fields } = entry.value
  const policy: PolicyConfig = fields
  const layer = { from: `${entry.from}.providers.${provider ?? '*'}`, policy }
  const { upstream, ...rest } = mergeLayer(merged, layer)
  const inherited = merged.upstream.prompts
  const prompts = [...upstream.prompts.slice(inherited.length), ...inherited]
  return { ...rest, upstream: { ...upstream, prompts } }
}

function compileRetry({ maxRetries, fallbacks, retryOn }: MergedUpstream): RetryPlan | null {
  if (maxRetries === null && fallbacks === null && retryOn === null) return null
  return {
    maxRetries: maxRetries?.value ?? 0,
    fallbacks: fallbacks?.value ?? [],
    retryOn: retryOn === null ? null : new Set(retryOn.value),
  }
}

/** Null: the entry matches every model. */
export function entryMatcher(entry: ProviderEntryConfig): NameMatcher | null {
  const patterns = [
    ...(entry.match?.models === undefined ? [] : patternsOf(entry.match.models)),
    ...(entry.model === undefined ? [] : [entry.model]),
    ...(entry.model_regex === undefined ? [] : [searchPattern(entry.model_regex)]),
  ]
  return patterns.length === 0 ? null : compileNames(patterns)
}

function compileAllowed(merged: MergedPolicy, denied: readonly string[]): NameMatcher | null {
  const groups = merged.allow.map(({ value }) => compileNames(value))
  if (groups.length === 0 && denied.length === 0) return null
  const isDenied = compileNames(denied)
  return (name) => groups.every((allows) => allows(name)) && !isDenied(name)
}

/** Said by somebody, and denied by nobody. */
function allTrue(said: readonly Sourced<boolean>[]): boolean {
  return said.length > 0 && said.every(({ value }) => value)
}

function unpricedOf(merged: MergedPolicy): 'deny' | 'allow' | null {
  if (merged.unpriced.length === 0) return null
  return merged.unpriced.some(({ value }) => value === 'deny') ? 'deny' : 'allow'
}

function intersection(lists: readonly Sourced<readonly string[]>[]): ReadonlySet<string> | null {
  const [first, ...others] = lists
  if (first === undefined) return null
  return new Set(first.value.filter((name) => others.every(({ value }) => value.includes(name))))
}

function cidrsOf(lists: readonly Sourced<readonly string[]>[]): readonly string[] | null {
  const [first, ...others] = lists
  if (first === undefined) return null
  return others.reduce((shared, { value }) => intersectCidrs(shared, value), first.value)
}

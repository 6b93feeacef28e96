import type { FullLimit } from '../config/limit-shorthands.ts'
import type { KeyRecord } from '../contracts/key.ts'
import { formatWindow } from '../lib/duration.ts'
import { keyLayers } from './compile-key.ts'
import { compilePolicy, entryMatcher, mergeEntry } from './compile-policy.ts'
import type { PolicyLayers } from './gateway-plan.ts'
import type { MergedRouting } from './merge-routing.ts'
import { mergePolicies, type MergedPolicy } from './merge-policy.ts'
import { type PolicyConflict, type Sourced, strictest } from './sourced.ts'

/** One field of the policy that holds, its value, and the layers that made it so, the most general first. */
type ExplainedField = {
  readonly field: string
  readonly value: unknown
  readonly from: readonly string[]
}

export type PolicyExplanation = {
  /** The layers that were merged, in order. */
  readonly layers: readonly string[]
  readonly fields: readonly ExplainedField[]
  /** What had no effect, because it would be looser than what is inherited. */
  readonly conflicts: readonly PolicyConflict[]
  /** For the model that was asked about; null without one. */
  readonly model: {
    readonly name: string
    readonly allowed: boolean
    readonly entry: string | null
  } | null
}

/** The merged policy of a key, with the source of every field. Throws `PlanError`. */
export function explainPolicy(
  record: KeyRecord,
  layers: PolicyLayers,
  model: string | null = null,
): PolicyExplanation {
  const chain = keyLayers(record, layers)
  const base = mergePolicies(chain)
  const entry =
    model === null
      ? undefined
      : base.providers.find(({ value }) => entryMatcher(value)?.(model) ?? true)
  const merged = entry === undefined ? base : mergeEntry(base, entry)
  const allowed = compilePolicy(merged).modelAllowed
  return {
    layers: chain.map(({ from }) => from),
    fields: explainFields(merged),
    conflicts: merged.conflicts,
    model:
      model === null
        ? null
        : {
            name: model,
            allowed: allowed === null || allowed(model),
            entry:
              entry === undefined ? null : `${entry.from}.providers.${entry.value.provider ?? '*'}`,
          },
  }
}

function explainFields(merged: MergedPolicy): readonly ExplainedField[] {
  const plan = compilePolicy(merged)
  const fields = [
    listField('models.allow', merged.allow),
    listField('models.deny', merged.deny),
    field('endpoints', plan.endpoints === null ? null : [...plan.endpoints], merged.endpoints),
    field('ip_allow', plan.ipAllow, merged.ipAllow),
    field('max_output_tokens', plan.maxOutputTokens, merged.maxOutputTokens),
    field('max_input_tokens', plan.maxInputTokens, merged.maxInputTokens),
    field('max_cost_per_request', strictest(merged.maxCostPerRequest), merged.maxCostPerRequest),
    field('unpriced', plan.unpriced, merged.unpriced),
    field('strict_translation', plan.strictTranslation, merged.strictTranslation),
    field('trust_scope_headers', plan.trustScopeHeaders, merged.trustScopeHeaders),
    field('default_provider', plan.defaultProvider, listOf(merged.defaultProvider)),
    ...[...merged.metadata].map(([name, one]) => field(`metadata.${name}`, one.value, [one])),
    ...merged.limits.map((one) => field(`limits.${one.value.id}`, withoutId(one.value), [one])),
    ...upstreamFields(merged),
    ...merged.providers.map((one, index) => field(`providers[${index}]`, one.value, [one])),
  ]
  return fields.filter((one) => one.from.length > 0)
}

function upstreamFields({ upstream }: MergedPolicy): readonly ExplainedField[] {
  return [
    single('credential', upstream.credential),
    single('upstream_url', upstream.upstreamUrl),
    ...upstream.prompts.map((one, index) => field(`prompts[${index}]`, one.value, [one])),
    ...Object.entries(upstream.timeouts).map(([name, caps]) => cap(`timeout.${name}`, caps)),
    single('retry.max_retries', upstream.maxRetries),
    single('retry.fallbacks', upstream.fallbacks),
    single('retry.retry_on', upstream.retryOn),
    cap('disable_overdue_after', upstream.disableOverdueAfterMs),
    ...routingFields(upstream.routing),
  ]
}

function routingFields(routing: MergedRouting): readonly ExplainedField[] {
  const { mode, strategy, maxCost, maxLatencyMs, minWeight, directives } = routing
  const { contentFallbacks, escalate, hedgeAfter } = routing
  const weights = minWeight.map(({ value }) => value)
  return [
    single('routing.mode', mode),
    single('routing.strategy', strategy),
    single('routing.content_fallbacks', contentFallbacks),
    single('routing.escalate', escalate),
    single('routing.hedge.after', hedgeAfter),
    field('routing.max_cost', strictest(maxCost), maxCost),
    cap('routing.max_latency', maxLatencyMs),
    field(
      'routing.directives',
      directives.some(({ value }) => value),
      directives,
    ),
    field('routing.min_weight', Math.max(0, ...weights), minWeight),
  ]
}

function single<T>(name: string, one: Sourced<T> | null): ExplainedField {
  return field(name, one?.value, listOf(one))
}

function cap(name: string, caps: readonly Sourced<number>[]): ExplainedField {
  const ms = strictest(caps)
  return field(name, ms === null ? null : formatWindow({ kind: 'duration', ms, text: '' }), caps)
}

function field(name: string, value: unknown, sources: readonly Sourced<unknown>[]): ExplainedField {
  return { field: name, value, from: sources.map(({ from }) => from) }
}

/** Several lists hold together, so each is shown. */
function listField(name: string, lists: readonly Sourced<readonly string[]>[]): ExplainedField {
  const values = lists.map(({ value }) => value)
  return field(name, values.length === 1 ? values[0] : { all_of: values }, lists)
}

function listOf<T>(one: T | null): readonly T[] {
  return one === null ? [] : [one]
}

function withoutId(limit: FullLimit): Omit<FullLimit, 'id'> {
  const { id: _id, ...rest } = limit
  return rest
}

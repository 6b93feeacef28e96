import { formatPath } from '../config/config-error.ts'
import type { ProviderEntryConfig } from '../config/policy-config.ts'
import { parsePolicy } from '../config/policy-schema.ts'
import type { KeyRecord } from '../contracts/key.ts'
import type { LimitCharge, LimitPlan } from '../contracts/limit.ts'
import { counterKey } from '../lib/counter-key.ts'
import { didYouMean } from '../lib/did-you-mean.ts'
import { limitFor } from './compile-limit.ts'
import { checkPolicyRouting } from './compile-routing.ts'
import { compilePolicy, entryMatcher, mergeEntry } from './compile-policy.ts'
import type {
  KeyPlan,
  OperatorTerms,
  PolicyLayers,
  PolicyPlan,
  ProviderEntryPlan,
} from './gateway-plan.ts'
import { mergePolicies, type MergedPolicy } from './merge-policy.ts'
import { credentialOf } from './merge-upstream.ts'
import { PlanError } from './plan-error.ts'
import { compileRetarget } from './retarget.ts'
import { rotationDueAtMs } from './rotation.ts'
import { addRouting, NO_ROUTING, type Placed, type Routing } from './route-upstream.ts'
import { type PolicyConflict, type PolicyLayer, type Sourced, strictest } from './sourced.ts'

/**
 * A key, ready for requests.
 *
 * What would be looser than what the key inherits has no effect: a parent that was tightened after the key was made
 * holds at once. `checkKey` names such fields. Throws `PlanError` for an invalid policy or an unknown policy name.
 */
export function compileKey(record: KeyRecord, layers: PolicyLayers): KeyPlan {
  const merged = mergePolicies(keyLayers(record, layers))
  const { operator } = layers
  const routing = routingOf(merged, operator)
  const providerEntries = merged.providers.map((entry): ProviderEntryPlan => {
    const withEntry = mergeEntry(merged, entry)
    const own = entryRouting(routing, entry, { merged, operator })
    const retarget = compileRetarget(withEntry.upstream, own, operator)
    const policy = { ...compilePolicy(withEntry), retarget, providerEntries: [] }
    return {
      matches: entryMatcher(entry.value),
      provider: entry.value.provider ?? null,
      policy,
      sharesLimits: Object.keys(entry.value).every((field) => NEUTRAL_FIELDS.has(field)),
      ...termsOf(record, policy),
    }
  })
  checkFallbacks(merged, providerEntries)
  checkWay(merged, operator)
  const retarget = compileRetarget(merged.upstream, routing, operator)
  const policy = { ...compilePolicy(merged), retarget, providerEntries }
  return {
    record,
    refusedFromMs: refusedFromMs(record, merged),
    subject: record.subject,
    scopes: record.scopes.length === 0 ? null : new Set(record.scopes),
    policy,
    ...termsOf(record, policy),
  }
}

/** Fields of a provider entry that neither limit nor allow anything. */
const NEUTRAL_FIELDS: ReadonlySet<string> = new Set([
  'match',
  'provider',
  'model',
  'model_regex',
  'credential',
  'base_key_env',
  'upstream_url',
  'prompts',
  'timeout',
])

function routingOf({ upstream, defaultProvider }: MergedPolicy, operator: OperatorTerms): Routing {
  return addRouting(NO_ROUTING, {
    credential: placed(upstream.credential, 'credential'),
    url: placed(upstream.upstreamUrl, 'upstream_url'),
    provider: defaultProvider?.value ?? null,
    operator,
  })
}

/** What an entry says of its own provider; what it inherits stays with the provider that it is for. */
function entryRouting(
  before: Routing,
  { value: entry, from }: Sourced<ProviderEntryConfig>,
  use: { readonly merged: MergedPolicy; readonly operator: OperatorTerms },
): Routing {
  const reference = credentialOf(entry)
  const own = (value: string | undefined, field: string): Placed | null =>
    value === undefined ? null : placed({ value, from, open: false }, `providers.${field}`)
  return addRouting(before, {
    credential: own(reference, 'credential'),
    url: own(entry.upstream_url, 'upstream_url'),
    provider: entry.provider ?? use.merged.defaultProvider?.value ?? null,
    operator: use.operator,
  })
}

function placed(one: Sourced<string> | null, field: string): Placed | null {
  if (one === null) return null
  return { value: one.value, at: `${one.from === 'key' ? 'policy' : one.from}.${field}` }
}

/** The limits of a request are those of the model that was asked for. */
function checkFallbacks(merged: MergedPolicy, entries: readonly ProviderEntryPlan[]): void {
  for (const name of merged.upstream.fallbacks?.value ?? []) {
    const entry = entries.find(({ matches }) => matches === null || matches(name))
    if (entry === undefined || entry.sharesLimits) continue
    const whose = `the providers entry of ${entry.provider ?? 'any provider'}`
    const problem = `"${name}" falls under ${whose}, which has limits of its own: not available in this version`
    throw new PlanError('policy.retry.fallbacks', problem)
  }
}

/** A mode that is gone makes the key unusable, so that it is not served another way than it was written. */
function checkWay({ upstream }: MergedPolicy, operator: OperatorTerms): void {
  const { mode, strategy } = upstream.routing
  for (const one of [mode, strategy]) {
    if (one === null) continue
    const at = `${one.from === 'key' ? 'policy' : one.from}.routing.`
    const said = one === mode ? { mode: one.value } : { strategy: one.value }
    checkPolicyRouting(said, operator, at)
  }
}

function refusedFromMs(record: KeyRecord, { upstream }: MergedPolicy): number | null {
  const dueAtMs = rotationDueAtMs(record)
  const afterMs = strictest(upstream.disableOverdueAfterMs)
  return dueAtMs === null || afterMs === null ? null : dueAtMs + afterMs
}

/** Whether its policy refuses the key now because it is overdue for rotation. False too when it cannot be compiled. */
export function isRefusedAsOverdue(
  record: KeyRecord,
  layers: PolicyLayers,
  nowMs: number,
): boolean {
  if (record.rotateEveryMs === null) return false
  try {
    const fromMs = refusedFromMs(record, mergePolicies(keyLayers(record, layers)))
    return fromMs !== null && nowMs >= fromMs
  } catch (thrown) {
    if (thrown instanceof PlanError) return false
    throw thrown
  }
}

/** What a new or changed key says that would be looser than what it inherits; empty when all is well. Throws as `compileKey`. */
export function checkKey(record: KeyRecord, layers: PolicyLayers): readonly PolicyConflict[] {
  compileKey(record, layers)
  const merged = mergePolicies(keyLayers(record, layers))
  return [merged, ...entriesOf(merged)].flatMap(({ conflicts }) => conflicts).filter(isFirst)
}

/** Global policy, team's policy, named ones in order, the key's own. Throws `PlanError`. */
export function keyLayers(record: KeyRecord, layers: PolicyLayers): readonly PolicyLayer[] {
  const chain: PolicyLayer[] = [{ from: 'policy', policy: layers.global }]
  const { team } = record.subject
  const teamPolicy = team === null ? undefined : layers.teams.get(team)
  if (team !== null && teamPolicy !== undefined) {
    chain.push({ from: formatPath(['teams', team]), policy: teamPolicy })
  }
  for (const [index, name] of record.policies.entries()) {
    const named = layers.named.get(name)
    if (named === undefined) {
      const near = didYouMean(name, [...layers.named.keys()])
      throw new PlanError(`policies[${index}]`, `no policy "${name}" exists${near}`)
    }
    chain.push({ from: formatPath(['policies', name]), policy: named })
  }
  const own = parsePolicy(record.policy, ['policy'])
  if (!own.ok) {
    const [first] = own.problems
    throw new PlanError(first?.path ?? 'policy', first?.message ?? 'is not valid')
  }
  chain.push({ from: 'key', policy: own.policy })
  return chain
}

/** The policy as it is with each provider entry on top. */
function entriesOf(merged: MergedPolicy): readonly MergedPolicy[] {
  return merged.providers.map((entry) => mergeEntry(merged, entry))
}

type Terms = Pick<KeyPlan, 'charges' | 'lateLimits' | 'hasTokenLimit' | 'hasUsdLimit'>

const TOKEN_UNITS: ReadonlySet<string> = new Set(['tokens', 'input_tokens', 'output_tokens'])

function termsOf(record: KeyRecord, policy: Omit<PolicyPlan, 'providerEntries'>): Terms {
  const charges: LimitCharge[] = []
  const lateLimits: LimitPlan[] = []
  for (const limit of policy.limits) {
    if (isLate(limit, policy.trustScopeHeaders)) {
      lateLimits.push(limit)
      continue
    }
    const value = scopeValue(limit, record, policy)
    const own = value === null ? null : limitFor(limit, value)
    if (value === null || own === null) continue
    charges.push({ limit: own, value, counterKey: counterKey(limit.id, limit.scope, value) })
  }
  const applying = [...charges.map(({ limit }) => limit), ...lateLimits]
  return {
    charges,
    lateLimits,
    hasTokenLimit: applying.some(({ unit }) => TOKEN_UNITS.has(unit)),
    hasUsdLimit: applying.some(({ unit }) => unit === 'usd'),
  }
}

const REQUEST_SCOPES: ReadonlySet<string> = new Set(['provider', 'target', 'ip'])
const HEADER_SCOPES: ReadonlySet<string> = new Set(['team', 'rolegroup', 'role', 'user'])

function isLate(limit: LimitPlan, trustScopeHeaders: boolean): boolean {
  if (REQUEST_SCOPES.has(limit.scope)) return true
  if (trustScopeHeaders && HEADER_SCOPES.has(limit.scope)) return true
  return limit.match !== null && limit.match.providers !== null
}

/** Whose counter it is; null when the key names nobody on that level, so that the limit does not apply. */
function scopeValue(
  limit: LimitPlan,
  record: KeyRecord,
  policy: Omit<PolicyPlan, 'providerEntries'>,
): string | null {
  switch (limit.scope) {
    case 'global':
      return ''
    case 'key':
      return record.id
    case 'team':
    case 'rolegroup':
    case 'role':
    case 'user':
      return record.subject[limit.scope]
    case 'provider':
    case 'target':
    case 'ip':
      return null
    default:
      return tagValue(limit.scope.slice('tag:'.length), record, policy)
  }
}

function tagValue(
  tag: string,
  record: KeyRecord,
  policy: Omit<PolicyPlan, 'providerEntries'>,
): string | null {
  if (Object.hasOwn(record.metadata, tag)) return record.metadata[tag] ?? null
  return Object.hasOwn(policy.metadata, tag) ? (policy.metadata[tag] ?? null) : null
}

function isFirst(conflict: PolicyConflict, index: number, all: readonly PolicyConflict[]): boolean {
  return (
    all.findIndex(({ from, field }) => from === conflict.from && field === conflict.field) === index
  )
}

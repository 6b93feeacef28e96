import { formatPath } from '../config/config-error.ts'
import { parsePolicy } from '../config/policy-schema.ts'
import type { KeyRecord } from '../contracts/key.ts'
import type { LimitCharge, LimitPlan } from '../contracts/limit.ts'
import { counterKey } from '../lib/counter-key.ts'
import { didYouMean } from '../lib/did-you-mean.ts'
import { compilePolicy, entryMatcher, mergeEntry } from './compile-policy.ts'
import type { KeyPlan, PolicyLayers, PolicyPlan, ProviderEntryPlan } from './gateway-plan.ts'
import {
  mergePolicies,
  type MergedPolicy,
  type PolicyConflict,
  type PolicyLayer,
} from './merge-policy.ts'
import { PlanError } from './plan-error.ts'

/**
 * A key, ready for requests.
 *
 * What would be looser than what the key inherits has no effect: a parent that was tightened after the key was made
 * holds at once. `checkKey` names such fields. Throws `PlanError` for an invalid policy or an unknown policy name.
 */
export function compileKey(record: KeyRecord, layers: PolicyLayers): KeyPlan {
  const merged = mergePolicies(keyLayers(record, layers))
  const providerEntries = merged.providers.map((entry): ProviderEntryPlan => {
    const withEntry = mergeEntry(merged, entry)
    const policy = { ...compilePolicy(withEntry), providerEntries: [] }
    return {
      matches: entryMatcher(entry.value),
      provider: entry.value.provider ?? null,
      policy,
      ...termsOf(record, policy),
    }
  })
  const policy = { ...compilePolicy(merged), providerEntries }
  return {
    record,
    subject: record.subject,
    scopes: record.scopes.length === 0 ? null : new Set(record.scopes),
    policy,
    ...termsOf(record, policy),
  }
}

/** What a new or changed key says that would be looser than what it inherits; empty when all is well. Throws as `compileKey`. */
export function checkKey(record: KeyRecord, layers: PolicyLayers): readonly PolicyConflict[] {
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
    if (value === null) continue
    charges.push({ limit, value, counterKey: counterKey(limit.id, limit.scope, value) })
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

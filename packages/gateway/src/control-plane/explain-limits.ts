import type { CounterView, Demand, LimitPlan } from '../contracts/limit.ts'
import { demandedAmount, outputThatFits } from '../data-plane/limits/amounts.ts'
import { termsFor } from '../data-plane/routing/terms-for.ts'
import { demandOf } from '../data-plane/usage/cost.ts'
import { compileKey } from '../plan/compile-key.ts'
import { limitFor } from '../plan/compile-limit.ts'
import { explainPolicy } from '../plan/explain-policy.ts'
import type { GatewayPlan, KeyPlan, TargetPlan } from '../plan/gateway-plan.ts'
import { resolveModel } from '../plan/resolve-model.ts'
import type { ExplainedLimit, LimitExplanation, LimitExplainQuery } from './admin-api.ts'
import type { Control } from './control.ts'
import { findKey } from './find-key.ts'
import { keyReference } from './key-view.ts'
import { timeText } from './written-times.ts'

const DEFAULT_INPUT_TOKENS = 1000
const DEFAULT_OUTPUT_TOKENS = 1000
const NANO_PER_USD = 1e9

/** Who asks for what, as far as it decides whose limits hold. */
export type Situation = {
  readonly query: Pick<LimitExplainQuery, 'model' | 'endpoint' | 'ip'>
  readonly key: KeyPlan
  readonly target: TargetPlan | null
}

type Asked = Situation & {
  readonly plan: GatewayPlan
  readonly demand: Demand
  readonly counters: readonly CounterView[]
}

/**
 * Which limits a request of this key would meet now: whose counter, what is on it, and whether the request would pass.
 * Takes nothing. Throws `not_found`, `ambiguous_id` or `PlanError`.
 */
export async function explainLimits(
  control: Control,
  idOrPrefix: string,
  query: LimitExplainQuery,
): Promise<LimitExplanation> {
  const record = await findKey(control, idOrPrefix)
  const plan = control.plan()
  const key = compileKey(record, plan.policies)
  const target = targetOf(plan, key, query.model)
  const demand = askedDemand(query, target)
  const terms = query.model === undefined ? key : termsFor(key, query.model)
  // Counters follow an edited limit when it is next asked for; this asks, and takes nothing.
  control.gate.fits(terms.charges, demand)
  const counters = await control.gate.list()
  const asked: Asked = { query, plan, key, target, demand, counters }
  const sources = new Map(
    explainPolicy(record, plan.policies, query.model ?? null).fields.map(({ field, from }) => [
      field,
      from,
    ]),
  )
  const limits = terms.policy.limits.map((limit) =>
    explainLimit(limit, asked, sources.get(`limits.${limit.id}`) ?? []),
  )
  const refusing = limits.filter(({ outcome }) => outcome === 'refused' || outcome === 'never')
  return {
    key: keyReference(record),
    model: query.model ?? null,
    target: target?.id ?? null,
    request: {
      input_tokens: demand.inputTokens,
      output_tokens: demand.outputTokens,
      cost_usd:
        demand.fixedCostPicoUsd === null
          ? null
          : demandedAmount('usd', demand, demand.outputTokens) / NANO_PER_USD,
    },
    passes: refusing.length === 0,
    refused_by: refusing.map(({ id }) => id),
    limits,
  }
}

function targetOf(plan: GatewayPlan, key: KeyPlan, model: string | undefined): TargetPlan | null {
  if (model === undefined) return null
  return resolveModel(plan, key, model)?.targets[0] ?? null
}

function askedDemand(query: LimitExplainQuery, target: TargetPlan | null): Demand {
  const inputTokens = query.input_tokens ?? DEFAULT_INPUT_TOKENS
  const outputTokens = query.output_tokens ?? target?.maxOutputTokens ?? DEFAULT_OUTPUT_TOKENS
  return demandOf({ inputTokens, outputTokens, price: target?.price ?? null })
}

function explainLimit(written: LimitPlan, asked: Asked, from: readonly string[]): ExplainedLimit {
  const value = limitValue(written, asked)
  const limit = value === null ? written : (limitFor(written, value) ?? written)
  const common = { ...limitFacts(limit), from, value }
  const skipped = whySkipped(written, value, asked)
  if (skipped !== null) {
    const nothing = { used: null, reserved: null, amount: null, resets_at: null, needs: null }
    return { ...common, ...nothing, outcome: skipped.outcome, reason: skipped.reason }
  }
  const counter = asked.counters.find(
    (one) => one.id === limit.id && one.scope === limit.scope && one.value === value,
  )
  return { ...common, ...judged(limit, counter, asked.demand) }
}

export function limitFacts(
  limit: LimitPlan,
): Pick<ExplainedLimit, 'id' | 'scope' | 'unit' | 'algorithm' | 'window' | 'mode'> {
  const { id, scope, unit, algorithm, mode } = limit
  const window = 'window' in algorithm ? algorithm.window.text : null
  return { id, scope, unit, algorithm: algorithm.kind, window, mode }
}

type Skipped = { readonly outcome: 'not_applied' | 'depends'; readonly reason: string }

export function whySkipped(
  limit: LimitPlan,
  value: string | null,
  asked: Situation,
): Skipped | null {
  const { scope } = limit
  if (value !== null) {
    if (limitFor(limit, value) !== null) return whyUnmatched(limit, asked)
    return notApplied(`it is for other values than "${value}"`)
  }
  if (scope === 'ip') return depends('each client address has its own counter; give ip')
  if (scope === 'provider' || scope === 'target') {
    return depends('the target decides whose counter it is; give model')
  }
  return notApplied(`the key names no ${scope}`)
}

function whyUnmatched({ match }: LimitPlan, { query, target }: Situation): Skipped | null {
  if (match === null) return null
  const questions = [
    ['models', match.models, query.model],
    ['providers', match.providers, target?.provider.name],
    ['endpoints', match.endpoints, query.endpoint],
  ] as const
  for (const [what, matches, name] of questions) {
    if (matches === null) continue
    if (name === undefined) return depends(`it matches on ${what}, which the question leaves open`)
    if (!matches(name)) return notApplied(`it is for other ${what}`)
  }
  return null
}

function depends(reason: string): Skipped {
  return { outcome: 'depends', reason }
}

function notApplied(reason: string): Skipped {
  return { outcome: 'not_applied', reason }
}

export function limitValue({ scope }: LimitPlan, { query, key, target }: Situation): string | null {
  switch (scope) {
    case 'global':
      return ''
    case 'key':
      return key.record.id
    case 'ip':
      return query.ip ?? null
    case 'provider':
      return target?.provider.name ?? null
    case 'target':
      return target?.id ?? null
    case 'team':
    case 'rolegroup':
    case 'role':
    case 'user':
      return key.subject[scope]
    default:
      return tagOf(scope.slice('tag:'.length), key)
  }
}

function tagOf(tag: string, { record, policy }: KeyPlan): string | null {
  const tags = [record.metadata, policy.metadata].find((one) => Object.hasOwn(one, tag))
  return tags?.[tag] ?? null
}

type Judged = Pick<
  ExplainedLimit,
  'used' | 'reserved' | 'amount' | 'resets_at' | 'needs' | 'outcome' | 'reason'
>

export function judged(limit: LimitPlan, counter: CounterView | undefined, demand: Demand): Judged {
  const { unit } = limit
  const amount = amountOf(limit, counter)
  const used = counter?.used ?? 0
  const reserved = counter?.reserved ?? 0
  const free = amount - used - reserved
  const needs = demandedAmount(unit, demand, demand.outputTokens)
  const scale = unit === 'usd' ? NANO_PER_USD : 1
  const shown = {
    used: used / scale,
    reserved: reserved / scale,
    amount: amount / scale,
    resets_at: timeText(counter?.resetsAtMs ?? null),
    needs: needs / scale,
  }
  return { ...shown, ...outcomeOf(limit, { demand, needs, free, amount, reserved }) }
}

type Room = {
  readonly demand: Demand
  readonly needs: number
  readonly free: number
  readonly amount: number
  readonly reserved: number
}

function outcomeOf(
  limit: LimitPlan,
  { demand, needs, free, amount, reserved }: Room,
): Pick<ExplainedLimit, 'outcome' | 'reason'> {
  if (needs <= free) return { outcome: 'passes', reason: 'there is room for the worst case' }
  if (limit.mode !== 'enforce') {
    return { outcome: 'passes', reason: `it has no room, but its mode is ${limit.mode}` }
  }
  const fits = outputThatFits(limit.unit, demand, free)
  const least = Math.min(limit.minOutputTokens, demand.outputTokens)
  if (limit.whenShort === 'shrink' && fits >= least) {
    return { outcome: 'shrinks', reason: `the output is capped to ${fits} tokens` }
  }
  if (
    needs > amount &&
    (limit.whenShort !== 'shrink' || outputThatFits(limit.unit, demand, amount) < least)
  ) {
    return { outcome: 'never', reason: 'the request is larger than the whole amount' }
  }
  return reserved > 0 && needs <= free + reserved
    ? { outcome: 'refused', reason: 'requests in flight hold what it needs' }
    : { outcome: 'refused', reason: 'too little is left' }
}

/** A counter that another amount was configured for follows with its next request. */
function amountOf({ algorithm }: LimitPlan, counter: CounterView | undefined): number {
  const configured = algorithm.kind === 'bucket' ? algorithm.capacity : algorithm.amount
  return counter?.amount ?? configured
}

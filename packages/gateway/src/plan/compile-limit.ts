import type { FullLimit } from '../config/limit-shorthands.ts'
import { compileNames } from '../config/name-matcher.ts'
import type { LimitMatchConfig, NameList } from '../config/policy-config.ts'
import {
  LIMIT_SCOPES,
  type LimitAlgorithm,
  type LimitMatch,
  type LimitPlan,
  type LimitScope,
  type LimitValues,
} from '../contracts/limit.ts'
import { scaledInteger } from '../lib/decimal.ts'
import { parseWindow } from '../lib/duration.ts'
import {
  isForListedOnly,
  limitOfValue,
  OUTPUT_UNITS,
  refillOf,
} from '../config/limit-shorthands.ts'
import type { NameMatcher } from './gateway-plan.ts'
import { PlanError } from './plan-error.ts'

const DEFAULT_MIN_OUTPUT_TOKENS = 256
const NANO_USD = 9
const RESERVES = { auto: 'max', lease: 'lease', max: 'max', expected: 'expected' } as const

/** A limit that is known to be valid, in the gate's own numbers. `reserve: auto` is hard against every provider: as `max`. */
export function compileLimit(limit: FullLimit): LimitPlan {
  return {
    id: limit.id,
    scope: scopeOf(limit),
    unit: limit.unit,
    algorithm: compileAlgorithm(limit),
    match: limit.match === undefined ? null : compileMatch(limit.match),
    mode: limit.mode ?? 'enforce',
    reserve: RESERVES[limit.reserve ?? 'auto'],
    whenShort: limit.when_short ?? (OUTPUT_UNITS.has(limit.unit) ? 'shrink' : 'refuse'),
    minOutputTokens: limit.min_output ?? DEFAULT_MIN_OUTPUT_TOKENS,
    alerts: [...new Set(limit.alerts)].toSorted((a, b) => a - b),
    ...failureOf(limit),
    ...(limit.values === undefined ? {} : { values: compileValues(limit) }),
  }
}

function compileValues(limit: FullLimit): LimitValues {
  const plans = Object.entries(limit.values ?? {}).map(([value, own]): [string, LimitPlan] => [
    value,
    compileLimit(limitOfValue(limit, own)),
  ])
  return { plans: new Map(plans), only: isForListedOnly(limit) }
}

/** The limit as it holds for one value of its scope; null: not at all. */
export function limitFor(limit: LimitPlan, value: string): LimitPlan | null {
  if (limit.values === undefined) return limit
  return limit.values.plans.get(value) ?? (limit.values.only ? null : limit)
}

function failureOf({ on_backend_failure: chosen }: FullLimit): Partial<LimitPlan> {
  return chosen === undefined || chosen === 'local' ? {} : { onBackendFailure: chosen }
}

/** US dollars as integer nano-US-dollars. Throws `PlanError` when there are more than nine decimals. */
export function nanoUsd(usd: number, at: string): number {
  const value = scaledInteger(usd, NANO_USD)
  if (value === null)
    throw new PlanError(at, `${usd} is no amount of US dollars with nine decimals`)
  return value
}

export function patternsOf(list: NameList): readonly string[] {
  return typeof list === 'string' ? [list] : list
}

function scopeOf(limit: FullLimit): LimitScope {
  const known = LIMIT_SCOPES.find((scope) => scope === limit.scope)
  return known ?? `tag:${limit.scope.slice('tag:'.length)}`
}

function compileAlgorithm(limit: FullLimit): LimitAlgorithm {
  const amount = amountOf(limit, limit.amount)
  const window = parseWindow(limit.window ?? '1h')
  switch (limit.algorithm) {
    case 'bucket':
      return {
        kind: 'bucket',
        capacity: amountOf(limit, limit.capacity),
        refillPerSec: refillPerSec(limit),
      }
    case 'sliding':
      return { kind: 'sliding', amount, window }
    case 'fixed':
      return { kind: 'fixed', amount, window, align: limit.align ?? 'clock' }
    case 'lifetime':
    case 'concurrent':
      return { kind: limit.algorithm, amount }
  }
  throw new PlanError(`limits.${limit.id}.algorithm`, 'is unknown')
}

function amountOf(limit: FullLimit, amount = 0): number {
  return limit.unit === 'usd' ? nanoUsd(amount, `limits.${limit.id}`) : amount
}

/** A rate need not be a whole number of nano-US-dollars. */
function refillPerSec(limit: FullLimit): number {
  const rate = refillOf(limit) ?? 0
  return limit.unit === 'usd' ? (scaledInteger(rate, NANO_USD) ?? rate * 10 ** NANO_USD) : rate
}

function compileMatch(match: LimitMatchConfig): LimitMatch {
  return {
    models: compileList(match.models),
    providers: compileList(match.providers),
    endpoints: compileList(match.endpoints),
  }
}

function compileList(list: NameList | undefined): NameMatcher | null {
  return list === undefined ? null : compileNames(patternsOf(list))
}

import type { LimitAmounts, LimitConfig, LimitShorthands, RateRuleConfig } from './policy-config.ts'

/** Only limits in these can be met by a smaller output, or grow with it. */
export const OUTPUT_UNITS: ReadonlySet<string> = new Set(['tokens', 'output_tokens', 'usd'])

/** A limit with a capacity is a bucket, and one of unit `concurrent` is concurrent; anything else must be said. */
export function algorithmOf(limit: LimitConfig): NonNullable<LimitConfig['algorithm']> | null {
  if (limit.algorithm !== undefined) return limit.algorithm
  const amounts = [limit, ...Object.values(limit.values ?? {})]
  if (amounts.some(({ capacity }) => capacity !== undefined)) return 'bucket'
  return limit.unit === 'concurrent' ? 'concurrent' : null
}

/** TokenGuard's buckets count tokens; concurrency has one unit. Null: it must be said. */
export function unitOf(limit: LimitConfig): NonNullable<LimitConfig['unit']> | null {
  if (limit.unit !== undefined) return limit.unit
  const amounts = [limit, ...Object.values(limit.values ?? {})]
  if (amounts.some(({ refillPerSec }) => refillPerSec !== undefined)) return 'tokens'
  return limit.algorithm === 'concurrent' ? 'concurrent' : null
}

export function refillOf(limit: LimitAmounts): number | undefined {
  return limit.refill_per_sec ?? limit.refillPerSec
}

/** It is for the values that it lists, and for nobody else. */
export function isForListedOnly(limit: LimitConfig): boolean {
  return (
    limit.values !== undefined &&
    limit.amount === undefined &&
    limit.capacity === undefined &&
    refillOf(limit) === undefined
  )
}

/** The limit with what one value has of its own. */
export function limitOfValue<L extends LimitConfig>(limit: L, own: LimitAmounts): LimitOfValue<L> {
  const { values: _values, refillPerSec: _other, ...shared } = limit
  const { refillPerSec: _alias, ...amounts } = own
  const refill = refillOf(own) ?? refillOf(limit)
  const rate = refill === undefined ? {} : { refill_per_sec: refill }
  return { ...shared, ...amounts, ...rate }
}

type LimitOfValue<L extends LimitConfig> = Omit<L, 'values' | 'refillPerSec'> & LimitAmounts

/** A limit with everything said that a shorthand or an alias leaves out. */
export type FullLimit = LimitConfig & {
  readonly id: string
  readonly algorithm: NonNullable<LimitConfig['algorithm']>
  readonly unit: NonNullable<LimitConfig['unit']>
}

export type WithLimits = LimitShorthands & { readonly limits?: readonly LimitConfig[] }

/** Every limit of a policy in one form: the written ones, then the shorthands. The table in docs/guides/limits.md. */
export function allLimits(policy: WithLimits): readonly FullLimit[] {
  return [...(policy.limits ?? []).map(fullLimit), ...shorthandLimits(policy)]
}

/** Limits whose id an earlier limit of the same policy has, shorthands included; two of them would share a counter. */
export function repeatedLimitIds(
  policy: WithLimits,
): readonly { readonly id: string; readonly index: number }[] {
  const seen = new Set(shorthandLimits(policy).map((limit) => limit.id))
  return (policy.limits ?? []).flatMap((limit, index) => {
    const { id } = fullLimit(limit)
    const repeated = seen.has(id)
    seen.add(id)
    return repeated ? [{ id, index }] : []
  })
}

/** The id of a limit that has none: stable as long as its kind and window stay, so that its counter is kept. */
function fullLimit(limit: LimitConfig): FullLimit {
  const algorithm = algorithmOf(limit) ?? 'lifetime'
  const unit = unitOf(limit) ?? 'tokens'
  const parts = [limit.scope, unit, algorithm, limit.window].filter((part) => part !== undefined)
  return { ...limit, algorithm, unit, id: limit.id ?? parts.join('-') }
}

function shorthandLimits(policy: LimitShorthands): readonly FullLimit[] {
  const limits: FullLimit[] = []
  const add = (limit: Omit<FullLimit, 'scope'>): void => {
    limits.push({ scope: 'key', ...limit })
  }
  if (policy.max_tokens !== undefined) {
    add({ id: 'max_tokens', unit: 'tokens', algorithm: 'lifetime', amount: policy.max_tokens })
  }
  for (const rule of policy.rate_limit?.rules ?? []) {
    for (const unit of ['requests', 'tokens'] as const) addRateRule(add, rule, unit)
  }
  const parallel = policy.rate_limit?.max_parallel
  if (parallel !== undefined) {
    const id = 'rate_limit.max_parallel'
    add({ id, unit: 'concurrent', algorithm: 'concurrent', amount: parallel })
  }
  for (const [period, window] of BUDGET_WINDOWS) {
    const usd = policy.budget?.[period]
    if (usd === undefined) continue
    add({ ...calendarBudget(`budget.${period}`, usd, window), alerts: BUDGET_ALERTS })
  }
  if (policy.monthly_budget_usd !== undefined) {
    add(calendarBudget('monthly_budget_usd', policy.monthly_budget_usd, '1mo'))
  }
  const rps = policy.rate_limit_rps
  if (rps !== undefined) {
    const capacity = rps * RPS_BURST
    const id = 'rate_limit_rps'
    add({ id, unit: 'requests', algorithm: 'bucket', capacity, refill_per_sec: rps })
  }
  return limits
}

const BUDGET_WINDOWS = [
  ['hourly', '1h'],
  ['daily', '24h'],
  ['monthly', '1mo'],
] as const
/** TokenMan's thresholds. */
const BUDGET_ALERTS = [0.5, 0.75, 0.9]
/** TokenHub lets a key burst to twice its rate. */
const RPS_BURST = 2
/** Tokenomics' window when a rule names none. */
const DEFAULT_RATE_WINDOW = '1m'

function addRateRule(
  add: (limit: Omit<FullLimit, 'scope'>) => void,
  rule: RateRuleConfig,
  unit: 'requests' | 'tokens',
): void {
  const amount = rule[unit]
  if (amount === undefined) return
  const window = rule.window ?? DEFAULT_RATE_WINDOW
  const id = `rate_limit.${unit}.${window}`
  if (rule.strategy === 'fixed') {
    add({ id, unit, algorithm: 'fixed', amount, window, align: 'first_use' })
  } else {
    add({ id, unit, algorithm: 'sliding', amount, window })
  }
}

function calendarBudget(id: string, amount: number, window: string): Omit<FullLimit, 'scope'> {
  return { id, unit: 'usd', algorithm: 'fixed', amount, window, align: 'clock' }
}

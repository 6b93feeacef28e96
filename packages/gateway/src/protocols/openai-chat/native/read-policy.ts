import { NO_HINTS, type RoutingHints } from '../../../contracts/routing.ts'
import { isRecord } from '../../../lib/is-record.ts'
import { invalidField } from '../../read-body.ts'

const NANO_PER_USD = 1e9
const MAX_USD = 100
const MAX_LATENCY_MS = 300_000
const MAX_WEIGHT = 1000
const MEMBERS: ReadonlySet<string> = new Set([
  'mode',
  'max_budget_usd',
  'max_latency_ms',
  'min_weight',
])

/** What TokenHub's envelope asks of the choice; null: nothing. Zero asks for nothing, as an absent member. Throws `invalid_request`. */
export function readPolicy(policy: unknown): RoutingHints | null {
  if (policy === undefined || policy === null) return null
  if (!isRecord(policy)) throw invalidField('policy', 'must be an object.')
  for (const [name, value] of Object.entries(policy)) {
    if (!MEMBERS.has(name) && value !== null) {
      throw invalidField(`policy.${name}`, 'is not available in this version.')
    }
  }
  const usd = numberIn(policy, 'max_budget_usd', MAX_USD)
  const hints: RoutingHints = {
    mode: modeIn(policy['mode']),
    maxCostNanoUsd: usd === null ? null : Math.max(1, Math.floor(usd * NANO_PER_USD)),
    maxLatencyMs: numberIn(policy, 'max_latency_ms', MAX_LATENCY_MS),
    minWeight: numberIn(policy, 'min_weight', MAX_WEIGHT),
  }
  const isNothing = Object.values({ ...NO_HINTS, ...hints }).every((value) => value === null)
  return isNothing ? null : hints
}

function modeIn(mode: unknown): string | null {
  if (mode === undefined || mode === null || mode === '') return null
  if (typeof mode !== 'string' || mode.length > 64) {
    throw invalidField('policy.mode', 'must be the name of a mode.')
  }
  return mode
}

function numberIn(
  policy: Readonly<Record<string, unknown>>,
  name: string,
  most: number,
): number | null {
  const value = policy[name] ?? null
  if (value === null || value === 0) return null
  if (typeof value === 'number' && value > 0 && value <= most) return value
  throw invalidField(`policy.${name}`, `must be a number from 0 to ${most}.`)
}

import type { LimitPlan, LimitUnit, Refusal } from '../../contracts/limit.ts'
import { GatewayError, type GatewayErrorCode } from '../../errors/gateway-error.ts'

const NANO_PER_USD = 1e9
const MS_PER_SEC = 1000
/** SDKs sleep for as long as they are told, so beyond this they are told not to try again. */
const LONGEST_SLEEP_MS = 60_000

const UNIT_NAMES: Readonly<Record<LimitUnit, string>> = {
  requests: 'requests',
  tokens: 'tokens',
  input_tokens: 'input tokens',
  output_tokens: 'output tokens',
  usd: 'US dollars',
  concurrent: 'requests at a time',
}

/** A refusal as the error that the client gets. `nowMs` is wall time, ms since 1970. */
export function refusalError(refusal: Refusal, nowMs: number): GatewayError {
  const code = codeOf(refusal)
  return new GatewayError(code, messageOf(refusal, nowMs), {
    details: { headers: headersOf(refusal, code), limit: limitOf(refusal) },
  })
}

function codeOf(refusal: Refusal): GatewayErrorCode {
  if (refusal.backendAway === true) return 'limits_unavailable'
  if (refusal.neverFits) return 'request_exceeds_limit'
  const { unit, algorithm } = refusal.limit
  const budget = unit === 'usd' || algorithm.kind === 'lifetime'
  return budget ? 'budget_exceeded' : 'rate_limit_exceeded'
}

function headersOf(refusal: Refusal, code: GatewayErrorCode): Record<string, string> {
  const headers: Record<string, string> = {}
  if (code === 'request_exceeds_limit') return headers
  const { retryAfterMs } = refusal
  if (retryAfterMs !== null) {
    headers['retry-after'] = String(Math.max(1, Math.ceil(retryAfterMs / MS_PER_SEC)))
    if (retryAfterMs <= LONGEST_SLEEP_MS)
      headers['retry-after-ms'] = String(Math.ceil(retryAfterMs))
  }
  const tooLong = retryAfterMs !== null && retryAfterMs > LONGEST_SLEEP_MS
  if (tooLong || code === 'budget_exceeded') headers['x-should-retry'] = 'false'
  return headers
}

function limitOf(refusal: Refusal): Record<string, unknown> {
  const { limit, used, amount, resetsAtMs } = refusal
  const { id, scope, unit } = limit
  const resetsAt = resetsAtMs === null ? null : new Date(resetsAtMs).toISOString()
  return {
    id,
    scope,
    unit,
    used: shown(unit, used),
    amount: shown(unit, amount),
    window: windowOf(limit),
    resets_at: resetsAt,
  }
}

function windowOf({ algorithm }: LimitPlan): string | null {
  return algorithm.kind === 'sliding' || algorithm.kind === 'fixed' ? algorithm.window.text : null
}

function messageOf(refusal: Refusal, nowMs: number): string {
  const { limit, used, amount } = refusal
  const name = `The limit "${limit.id}" (${allowance(limit, amount)}, per ${limit.scope})`
  if (refusal.backendAway === true) {
    return `${name} cannot be asked now, and this gateway has spent what it may without it. Try again in a moment.`
  }
  if (amount === 0) return `${name} lets nothing pass. Ask whoever runs this gateway.`
  if (refusal.neverFits) {
    return `${name} is smaller than this request, so it can never pass. Send less input or ask for less output.`
  }
  if (limit.algorithm.kind === 'concurrent') {
    return `${name} is reached. Try again when one of the ${shown(limit.unit, used)} in flight has ended.`
  }
  return `${name} has too little left for this request: ${spent(refusal)}. ${whenBack(refusal, nowMs)}`
}

function allowance(limit: LimitPlan, amount: number): string {
  const total = `${shown(limit.unit, amount)} ${UNIT_NAMES[limit.unit]}`
  const { algorithm } = limit
  switch (algorithm.kind) {
    case 'bucket':
      return `${total}, refilled by ${shown(limit.unit, algorithm.refillPerSec)} a second`
    case 'sliding':
    case 'fixed':
      return `${total} in ${algorithm.window.text}`
    case 'lifetime':
      return `${total} in all`
    case 'concurrent':
    default:
      return total
  }
}

function spent({ limit, used, reserved }: Refusal): string {
  const taken = `${shown(limit.unit, used)} used`
  return reserved === 0
    ? taken
    : `${taken}, of which requests in flight hold ${shown(limit.unit, reserved)}`
}

function whenBack(refusal: Refusal, nowMs: number): string {
  if (refusal.retryAfterMs !== null) {
    const seconds = Math.max(1, Math.ceil(refusal.retryAfterMs / MS_PER_SEC))
    const at = new Date(Math.ceil((nowMs + refusal.retryAfterMs) / MS_PER_SEC) * MS_PER_SEC)
    return `Try again in ${seconds} s, at ${at.toISOString()}.`
  }
  if (refusal.reserved > 0) return 'What requests in flight do not use comes back when they end.'
  return 'It does not come back by itself; ask whoever runs this gateway.'
}

/** Money in dollars, everything else as it is. */
function shown(unit: LimitUnit, amount: number): number {
  return unit === 'usd' ? amount / NANO_PER_USD : amount
}

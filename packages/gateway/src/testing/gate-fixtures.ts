import type {
  Actual,
  Demand,
  Gate,
  LimitAlert,
  LimitAlgorithm,
  LimitCharge,
  LimitPlan,
  Refusal,
  Reservation,
  ReserveResult,
  Window,
} from '../contracts/limit.ts'
import { bareLimit } from '../data-plane/limits/bare-limit.ts'
import type { Clock } from '../lib/clock.ts'

type Eventually<Value> = Value | Promise<Value>

/** A gate of any backend: one that answers at once, or one that has to ask a server. */
export type GateUnderTest = {
  readonly [Name in Exclude<keyof Gate, 'readDurable'>]: (
    ...input: Parameters<Gate[Name]>
  ) => Eventually<Awaited<ReturnType<Gate[Name]>>>
}

export type MakeGate = (options: {
  readonly clock: Clock
  readonly onAlert: (alert: LimitAlert) => void
  readonly openOnRestore?: 'charge' | 'forget'
}) => Eventually<GateUnderTest>

export const SECOND: Window = { kind: 'duration', ms: 1_000, text: '1s' }
export const MINUTE: Window = { kind: 'duration', ms: 60_000, text: '1m' }
export const HOUR: Window = { kind: 'duration', ms: 3_600_000, text: '1h' }
export const DAY: Window = { kind: 'duration', ms: 86_400_000, text: '24h' }
export const MONTH: Window = { kind: 'months', months: 1, text: '1mo' }

export function bucket(capacity: number, refillPerSec: number): LimitAlgorithm {
  return { kind: 'bucket', capacity, refillPerSec }
}

export function sliding(amount: number, window: Window): LimitAlgorithm {
  return { kind: 'sliding', amount, window }
}

export function fixed(
  amount: number,
  window: Window,
  align: 'clock' | 'first_use' = 'clock',
): LimitAlgorithm {
  return { kind: 'fixed', amount, window, align }
}

export function lifetime(amount: number): LimitAlgorithm {
  return { kind: 'lifetime', amount }
}

export function concurrent(amount: number): LimitAlgorithm {
  return { kind: 'concurrent', amount }
}

export function limitOf(
  algorithm: LimitAlgorithm,
  fields: Partial<Omit<LimitPlan, 'algorithm'>> = {},
): LimitPlan {
  const counted = { id: algorithm.kind, scope: 'key', unit: 'tokens', algorithm } as const
  return { ...bareLimit(counted), ...fields }
}

export function chargeOf(limit: LimitPlan, value = 'k1'): LimitCharge {
  return { limit, value, counterKey: `${limit.id}|${limit.scope}|${value}` }
}

/** Every token costs one micro-dollar, input or output, unless said otherwise. */
export function demandFor(inputTokens: number, outputTokens = 0, picoUsd = 1_000_000): Demand {
  return {
    inputTokens,
    outputTokens,
    fixedCostPicoUsd: inputTokens * picoUsd,
    outputPicoUsd: picoUsd,
  }
}

export function actualOf(inputTokens: number, outputTokens = 0, picoUsd = 1_000_000): Actual {
  const costNanoUsd = Math.ceil(((inputTokens + outputTokens) * picoUsd) / 1000)
  return { inputTokens, outputTokens, costNanoUsd }
}

export function admitted(result: ReserveResult): Reservation {
  if (result.ok) return result.reservation
  throw new Error(`refused by ${result.refusal.limit.id}, used ${result.refusal.used}`)
}

export function refused(result: ReserveResult): Refusal {
  if (!result.ok) return result.refusal
  throw new Error('admitted')
}

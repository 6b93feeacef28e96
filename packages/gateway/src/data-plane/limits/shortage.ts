import type { Demand, Refusal } from '../../contracts/limit.ts'
import { demandedAmount, outputThatFits } from './amounts.ts'
import { isLeased, leastHold } from './lease.ts'
import type { Counter } from './counter.ts'
import type { GateClock } from './gate-clock.ts'

/** A counter cannot take the request's worst case. */
export type Shortage =
  /** But it can when the request is capped to so many output tokens. */
  | { readonly kind: 'shrinks'; readonly outputTokens: number }
  /** Nor anything smaller that the limit would accept; `needed` is the least of that. */
  | { readonly kind: 'refuses'; readonly needed: number }

/** Null: the counter can take the worst case. Hot: once per charge. bench/gate.ts */
export function shortageOf(counter: Counter, demand: Demand, nowMs: number): Shortage | null {
  const { limit } = counter
  if (demand.mayLease === true && isLeased(limit, demand)) {
    const least = demandedAmount(limit.unit, demand, leastHold(demand))
    return least <= counter.freeAt(nowMs) ? null : { kind: 'refuses', needed: least }
  }
  const worst = reservedOutput(counter, demand, demand.outputTokens)
  const needed = demandedAmount(limit.unit, demand, worst)
  const free = counter.freeAt(nowMs)
  if (needed <= free) return null
  if (limit.whenShort === 'refuse' || demand.mayShrink === false) return { kind: 'refuses', needed }
  const least = Math.min(limit.minOutputTokens, worst)
  const outputTokens = outputThatFits(limit.unit, demand, free)
  if (outputTokens >= least) return { kind: 'shrinks', outputTokens }
  return { kind: 'refuses', needed: demandedAmount(limit.unit, demand, least) }
}

/** Output tokens that the limit reserves of a request that may write `outputTokens`. */
export function reservedOutput(
  { outputs }: Counter,
  { model }: Demand,
  outputTokens: number,
): number {
  return outputs === null ? outputTokens : outputs.of(model ?? '').expectedOf(outputTokens)
}

export function refusalOf(counter: Counter, needed: number, clock: GateClock): Refusal {
  const nowMs = clock.nowMs()
  const { limit, value, used, reserved, amount, resetsAtMs } = counter.stateAt(clock)
  const neverFits = needed > amount
  return {
    limit,
    value,
    used: used + reserved,
    reserved,
    amount,
    resetsAtMs,
    retryAfterMs: neverFits ? null : counter.meter.waitMs(needed, nowMs),
    neverFits,
  }
}

/** Of two refusals of one request, the one that decides when it passes: never, then unknown, then the longest wait. */
export function graver(one: Refusal, other: Refusal): Refusal {
  return gravity(other) > gravity(one) ? other : one
}

/** A concurrency cap clears by itself within a call, so any stated wait outlasts it. */
function gravity(refusal: Refusal): number {
  if (refusal.neverFits) return Infinity
  if (refusal.retryAfterMs !== null) return refusal.retryAfterMs
  return refusal.limit.algorithm.kind === 'concurrent' ? -1 : Number.MAX_VALUE
}

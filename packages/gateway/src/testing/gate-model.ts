import type { Demand, LimitAlgorithm, LimitCharge, LimitPlan } from '../contracts/limit.ts'

/** One admitted request, as an onlooker with a perfect memory sees it. Times are gate time, ms since 1970. */
export type Admission = {
  readonly atMs: number
  readonly charges: readonly LimitCharge[]
  readonly demand: Demand
  readonly outputTokens: number
  /** What was used, once it is known. */
  used: { readonly inputTokens: number; readonly outputTokens: number } | null
}

export type Amount = { readonly atMs: number; readonly amount: number; readonly open: boolean }

/** What a counter holds or held, by the definitions alone: the worst case while open, the truth when settled. */
export function amountsOf(admissions: readonly Admission[], counterKey: string): readonly Amount[] {
  return admissions.flatMap((admission) => {
    const charge = admission.charges.find((found) => found.counterKey === counterKey)
    if (charge === undefined) return []
    const { inputTokens, outputTokens } = admission.used ?? {
      inputTokens: admission.demand.inputTokens,
      outputTokens: admission.outputTokens,
    }
    const { unit } = charge.limit
    const picoUsd = inputTokens * 1_000_000 + outputTokens * admission.demand.outputPicoUsd
    const amount =
      unit === 'requests' || unit === 'concurrent'
        ? 1
        : unit === 'usd'
          ? Math.ceil(picoUsd / 1000)
          : inputTokens + outputTokens
    return [{ atMs: admission.atMs, amount, open: admission.used === null }]
  })
}

/** By how much the amounts break the limit at the worst instant; 0 or less: they keep it. Quadratic on purpose. */
export function excessOf(limit: LimitPlan, amounts: readonly Amount[]): number {
  const { algorithm } = limit
  if (algorithm.kind === 'bucket') return bucketExcess(algorithm, amounts)
  if (algorithm.kind === 'concurrent') {
    return sumOf(amounts.filter((amount) => amount.open)) - algorithm.amount
  }
  return (
    Math.max(
      0,
      ...amounts.map(({ atMs }) => sumOf(amounts.filter(sameWindowAs(algorithm, atMs)))),
    ) - algorithm.amount
  )
}

/** Whether an amount falls into the window that ends at, or contains, `endMs`. */
function sameWindowAs(algorithm: LimitAlgorithm, endMs: number): (amount: Amount) => boolean {
  if (algorithm.kind === 'lifetime') return () => true
  if (algorithm.kind !== 'fixed' && algorithm.kind !== 'sliding') throw new TypeError('No window.')
  const { window } = algorithm
  if (window.kind === 'months') throw new TypeError('Months are tested by examples.')
  return algorithm.kind === 'fixed'
    ? ({ atMs }) => Math.floor(atMs / window.ms) === Math.floor(endMs / window.ms)
    : ({ atMs }) => atMs > endMs - window.ms && atMs <= endMs
}

function bucketExcess(
  { capacity, refillPerSec }: Extract<LimitAlgorithm, { kind: 'bucket' }>,
  amounts: readonly Amount[],
): number {
  let worst = Number.NEGATIVE_INFINITY
  for (let from = 0; from < amounts.length; from++) {
    const startMs = amounts[from]?.atMs ?? 0
    let sum = 0
    for (const { atMs, amount } of amounts.slice(from)) {
      sum += amount
      worst = Math.max(worst, sum - capacity - ((atMs - startMs) * refillPerSec) / 1000)
    }
  }
  // Refill per second times milliseconds is not exact in binary.
  return worst - 1e-6
}

/** What a bucket holds at `nowMs` had every amount been charged at its time, by floating-point simulation. */
export function bucketLevel(
  { capacity, refillPerSec }: { readonly capacity: number; readonly refillPerSec: number },
  amounts: readonly Amount[],
  nowMs: number,
): number {
  let level = capacity
  let atMs = amounts[0]?.atMs ?? nowMs
  for (const taken of amounts) {
    level = Math.min(capacity, level + ((taken.atMs - atMs) * refillPerSec) / 1000) - taken.amount
    atMs = taken.atMs
  }
  return Math.min(capacity, level + ((nowMs - atMs) * refillPerSec) / 1000)
}

function sumOf(amounts: readonly Amount[]): number {
  return amounts.reduce((sum, { amount }) => sum + amount, 0)
}

import type { ModeWeights } from '../../contracts/routing.ts'

/** What a score goes by. `cost` null: unpriced. */
export type ScoreTerms = {
  readonly cost: number | null
  readonly latency: number
  readonly failure: number
  readonly weight: number
}

/** The largest of each term over the candidates. */
export type LargestTerms = { cost: number; latency: number; failure: number; weight: number }

/** Hot. Grows as candidates are looked at. */
export function noteTerms(largest: LargestTerms, terms: ScoreTerms): void {
  largest.cost = Math.max(largest.cost, terms.cost ?? 0)
  largest.latency = Math.max(largest.latency, terms.latency)
  largest.failure = Math.max(largest.failure, terms.failure)
  largest.weight = Math.max(largest.weight, terms.weight)
}

/** `cost·C/Cmax + latency·L/Lmax + failure·F/Fmax − weight·W/Wmax`. An unpriced target counts as the dearest. */
export function weightedScore(
  terms: ScoreTerms,
  weights: ModeWeights,
  largest: LargestTerms,
): number {
  const cost = terms.cost === null ? 1 : share(terms.cost, largest.cost)
  return (
    weights.cost * cost +
    weights.latency * share(terms.latency, largest.latency) +
    weights.failure * share(terms.failure, largest.failure) -
    weights.weight * share(terms.weight, largest.weight)
  )
}

function share(value: number, most: number): number {
  return most <= 0 ? 0 : Math.min(1, Math.max(0, value / most))
}

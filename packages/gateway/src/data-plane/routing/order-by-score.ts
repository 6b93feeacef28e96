import type { CandidateView, ModeWeights } from '../../contracts/routing.ts'
import { drawAt } from '../../lib/seeded-draw.ts'
import type { Examined } from './reject-target.ts'
import type { SelectQuery } from './select-query.ts'
import { type Placed, type Ranked, sortByRank } from './sort-by-rank.ts'
import { type LargestTerms, noteTerms, type ScoreTerms, weightedScore } from './weighted-score.ts'

/**
 * What a target's health adds to its score. Smaller than the term of a whole mode, so that a clear advantage outweighs a
 * degraded target, and larger than what targets that are much alike differ by.
 */
const HEALTH_PENALTY = { healthy: 0, degraded: 0.25, down: 1 } as const

/**
 * `cost·C/Cmax + latency·L/Lmax + failure·F/Fmax − weight·W/Wmax`, and a penalty for what is not healthy. Lowest first.
 *
 * C is the worst case's cost less what a warm prompt cache saves, L the peak-sensitive latency, F the share of failures, W
 * the weight; the largest is that of the candidates. An unpriced target counts as the dearest; one that was never seen counts as the fastest, so that it is.
 */
export function orderByScore(
  candidates: readonly Examined[],
  { seed, weights }: SelectQuery,
): readonly Placed[] {
  const largest: LargestTerms = { cost: 0, latency: 0, failure: 0, weight: 0 }
  for (const examined of candidates) noteTerms(largest, termsOf(examined))
  const ranked: Ranked[] = []
  for (const examined of candidates) {
    const score = scoreOf(examined, weights, largest)
    const tie = drawAt(seed, ranked.length)
    ranked.push({ target: examined.target, view: viewOf(examined, score), rank: score, tie })
  }
  return sortByRank(ranked)
}

function viewOf(
  { target, signals, costNanoUsd, savedNanoUsd }: Examined,
  score: number,
): CandidateView {
  const view = {
    target: target.id,
    rejected: null,
    costNanoUsd,
    latencyMs: signals?.latencyMs ?? null,
    failureShare: signals?.failureShare ?? 0,
    weight: target.weight,
    inFlight: signals?.inFlight ?? 0,
    score,
  }
  return savedNanoUsd > 0 ? { ...view, savedNanoUsd } : view
}

function termsOf({ target, signals, costNanoUsd, savedNanoUsd }: Examined): ScoreTerms {
  return {
    cost: costNanoUsd === null ? null : costNanoUsd - savedNanoUsd,
    latency: signals?.latencyMs ?? 0,
    failure: signals?.failureShare ?? 0,
    weight: target.weight,
  }
}

function scoreOf(examined: Examined, weights: ModeWeights, largest: LargestTerms): number {
  const penalty = HEALTH_PENALTY[examined.signals?.state ?? 'healthy']
  return Math.round((weightedScore(termsOf(examined), weights, largest) + penalty) * 1e6) / 1e6
}

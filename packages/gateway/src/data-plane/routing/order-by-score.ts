import type { CandidateView, ModeWeights } from '../../contracts/routing.ts'
import { drawAt } from '../../lib/seeded-draw.ts'
import type { Examined } from './reject-target.ts'
import type { SelectQuery } from './select-query.ts'
import { type Placed, type Ranked, sortByRank } from './sort-by-rank.ts'

/**
 * What a target's health adds to its score. Smaller than the term of a whole mode, so that a clear advantage outweighs a
 * degraded target, and larger than what targets that are much alike differ by.
 */
const HEALTH_PENALTY = { healthy: 0, degraded: 0.25, down: 1 } as const

/** The largest of each term over the candidates. */
type Most = { cost: number; latency: number; failure: number; weight: number }

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
  const most: Most = { cost: 0, latency: 0, failure: 0, weight: 0 }
  for (const { target, signals, costNanoUsd, savedNanoUsd } of candidates) {
    most.cost = Math.max(most.cost, (costNanoUsd ?? 0) - savedNanoUsd)
    most.latency = Math.max(most.latency, signals?.latencyMs ?? 0)
    most.failure = Math.max(most.failure, signals?.failureShare ?? 0)
    most.weight = Math.max(most.weight, target.weight)
  }
  const ranked: Ranked[] = []
  for (const examined of candidates) {
    const score = scoreOf(examined, weights, most)
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

function scoreOf(
  { target, signals, costNanoUsd, savedNanoUsd }: Examined,
  weights: ModeWeights,
  most: Most,
): number {
  const cost = costNanoUsd === null ? 1 : share(costNanoUsd - savedNanoUsd, most.cost)
  const score =
    weights.cost * cost +
    weights.latency * share(signals?.latencyMs ?? 0, most.latency) +
    weights.failure * share(signals?.failureShare ?? 0, most.failure) -
    weights.weight * share(target.weight, most.weight) +
    HEALTH_PENALTY[signals?.state ?? 'healthy']
  return Math.round(score * 1e6) / 1e6
}

function share(value: number, most: number): number {
  return most <= 0 ? 0 : Math.min(1, Math.max(0, value / most))
}

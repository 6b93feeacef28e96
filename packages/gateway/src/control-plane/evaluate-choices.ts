import type { ModeWeights } from '../contracts/routing.ts'
import {
  type LargestTerms,
  noteTerms,
  type ScoreTerms,
  weightedScore,
} from '../data-plane/routing/weighted-score.ts'

/** A target that could have been chosen, as it looked then. Absent: not known. */
export type LoggedCandidate = {
  readonly target: string
  /** Probability with which it was chosen. */
  readonly propensity: number
  /** Of the worst case. */
  readonly costNanoUsd: number | null
  readonly latencyMs: number | null
  readonly failureShare: number
  readonly weight: number
}

/** One request's first attempt. */
export type LoggedChoice = {
  readonly candidates: readonly LoggedCandidate[]
  readonly chosen: string
  /** 0 to 1. */
  readonly reward: number
  /** What is alike in requests: size of the input, use of tools. */
  readonly bucket: string
}

/** Another way to choose. Targets that it does not name are never chosen while one that it names is there. */
export type ChoicePolicy =
  | { readonly strategy: 'priority'; readonly targets: readonly string[] }
  | { readonly strategy: 'weighted'; readonly weights: Readonly<Record<string, number>> }
  | { readonly strategy: 'score'; readonly weights: ModeWeights }
  | { readonly strategy: 'latency' }
  /** What was done. */
  | { readonly strategy: 'logged' }

/** Mean reward per request, and where it lies with 99 % confidence. */
export type Estimate = {
  readonly value: number
  readonly low: number
  readonly high: number
  readonly observations: number
  /** How many requests chosen by the policy itself would tell as much. */
  readonly effectiveObservations: number
}

/**
 * Deviations to each side. 2.58 would be 99 % of independent requests. The choices learned from each other, and by
 * simulation it takes this to keep the promise.
 */
const DEVIATIONS = 3.3
/** Rewards begin here, weighing as one observation. */
const UNKNOWN_REWARD = 0.5

/**
 * What a policy would have earned on requests that another one served: the adaptively weighted, augmented inverse
 * propensity estimator of Hadad, Hirshberg, Zhan, Wager and Athey, "Confidence intervals for policy evaluation in adaptive
 * experiments" (PNAS 2021), with the model of rewards from earlier requests only. Choices must be in the order of time.
 * Null: none has two candidates that could have been chosen.
 */
export function evaluateChoices(
  choices: readonly LoggedChoice[],
  policy: ChoicePolicy,
): Estimate | null {
  const model = new Map<string, { sum: number; count: number }>()
  const scores: number[] = []
  const weights: number[] = []
  let shares = 0
  let squaredShares = 0
  for (const choice of choices) {
    const shareOf = sharesOf(choice, policy)
    const { score, variance, importance } = scoreOf(choice, shareOf, model)
    learn(model, choice)
    if (variance === 0) continue
    const weight = 1 / Math.sqrt(variance)
    scores.push(score)
    weights.push(weight)
    shares += weight * importance
    squaredShares += (weight * importance) ** 2
  }
  if (scores.length === 0) return null
  const effectiveObservations = squaredShares === 0 ? 0 : shares ** 2 / squaredShares
  return { ...interval(scores, weights), observations: scores.length, effectiveObservations }
}

function interval(
  scores: readonly number[],
  weights: readonly number[],
): { readonly value: number; readonly low: number; readonly high: number } {
  let total = 0
  let sum = 0
  for (const [i, score] of scores.entries()) {
    total += weights[i] ?? 0
    sum += (weights[i] ?? 0) * score
  }
  const mean = sum / total
  let squares = 0
  for (const [i, score] of scores.entries()) squares += ((weights[i] ?? 0) * (score - mean)) ** 2
  const reach = (DEVIATIONS * Math.sqrt(squares)) / total
  return { value: within(mean), low: within(mean - reach), high: within(mean + reach) }
}

function within(reward: number): number {
  return Math.min(1, Math.max(0, reward))
}

type Model = Map<string, { sum: number; count: number }>

function scoreOf(
  { candidates, chosen, reward, bucket }: LoggedChoice,
  shareOf: ReadonlyMap<string, number>,
  model: Model,
): { readonly score: number; readonly variance: number; readonly importance: number } {
  let score = 0
  let variance = 0
  let importance = 0
  for (const { target, propensity } of candidates) {
    const share = shareOf.get(target) ?? 0
    if (share === 0) continue
    // What could never be chosen cannot be judged: the request says nothing.
    if (propensity <= 0) return { score: 0, variance: 0, importance: 0 }
    const expected = expectedOf(model, bucket, target)
    score += share * expected
    variance += share ** 2 / propensity
    if (target !== chosen) continue
    importance = share / propensity
    score += importance * (reward - expected)
  }
  return { score, variance, importance }
}

function expectedOf(model: Model, bucket: string, target: string): number {
  const known = model.get(`${bucket} ${target}`)
  return known === undefined ? UNKNOWN_REWARD : (known.sum + UNKNOWN_REWARD) / (known.count + 1)
}

function learn(model: Model, { bucket, chosen, reward }: LoggedChoice): void {
  const name = `${bucket} ${chosen}`
  const known = model.get(name)
  if (known === undefined) model.set(name, { sum: reward, count: 1 })
  else {
    known.sum += reward
    known.count += 1
  }
}

/** With which probability the policy chooses each candidate. */
function sharesOf(choice: LoggedChoice, policy: ChoicePolicy): ReadonlyMap<string, number> {
  const { candidates } = choice
  if (policy.strategy === 'logged') {
    return new Map(candidates.map(({ target, propensity }) => [target, propensity]))
  }
  if (policy.strategy === 'weighted') return weightedShares(candidates, policy.weights)
  const first =
    policy.strategy === 'priority'
      ? policy.targets.find((name) => candidates.some(({ target }) => target === name))
      : lowest(candidates, policy)
  const [fallback] = candidates
  const target = first ?? fallback?.target
  return target === undefined ? new Map() : new Map([[target, 1]])
}

function weightedShares(
  candidates: readonly LoggedCandidate[],
  weights: Readonly<Record<string, number>>,
): ReadonlyMap<string, number> {
  const total = candidates.reduce((sum, { target }) => sum + (weights[target] ?? 0), 0)
  const even = 1 / candidates.length
  return new Map(
    candidates.map(({ target }) => [target, total === 0 ? even : (weights[target] ?? 0) / total]),
  )
}

function lowest(
  candidates: readonly LoggedCandidate[],
  policy: Extract<ChoicePolicy, { readonly strategy: 'score' | 'latency' }>,
): string | undefined {
  const largest: LargestTerms = { cost: 0, latency: 0, failure: 0, weight: 0 }
  for (const candidate of candidates) noteTerms(largest, termsOf(candidate))
  let best: LoggedCandidate | undefined
  let lowestRank = Infinity
  for (const candidate of candidates) {
    const rank =
      policy.strategy === 'latency'
        ? (candidate.latencyMs ?? 0)
        : weightedScore(termsOf(candidate), policy.weights, largest)
    if (rank >= lowestRank) continue
    best = candidate
    lowestRank = rank
  }
  return best?.target
}

function termsOf({ costNanoUsd, latencyMs, failureShare, weight }: LoggedCandidate): ScoreTerms {
  return { cost: costNanoUsd, latency: latencyMs ?? 0, failure: failureShare, weight }
}

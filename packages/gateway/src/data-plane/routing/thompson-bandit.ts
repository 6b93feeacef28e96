import type { ArmContext, ArmDraw, ArmObservation, Bandit } from '../../contracts/routing.ts'
import { BetaDraws, type BetaPosterior, largestProbabilities } from '../../lib/beta-draw.ts'
import { drawAt, seedOf } from '../../lib/seeded-draw.ts'

/**
 * A reward is rarely 0 or 1, so that it varies less than a coin does: one observation tells as much as four of a coin.
 * Found by simulation, as the figures below; see docs/decisions/0024-a-bandit-that-forgets.md.
 */
const EVIDENCE = 4
/** Observations that the recent mean of an arm reaches back. */
const RECENT = 25
/** Deviations of the recent mean from all that is known, from which on the arm has changed. */
const SUDDEN = 4
/** What is kept of an arm that has changed. Observations. */
const KEPT_AFTER_CHANGE = 37.5
/** Names of on-demand targets come from clients. */
const MOST_ARMS = 20_000
/** Share of the latest observation in the variance of an arm, once it is known. */
const VARIANCE_STEP = 0.01
/** Share of requests whose first target is any of them: what is never tried cannot be judged afterwards. */
const EXPLORED = 0.02
const MS_PER_DAY = 86_400_000
/** What no longer weighs: an arm as good as new. Observations. */
const WEIGHTLESS = 0.01

/** What is known of one arm. Counts fade, so they are no integers. */
export type ArmState = {
  readonly name: string
  /** Sum of the rewards, and the observations they came from. */
  readonly rewards: number
  readonly count: number
  /** Mean and variance of the latest rewards, and how many they have seen. */
  readonly recent: number
  readonly variance: number
  readonly seen: number
  /** When the counts were last brought up to date. Ms since 1970. */
  readonly atMs: number
}

export type ForgettingPlan = {
  /** Time in which what is known loses half of its weight. */
  readonly halfLifeMs: number
  /** Requests in which it loses all but a third. */
  readonly window: number
}

export const USUAL_FORGETTING: ForgettingPlan = { halfLifeMs: MS_PER_DAY, window: 400 }

type Arm = { -readonly [Name in keyof ArmState]: ArmState[Name] }

/**
 * Beta posteriors per target, size of the input and use of tools. They forget: with time, with each request among the same
 * targets, and at once when an arm does not do what it used to.
 */
export class ThompsonBandit implements Bandit {
  readonly #forgetting: () => ForgettingPlan
  readonly #arms = new Map<string, Arm>()
  readonly #changed = new Set<Arm>()
  /** What other gateways know, added up. */
  #others: ReadonlyMap<string, Pick<ArmState, 'rewards' | 'count' | 'atMs'>> = new Map()

  constructor(forgetting: () => ForgettingPlan) {
    this.#forgetting = forgetting
  }

  /** Hot: once per request that is routed by it. */
  draw(
    targets: readonly string[],
    context: ArmContext,
    seed: string,
    nowMs: number,
  ): readonly ArmDraw[] {
    const start = seedOf(seed)
    let next = 0
    const random = (): number => drawAt(start, next++)
    const betas = new BetaDraws(random)
    const explored = random() < EXPLORED ? Math.floor(random() * targets.length) : -1
    const draws: ArmDraw[] = []
    for (const target of targets) {
      const name = armName(target, context)
      const { rewards, count } = this.#knownOf(name, nowMs)
      const alpha = 1 + EVIDENCE * rewards
      const beta = 1 + EVIDENCE * Math.max(0, count - rewards)
      const draw = betas.next(alpha, beta)
      draws.push({ target, alpha, beta, draw: draws.length === explored ? 1 + draw : draw })
    }
    return draws
  }

  observe({ target, among, context, reward }: ArmObservation, nowMs: number): void {
    const kept = 1 - 1 / this.#forgetting().window
    for (const rival of among) {
      const arm = this.#arms.get(armName(rival, context))
      if (arm !== undefined) scale(arm, kept)
    }
    const arm = this.#armOf(armName(target, context), nowMs)
    this.#fade(arm, nowMs)
    learn(arm, Math.min(1, Math.max(0, reward)))
    this.#changed.add(arm)
  }

  /** What came to light later of an observation: its reward was another one. */
  correct(target: string, context: ArmContext, difference: number, nowMs: number): void {
    const arm = this.#arms.get(armName(target, context))
    if (arm === undefined) return
    this.#fade(arm, nowMs)
    arm.rewards = Math.min(arm.count, Math.max(0, arm.rewards + difference))
    this.#changed.add(arm)
  }

  /** Arms that changed since they were last taken. */
  takeChanged(): readonly ArmState[] {
    const changed = [...this.#changed].map(copyOf)
    this.#changed.clear()
    return changed
  }

  restore(arms: readonly ArmState[]): void {
    for (const arm of arms) this.#arms.set(arm.name, copyOf(arm))
  }

  useOthers(arms: readonly ArmState[]): void {
    const sums = new Map<string, Pick<Arm, 'rewards' | 'count' | 'atMs'>>()
    for (const { name, rewards, count, atMs } of arms) {
      const sum = sums.get(name)
      if (sum === undefined) {
        sums.set(name, { rewards, count, atMs })
        continue
      }
      const latest = Math.max(sum.atMs, atMs)
      const ours = this.#keptSince(sum.atMs, latest)
      const theirs = this.#keptSince(atMs, latest)
      sum.rewards = sum.rewards * ours + rewards * theirs
      sum.count = sum.count * ours + count * theirs
      sum.atMs = latest
    }
    this.#others = sums
  }

  /** As of now, the weightless left out. */
  list(nowMs: number): readonly ArmState[] {
    const arms: ArmState[] = []
    for (const arm of this.#arms.values()) {
      const { rewards, count } = this.#knownOf(arm.name, nowMs)
      if (count >= WEIGHTLESS) arms.push({ ...arm, rewards, count, atMs: nowMs })
    }
    return arms
  }

  #knownOf(name: string, nowMs: number): { readonly rewards: number; readonly count: number } {
    const own = this.#arms.get(name)
    const others = this.#others.size === 0 ? undefined : this.#others.get(name)
    let rewards = 0
    let count = 0
    if (own !== undefined) {
      const kept = this.#keptSince(own.atMs, nowMs)
      rewards = own.rewards * kept
      count = own.count * kept
    }
    if (others !== undefined) {
      const kept = this.#keptSince(others.atMs, nowMs)
      rewards += others.rewards * kept
      count += others.count * kept
    }
    return { rewards, count }
  }

  #armOf(name: string, nowMs: number): Arm {
    const known = this.#arms.get(name)
    if (known !== undefined) return known
    if (this.#arms.size >= MOST_ARMS) this.#forgetOne()
    const arm = { name, rewards: 0, count: 0, recent: 0, variance: 0.25, seen: 0, atMs: nowMs }
    this.#arms.set(name, arm)
    return arm
  }

  #forgetOne(): void {
    const [oldest] = this.#arms.values()
    if (oldest === undefined) return
    this.#arms.delete(oldest.name)
    this.#changed.delete(oldest)
  }

  #fade(arm: Arm, nowMs: number): void {
    scale(arm, this.#keptSince(arm.atMs, nowMs))
    arm.atMs = Math.max(arm.atMs, nowMs)
  }

  /** A clock that jumps back brings nothing back. */
  #keptSince(atMs: number, nowMs: number): number {
    return nowMs <= atMs ? 1 : 2 ** ((atMs - nowMs) / this.#forgetting().halfLifeMs)
  }
}

/** With which probability each of the drawn comes first. They add up to 1. For reports: some 100 µs each. */
export function propensities(posteriors: readonly BetaPosterior[]): readonly number[] {
  const even = EXPLORED / posteriors.length
  return largestProbabilities(posteriors).map((share) => share * (1 - EXPLORED) + even)
}

/** A text that is put together is hashed anew with each look at a map; these are kept. */
const NAMES = {
  small: [new Map<string, string>(), new Map<string, string>()],
  medium: [new Map<string, string>(), new Map<string, string>()],
  large: [new Map<string, string>(), new Map<string, string>()],
} as const

export function armName(target: string, { size, tools }: ArmContext): string {
  const names = NAMES[size][tools ? 1 : 0]
  const known = names.get(target)
  if (known !== undefined) return known
  if (names.size >= MOST_ARMS) names.clear()
  const name = `${size}${tools ? '+tools' : ''} ${target}`
  names.set(target, name)
  return name
}

function copyOf(arm: ArmState): Arm {
  return { ...arm }
}

function scale(arm: Arm, kept: number): void {
  arm.rewards *= kept
  arm.count *= kept
}

function learn(arm: Arm, reward: number): void {
  const mean = arm.count > 0 ? arm.rewards / arm.count : reward
  arm.seen += 1
  arm.recent += Math.max(1 / RECENT, 1 / arm.seen) * (reward - arm.recent)
  const step = Math.max(VARIANCE_STEP, 1 / (arm.seen + 4))
  arm.variance += step * ((reward - mean) ** 2 - arm.variance)
  if (hasChanged(arm, mean)) {
    arm.rewards = arm.recent * KEPT_AFTER_CHANGE
    arm.count = KEPT_AFTER_CHANGE
    arm.seen = KEPT_AFTER_CHANGE
  }
  arm.rewards += reward
  arm.count += 1
}

/** The mean of the latest differs from all that is known by more than chance explains. */
function hasChanged({ recent, variance, seen, count }: Arm, mean: number): boolean {
  if (seen <= KEPT_AFTER_CHANGE || count <= 2 * KEPT_AFTER_CHANGE) return false
  const deviation = Math.sqrt(variance / (2 * RECENT - 1))
  return Math.abs(recent - mean) > SUDDEN * deviation
}

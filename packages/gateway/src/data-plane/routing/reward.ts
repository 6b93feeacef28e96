import type { ArmContext } from '../../contracts/routing.ts'
import { armName } from './thompson-bandit.ts'

const FOR_SUCCESS = 0.4
/** The most that a low cost adds. */
export const FOR_COST = 0.3
const FOR_LATENCY = 0.3
/** Share of what a user said in the reward. */
const FOR_QUALITY = 0.5
/** Share of the latest call in the means. */
const STEP = 0.05
/** Names of on-demand targets come from clients. */
const MOST_ARMS = 20_000

export type ArmCall = {
  readonly target: string
  readonly context: ArmContext
  /** Streams are measured to their first byte, whole answers to their last. */
  readonly stream: boolean
  readonly latencyMs: number
  /** Null: unpriced. */
  readonly costNanoUsd: number | null
}

type Means = { costNanoUsd: number; streamMs: number; wholeMs: number }

/**
 * What an attempt was worth, 0 to 1: nothing when it failed, else 0.4, up to 0.3 for its cost and up to 0.3 for its
 * latency. Both are measured against the dearest and the slowest of the targets that were to choose from, in the same
 * bucket: what is cheap or quick depends on the request.
 */
export class Rewards {
  readonly #means = new Map<string, Means>()

  ofSuccess(call: ArmCall, among: readonly string[]): number {
    this.#note(call)
    const { context, stream } = call
    let dearest = 0
    let slowest = 0
    for (const target of among) {
      const means = this.#means.get(armName(target, context))
      if (means === undefined) continue
      dearest = Math.max(dearest, means.costNanoUsd)
      slowest = Math.max(slowest, stream ? means.streamMs : means.wholeMs)
    }
    const cost = shareOf(call.costNanoUsd ?? 0, dearest)
    const latency = shareOf(call.latencyMs, slowest)
    return FOR_SUCCESS + FOR_COST * (1 - cost) + FOR_LATENCY * (1 - latency)
  }

  #note({ target, context, stream, latencyMs, costNanoUsd }: ArmCall): void {
    const name = armName(target, context)
    let means = this.#means.get(name)
    if (means === undefined) {
      if (this.#means.size >= MOST_ARMS) this.#means.delete(this.#means.keys().next().value ?? '')
      means = { costNanoUsd: 0, streamMs: 0, wholeMs: 0 }
      this.#means.set(name, means)
    }
    means.costNanoUsd = moved(means.costNanoUsd, costNanoUsd ?? 0)
    if (stream) means.streamMs = moved(means.streamMs, latencyMs)
    else means.wholeMs = moved(means.wholeMs, latencyMs)
  }
}

export const FAILURE_REWARD = 0

/** What a user said of an answer, mixed into what it was worth. Both 0 to 1. */
export function withQuality(reward: number, quality: number): number {
  return reward * (1 - FOR_QUALITY) + quality * FOR_QUALITY
}

function moved(mean: number, value: number): number {
  return mean === 0 ? value : mean + STEP * (value - mean)
}

function shareOf(value: number, most: number): number {
  return most <= 0 ? 0 : Math.min(1, value / most)
}

import { describe, expect, it } from 'vitest'
import { drawAt } from '../lib/seeded-draw.ts'
import { type ChoicePolicy, evaluateChoices, type LoggedChoice } from './evaluate-choices.ts'

const ARMS = [
  { target: 'a', p: 0.9, worth: 0.8 },
  { target: 'b', p: 0.7, worth: 0.9 },
  { target: 'c', p: 0.4, worth: 0.7 },
] as const

const valueOf = (target: string): number => {
  const arm = ARMS.find((one) => one.target === target)
  return (arm?.p ?? 0) * (arm?.worth ?? 0)
}

/** A log whose chooser comes to prefer what earned most so far, but never wholly. */
function adaptiveLog(seed: number, length: number): readonly LoggedChoice[] {
  const sums = new Map<string, { sum: number; count: number }>()
  return Array.from({ length }, (_, at) => {
    const means = ARMS.map(({ target }) => {
      const known = sums.get(target)
      return known === undefined ? 1 : known.sum / known.count
    })
    const best = means.indexOf(Math.max(...means))
    const candidates = ARMS.map(({ target }, i) => ({
      target,
      propensity: i === best ? 0.94 : 0.03,
      costNanoUsd: 10 + i,
      latencyMs: 100 - i,
      failureShare: 0,
      weight: 1,
    }))
    const draw = drawAt(seed, 3 * at)
    const other = Math.floor(drawAt(seed, 3 * at + 1) * ARMS.length)
    const chosen = ARMS[draw < 0.91 ? best : other] ?? ARMS[0]
    const reward = drawAt(seed, 3 * at + 2) < chosen.p ? chosen.worth : 0
    const known = sums.get(chosen.target) ?? { sum: 0, count: 0 }
    sums.set(chosen.target, { sum: known.sum + reward, count: known.count + 1 })
    return { candidates, chosen: chosen.target, reward, bucket: 'small' }
  })
}

const POLICIES: readonly { readonly policy: ChoicePolicy; readonly truth: number }[] = [
  { policy: { strategy: 'priority', targets: ['a'] }, truth: valueOf('a') },
  { policy: { strategy: 'priority', targets: ['gone', 'b'] }, truth: valueOf('b') },
  { policy: { strategy: 'priority', targets: ['c'] }, truth: valueOf('c') },
  {
    policy: { strategy: 'weighted', weights: { a: 1, b: 3 } },
    truth: valueOf('a') / 4 + (3 * valueOf('b')) / 4,
  },
  {
    policy: { strategy: 'score', weights: { cost: 1, latency: 0, failure: 0, weight: 0 } },
    truth: valueOf('a'),
  },
  { policy: { strategy: 'latency' }, truth: valueOf('c') },
]

describe('evaluateChoices', () => {
  it.each(POLICIES)('covers the truth in at least 95 of 100 logs: $policy', ({ policy, truth }) => {
    let covered = 0
    let widths = 0
    for (let seed = 1; seed <= 100; seed++) {
      const estimate = evaluateChoices(adaptiveLog(seed, 2000), policy)
      if (estimate === null) continue
      if (estimate.low <= truth && truth <= estimate.high) covered++
      widths += (estimate.high - estimate.low) / 100
    }
    expect(covered).toBeGreaterThanOrEqual(95)
    expect(widths).toBeLessThan(0.45)
  })

  it('gives what was done as the mean of what came of it', () => {
    const log = adaptiveLog(7, 1000)
    const mean = log.reduce((sum, { reward }) => sum + reward, 0) / log.length
    const estimate = evaluateChoices(log, { strategy: 'logged' })
    expect(estimate?.value).toBeCloseTo(mean, 1)
    expect(estimate?.effectiveObservations).toBeGreaterThan(900)
  })

  it('says nothing of what could never be chosen, and of no log', () => {
    const candidates = ['a', 'c'].map((target) => ({
      target,
      propensity: target === 'a' ? 1 : 0,
      costNanoUsd: null,
      latencyMs: null,
      failureShare: 0,
      weight: 1,
    }))
    const log = [{ candidates, chosen: 'a', reward: 1, bucket: 'small' }]
    expect(evaluateChoices(log, { strategy: 'priority', targets: ['c'] })).toBeNull()
    expect(evaluateChoices([], { strategy: 'logged' })).toBeNull()
  })
})

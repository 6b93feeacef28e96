import { describe, expect, it } from 'vitest'
import type { ArmContext } from '../../contracts/routing.ts'
import { drawAt } from '../../lib/seeded-draw.ts'
import { propensities, ThompsonBandit, USUAL_FORGETTING } from './thompson-bandit.ts'

const CONTEXT: ArmContext = { size: 'small', tools: false }
const HOUR_MS = 3_600_000

function newBandit(): ThompsonBandit {
  return new ThompsonBandit(() => USUAL_FORGETTING)
}

/** An arm whose calls succeed with `p`, and are worth `worth` then. */
type TrueArm = { p: number; worth: number }

function play(
  bandit: ThompsonBandit,
  arms: readonly TrueArm[],
  run: { seed: number; from: number },
) {
  const names = arms.map((_, i) => `arm${i}`)
  return (rounds: number): number => {
    let sum = 0
    for (let round = 0; round < rounds; round++) {
      const at = run.from++
      const draws = bandit.draw(names, CONTEXT, `${run.seed}-${at}`, 0)
      const best = draws.reduce((one, other) => (other.draw > one.draw ? other : one))
      const arm = arms[names.indexOf(best.target)] ?? { p: 0, worth: 0 }
      const reward = drawAt(run.seed, at) < arm.p ? arm.worth : 0
      bandit.observe({ target: best.target, among: names, context: CONTEXT, reward }, 0)
      sum += arm.p * arm.worth
    }
    return sum / rounds
  }
}

const SEEDS = Array.from({ length: 40 }, (_, i) => i + 1)
const median = (values: readonly number[]): number =>
  values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0

describe('ThompsonBandit', () => {
  it('comes within 5 % of the best fixed arm after 2,000 requests, and back within 500 of a drift', () => {
    const after: number[] = []
    const drifted: number[] = []
    for (const seed of SEEDS) {
      const arms = [
        { p: 0.95, worth: 0.85 },
        { p: 0.8, worth: 0.8 },
        { p: 0.6, worth: 0.9 },
      ]
      const [best] = arms
      const rounds = play(newBandit(), arms, { seed, from: 0 })
      rounds(1500)
      after.push(rounds(500) / (0.95 * 0.85))
      if (best !== undefined) best.p = 0.3
      rounds(500)
      drifted.push(rounds(300) / (0.8 * 0.8))
    }
    expect(median(after)).toBeGreaterThan(0.97)
    expect(after.filter((share) => share > 0.95).length).toBeGreaterThan(SEEDS.length * 0.85)
    expect(median(drifted)).toBeGreaterThan(0.95)
  })

  it('finds an arm that has become the best, though it was the worst', () => {
    const found: number[] = []
    for (const seed of SEEDS) {
      const arms = [
        { p: 0.8, worth: 0.8 },
        { p: 0.2, worth: 0.9 },
      ]
      const rounds = play(newBandit(), arms, { seed, from: 0 })
      rounds(2000)
      const worst = arms[1]
      if (worst !== undefined) Object.assign(worst, { p: 1, worth: 1 })
      rounds(500)
      found.push(rounds(200))
    }
    expect(median(found)).toBeGreaterThan(0.97)
  })

  it('draws the same for the same seed, and changes nothing by drawing', () => {
    const bandit = newBandit()
    bandit.observe({ target: 'a', among: ['a', 'b'], context: CONTEXT, reward: 0.7 }, 0)
    const first = bandit.draw(['a', 'b'], CONTEXT, 'req_1', HOUR_MS)
    expect(bandit.draw(['a', 'b'], CONTEXT, 'req_1', HOUR_MS)).toEqual(first)
    expect(bandit.draw(['a', 'b'], CONTEXT, 'req_2', HOUR_MS)).not.toEqual(first)
    expect(first.map(({ target }) => target)).toEqual(['a', 'b'])
  })

  it('comes first as often as its propensity says, the hopeless now and then too', () => {
    const bandit = newBandit()
    for (let i = 0; i < 60; i++) {
      const reward = i % 2
      bandit.observe({ target: reward === 1 ? 'a' : 'b', among: [], context: CONTEXT, reward }, 0)
    }
    const draws = bandit.draw(['a', 'b', 'c'], CONTEXT, 's', 0)
    const expected = propensities(draws)
    expect(expected.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1)
    const firsts = new Map<string, number>()
    const rounds = 20_000
    for (let round = 0; round < rounds; round++) {
      const drawn = bandit.draw(['a', 'b', 'c'], CONTEXT, `seed${round}`, 0)
      const first = drawn.reduce((one, other) => (other.draw > one.draw ? other : one)).target
      firsts.set(first, (firsts.get(first) ?? 0) + 1)
    }
    for (const [i, { target }] of draws.entries()) {
      expect(Math.abs((firsts.get(target) ?? 0) / rounds - (expected[i] ?? 0))).toBeLessThan(0.015)
    }
    expect(firsts.get('b')).toBeGreaterThan(60)
  })

  it('keeps sizes and tools apart', () => {
    const bandit = newBandit()
    for (let i = 0; i < 50; i++) {
      bandit.observe({ target: 'a', among: ['a'], context: CONTEXT, reward: 1 }, 0)
    }
    const [here] = bandit.draw(['a'], CONTEXT, 's', 0)
    const [there] = bandit.draw(['a'], { size: 'large', tools: false }, 's', 0)
    expect(here?.alpha).toBeGreaterThan(100)
    expect(there).toMatchObject({ alpha: 1, beta: 1 })
  })

  it('loses half in a half-life, and nothing by a clock that jumps back', () => {
    const bandit = newBandit()
    bandit.observe({ target: 'a', among: [], context: CONTEXT, reward: 1 }, 24 * HOUR_MS)
    expect(bandit.draw(['a'], CONTEXT, 's', 48 * HOUR_MS)[0]?.alpha).toBeCloseTo(1 + 4 / 2)
    expect(bandit.draw(['a'], CONTEXT, 's', 0)[0]?.alpha).toBe(5)
  })

  it('takes a reward back and gives another', () => {
    const bandit = newBandit()
    bandit.observe({ target: 'a', among: [], context: CONTEXT, reward: 1 }, 0)
    bandit.correct('a', CONTEXT, -0.5, 0)
    expect(bandit.draw(['a'], CONTEXT, 's', 0)[0]).toMatchObject({ alpha: 3, beta: 3 })
    bandit.correct('a', CONTEXT, -9, 0)
    expect(bandit.draw(['a'], CONTEXT, 's', 0)[0]).toMatchObject({ alpha: 1, beta: 5 })
  })

  it('goes on after a restart, and adds what other gateways know', () => {
    const before = newBandit()
    for (let i = 0; i < 20; i++) {
      before.observe({ target: 'a', among: ['a'], context: CONTEXT, reward: 0.8 }, 0)
    }
    const changed = before.takeChanged()
    expect(before.takeChanged()).toEqual([])
    const after = newBandit()
    after.restore(changed)
    expect(after.draw(['a'], CONTEXT, 's', 0)).toEqual(before.draw(['a'], CONTEXT, 's', 0))
    after.useOthers([...changed, ...changed])
    const one = before.draw(['a'], CONTEXT, 's', 0)[0]
    const three = after.draw(['a'], CONTEXT, 's', 0)[0]
    expect((three?.alpha ?? 0) - 1).toBeCloseTo(3 * ((one?.alpha ?? 0) - 1))
  })

  it('holds a bounded number of arms', () => {
    const bandit = newBandit()
    for (let i = 0; i < 21_000; i++) {
      bandit.observe({ target: `t${i}`, among: [], context: CONTEXT, reward: 1 }, 0)
    }
    expect(bandit.list(0)).toHaveLength(20_000)
    expect(bandit.takeChanged()).toHaveLength(20_000)
  })
})

import { describe, expect, it } from 'vitest'
import { BetaDraws, largestProbabilities } from './beta-draw.ts'
import { drawAt } from './seeded-draw.ts'

describe('BetaDraws', () => {
  it.each([
    [1, 1],
    [1, 9],
    [40, 3],
    [500, 500],
  ])('has mean and deviation of Beta(%d, %d)', (alpha, beta) => {
    const betas = new BetaDraws(seededRandom(alpha * 31 + beta))
    const draws = Array.from({ length: 20_000 }, () => betas.next(alpha, beta))
    const mean = draws.reduce((sum, each) => sum + each, 0) / draws.length
    const variance = draws.reduce((sum, each) => sum + (each - mean) ** 2, 0) / draws.length
    const total = alpha + beta
    const expected = (alpha * beta) / (total * total * (total + 1))
    expect(Math.abs(mean - alpha / total)).toBeLessThan(5 * Math.sqrt(expected / draws.length))
    expect(variance / expected).toBeGreaterThan(0.93)
    expect(variance / expected).toBeLessThan(1.07)
  })
})

describe('largestProbabilities', () => {
  it('is even among equals, and 1 for one', () => {
    expect(largestProbabilities([{ alpha: 3, beta: 2 }])).toEqual([1])
    const even = largestProbabilities(Array.from({ length: 4 }, () => ({ alpha: 300, beta: 40 })))
    for (const each of even) expect(each).toBeCloseTo(0.25, 6)
  })

  it('is how often draws come out so', () => {
    const posteriors = [
      { alpha: 30, beta: 10 },
      { alpha: 8, beta: 3 },
      { alpha: 1, beta: 1 },
      { alpha: 20, beta: 20, bonus: 0.2 },
    ]
    const betas = new BetaDraws(seededRandom(5))
    const wins = [0, 0, 0, 0]
    const rounds = 40_000
    for (let round = 0; round < rounds; round++) {
      const draws = posteriors.map(({ alpha, beta, bonus = 0 }) => bonus + betas.next(alpha, beta))
      const first = draws.indexOf(Math.max(...draws))
      wins[first] = (wins[first] ?? 0) + 1
    }
    const expected = largestProbabilities(posteriors)
    for (const [i, count] of wins.entries()) {
      expect(Math.abs(count / rounds - (expected[i] ?? 0))).toBeLessThan(0.012)
    }
  })

  it('holds for narrow posteriors far apart', () => {
    const [one = 0, other = 1] = largestProbabilities([
      { alpha: 9000, beta: 1000 },
      { alpha: 1000, beta: 9000 },
    ])
    expect(one).toBeCloseTo(1, 9)
    expect(other).toBeCloseTo(0, 9)
  })
})

function seededRandom(seed: number): () => number {
  let next = 0
  return () => drawAt(seed, next++)
}

import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Price, Rates } from '../../contracts/price.ts'
import { NO_USAGE, totalInputTokens } from '../../contracts/usage.ts'
import { costNanoUsd, demandOf } from './cost.ts'

const base: Rates = {
  inputPicoUsd: 3_000_000,
  outputPicoUsd: 15_000_000,
  cacheReadPicoUsd: 300_000,
  cacheWrite5mPicoUsd: 3_750_000,
  cacheWrite1hPicoUsd: 6_000_000,
  reasoningPicoUsd: null,
}
const long: Rates = { ...base, inputPicoUsd: 6_000_000, outputPicoUsd: 22_500_000 }
const flat: Price = { base, tiers: [] }
const tiered: Price = { base, tiers: [{ aboveInputTokens: 200_000, rates: long }] }

describe('costNanoUsd', () => {
  it('is unknown, not free, when the provider told neither input nor output', () => {
    expect(costNanoUsd(NO_USAGE, flat)).toBeNull()
    expect(costNanoUsd({ ...NO_USAGE, outputTokens: 0 }, flat)).toBe(0)
    expect(costNanoUsd({ ...NO_USAGE, inputTokens: 10 }, flat)).toBe(30_000)
  })

  it('prices every kind by its own rate', () => {
    const usage = {
      ...NO_USAGE,
      inputTokens: 100,
      outputTokens: 50,
      cacheReadTokens: 1_000,
      cacheWrite5mTokens: 10,
      cacheWrite1hTokens: 20,
      reasoningTokens: 30,
    }
    const nano = 100 * 3000 + 50 * 15_000 + 1_000 * 300 + 10 * 3750 + 20 * 6000
    expect(costNanoUsd(usage, flat)).toBe(nano)
    const thinking = { base: { ...base, reasoningPicoUsd: 20_000_000 }, tiers: [] }
    expect(costNanoUsd(usage, thinking)).toBe(nano + 30 * 5_000)
  })

  it('re-prices the whole request above a tier, cached input included', () => {
    const usage = { ...NO_USAGE, inputTokens: 1, cacheReadTokens: 199_999, outputTokens: 1 }
    expect(costNanoUsd(usage, tiered)).toBe(3_000 + 199_999 * 300 + 15_000)
    expect(costNanoUsd({ ...usage, inputTokens: 2 }, tiered)).toBe(12_000 + 199_999 * 300 + 22_500)
  })

  it('rounds up once', () => {
    const price = { base: { ...base, inputPicoUsd: 1, outputPicoUsd: 1 }, tiers: [] }
    expect(costNanoUsd({ ...NO_USAGE, inputTokens: 1, outputTokens: 1 }, price)).toBe(1)
    expect(costNanoUsd({ ...NO_USAGE, inputTokens: 500, outputTokens: 501 }, price)).toBe(2)
  })

  it('gives no refund for nonsense', () => {
    expect(costNanoUsd({ ...NO_USAGE, inputTokens: -5, outputTokens: 1 }, flat)).toBe(15_000)
    const reasoning = { base: { ...base, reasoningPicoUsd: 0 }, tiers: [] }
    const usage = { ...NO_USAGE, outputTokens: 10, reasoningTokens: 99 }
    expect(costNanoUsd(usage, reasoning)).toBe(0)
  })
})

describe('demandOf', () => {
  it('has no cost without a price', () => {
    expect(demandOf({ inputTokens: 5, outputTokens: 7, price: null })).toEqual({
      inputTokens: 5,
      outputTokens: 7,
      fixedCostPicoUsd: null,
      outputPicoUsd: 0,
    })
  })

  it('takes the dearest input rate, at the tier of the input', () => {
    const request = { outputTokens: 1, price: tiered }
    expect(demandOf({ ...request, inputTokens: 200_000 })).toMatchObject({
      fixedCostPicoUsd: 200_000 * 6_000_000,
      outputPicoUsd: 15_000_000,
    })
    expect(demandOf({ ...request, inputTokens: 200_001 })).toMatchObject({
      outputPicoUsd: 22_500_000,
    })
  })

  it('bounds the cost of any usage that it covers', () => {
    const rate = fc.nat(80_000_000)
    const rates = fc.record({
      inputPicoUsd: rate,
      outputPicoUsd: rate,
      cacheReadPicoUsd: rate,
      cacheWrite5mPicoUsd: rate,
      cacheWrite1hPicoUsd: rate,
      reasoningPicoUsd: fc.option(rate),
    })
    const tokens = fc.option(fc.nat(4_000))
    const usages = fc.record({
      inputTokens: tokens,
      outputTokens: tokens,
      cacheReadTokens: tokens,
      cacheWrite5mTokens: tokens,
      cacheWrite1hTokens: tokens,
      reasoningTokens: tokens,
      audioInputTokens: fc.constant(null),
      audioOutputTokens: fc.constant(null),
      serverToolCalls: fc.constant(null),
    })
    const prices = fc.record({
      base: rates,
      tiers: fc
        .array(fc.record({ aboveInputTokens: fc.nat(9_000), rates }), { maxLength: 3 })
        .map((tiers) =>
          tiers.toSorted((one, other) => one.aboveInputTokens - other.aboveInputTokens),
        ),
    })
    fc.assert(
      fc.property(usages, prices, fc.nat(500), (usage, price, slack) => {
        const inputTokens = totalInputTokens(usage) + slack
        const outputTokens = usage.outputTokens ?? 0
        const { fixedCostPicoUsd, outputPicoUsd } = demandOf({ inputTokens, outputTokens, price })
        const bound = Math.ceil(((fixedCostPicoUsd ?? 0) + outputTokens * outputPicoUsd) / 1000)
        expect(costNanoUsd(usage, price) ?? 0).toBeLessThanOrEqual(bound)
      }),
      { numRuns: 500 },
    )
  })
})

import { assert, integer, property } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createModelCatalogue } from './model-catalogue.ts'
import { picoUsdPerToken } from './pico-usd.ts'
import { readSnapshot } from './read-snapshot.ts'
import { tokenizerOf } from './tokenizer-of.ts'

const catalogue = createModelCatalogue()

describe('createModelCatalogue', () => {
  it('knows the price of a model in integer pico-dollars', () => {
    expect(catalogue.find('openai', 'gpt-4o-mini')?.price?.base).toMatchObject({
      inputPicoUsd: 150_000,
      outputPicoUsd: 600_000,
    })
  })

  it('finds a dated name through its model, but prefers the exact one', () => {
    expect(catalogue.find('openai', 'gpt-4.1-2025-04-14')).toEqual(
      catalogue.find('openai', 'gpt-4.1'),
    )
    expect(catalogue.find('openai', 'gpt-4o-2024-05-13')).not.toEqual(
      catalogue.find('openai', 'gpt-4o'),
    )
    expect(catalogue.find('anthropic', 'claude-sonnet-4-6-20260101')?.price).toEqual(
      catalogue.find('anthropic', 'claude-sonnet-4-6')?.price,
    )
  })

  it('knows which models take no images, and says nothing of the others', () => {
    expect(catalogue.find('openai', 'o3-mini')?.capabilities).toEqual({ vision: false })
    expect(catalogue.find('openai', 'gpt-4o-mini')?.capabilities).toBeUndefined()
  })

  it('never takes a prefix or a name of another provider', () => {
    expect(catalogue.find('openai', 'gpt-4o-mini-of-my-own')).toBeNull()
    expect(catalogue.find('openai', 'gpt')).toBeNull()
    expect(catalogue.find('groq', 'gpt-4o-mini')).toBeNull()
    expect(catalogue.find('openai', 'constructor')).toBeNull()
    expect(catalogue.find('constructor', 'constructor')).toBeNull()
    expect(catalogue.find('openai', 'unheard-of-latest')).toBeNull()
  })

  it("prices Anthropic's cache writes by their lifetime", () => {
    expect(catalogue.find('anthropic', 'claude-sonnet-4-5')?.price?.base).toEqual({
      inputPicoUsd: 3_000_000,
      outputPicoUsd: 15_000_000,
      cacheReadPicoUsd: 300_000,
      cacheWrite5mPicoUsd: 3_750_000,
      cacheWrite1hPicoUsd: 6_000_000,
      reasoningPicoUsd: null,
    })
  })

  it('charges cached input as input where the source has no number', () => {
    const base = catalogue.find('groq', 'llama-3.1-8b-instant')?.price?.base
    expect(base?.cacheReadPicoUsd).toBe(base?.inputPicoUsd)
    expect(base?.cacheWrite1hPicoUsd).toBe(base?.inputPicoUsd)
  })

  it('does not take a missing price for a free one', () => {
    const [model] = catalogue.modelsOf('nvidia_nim')
    expect(catalogue.find('nvidia_nim', model ?? '')?.price).toBeNull()
  })

  it('reads every row of the snapshot: whole rates and ascending tiers', () => {
    for (const [provider, models] of Object.entries(readSnapshot().rows)) {
      for (const model of Object.keys(models)) {
        const found = catalogue.find(provider, model)
        expect(found, `${provider}/${model}`).not.toBeNull()
        const price = found?.price ?? null
        if (price === null) continue
        const rates = [price.base, ...price.tiers.map((tier) => tier.rates)].flatMap(Object.values)
        expect(rates.every((rate) => rate === null || Number.isSafeInteger(rate))).toBe(true)
        const marks = price.tiers.map((tier) => tier.aboveInputTokens)
        expect(marks).toEqual(marks.toSorted((a, b) => a - b))
      }
    }
  })

  it('prices embeddings and everything that the sandbox answers to', () => {
    expect(catalogue.find('openai', 'text-embedding-3-small')?.price?.base.inputPicoUsd).toBe(
      20_000,
    )
    expect(catalogue.find('sandbox', 'words-50')?.price).not.toBeNull()
    expect(catalogue.find('sandbox', 'sandbox-large')?.price?.tiers).toHaveLength(1)
  })
})

describe('picoUsdPerToken', () => {
  it('is exact where binary fractions are not', () => {
    expect(picoUsdPerToken(0.006)).toBe(6_000)
    expect(picoUsdPerToken(0.1)).toBe(100_000)
    expect(picoUsdPerToken(12.5)).toBe(12_500_000)
    expect(picoUsdPerToken(0)).toBe(0)
    expect(picoUsdPerToken(1e-7)).toBe(1)
    expect(() => picoUsdPerToken(-1)).toThrow(RangeError)
    expect(() => picoUsdPerToken(Number.NaN)).toThrow(RangeError)
  })

  it('undoes a division of whole pico-dollars', () => {
    assert(
      property(integer({ min: 0, max: 1_000_000_000 }), (pico) => {
        expect(picoUsdPerToken(pico / 1_000_000)).toBe(pico)
      }),
    )
  })
})

describe('tokenizerOf', () => {
  it.each([
    ['gpt-4o-mini', 'o200k_base'],
    ['openai/gpt-4.1', 'o200k_base'],
    ['gpt-5.4', 'o200k_base'],
    ['o3-mini', 'o200k_base'],
    ['gpt-oss-120b', 'o200k_base'],
    ['gpt-4-turbo', 'cl100k_base'],
    ['gpt-3.5-turbo-0125', 'cl100k_base'],
    ['text-embedding-3-small', 'cl100k_base'],
    ['claude-opus-4-5', null],
    ['gpt-6-sol', null],
    ['o100', null],
  ] as const)('%s: %s', (model, tokenizer) => {
    expect(tokenizerOf(model)).toBe(tokenizer)
  })
})

import type { Demand } from '../../contracts/limit.ts'
import type { Price, Rates } from '../../contracts/price.ts'
import { totalInputTokens, type Usage } from '../../contracts/usage.ts'

const PICO_PER_NANO = 1000

/**
 * What one attempt cost, in integer nano-US-dollars, rounded up once. Null: the provider told neither its input nor its
 * output, so the cost is unknown, which is not free.
 *
 * A tier re-prices the whole request by its total input, cached input included. A kind that the provider did not tell
 * counts as none. Audio has no rate of its own yet: it is part of the input and output counts and priced as they are.
 */
export function costNanoUsd(usage: Usage, price: Price): number | null {
  if (usage.inputTokens === null && usage.outputTokens === null) return null
  const rates = ratesFor(price, totalInputTokens(usage))
  const outputTokens = tokens(usage.outputTokens)
  const reasoningTokens = Math.min(tokens(usage.reasoningTokens), outputTokens)
  const reasoningPicoUsd = rates.reasoningPicoUsd ?? rates.outputPicoUsd
  const costPicoUsd =
    tokens(usage.inputTokens) * rates.inputPicoUsd +
    tokens(usage.cacheReadTokens) * rates.cacheReadPicoUsd +
    tokens(usage.cacheWrite5mTokens) * rates.cacheWrite5mPicoUsd +
    tokens(usage.cacheWrite1hTokens) * rates.cacheWrite1hPicoUsd +
    (outputTokens - reasoningTokens) * rates.outputPicoUsd +
    reasoningTokens * reasoningPicoUsd
  return Math.ceil(costPicoUsd / PICO_PER_NANO)
}

/**
 * The most that a request may use: `inputTokens` is an upper bound of everything read, `outputTokens` of everything
 * written over all its choices. Null price: unpriced.
 *
 * How much of the input will be newly cached, and at which tier the provider will bill, is known only afterwards. So the
 * bound takes the dearest input rate and the dearer of output and reasoning, over every tier that the input can reach.
 */
export function demandOf(request: {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly price: Price | null
}): Demand {
  const { inputTokens, outputTokens, price } = request
  if (price === null) {
    return { inputTokens, outputTokens, fixedCostPicoUsd: null, outputPicoUsd: 0 }
  }
  let inputPicoUsd = dearestInput(price.base)
  let outputPicoUsd = dearestOutput(price.base)
  for (const tier of price.tiers) {
    if (inputTokens <= tier.aboveInputTokens) break
    inputPicoUsd = Math.max(inputPicoUsd, dearestInput(tier.rates))
    outputPicoUsd = Math.max(outputPicoUsd, dearestOutput(tier.rates))
  }
  return { inputTokens, outputTokens, fixedCostPicoUsd: inputTokens * inputPicoUsd, outputPicoUsd }
}

function ratesFor(price: Price, inputTokens: number): Rates {
  let rates = price.base
  for (const tier of price.tiers) {
    if (inputTokens > tier.aboveInputTokens) rates = tier.rates
  }
  return rates
}

function dearestInput(rates: Rates): number {
  return Math.max(
    rates.inputPicoUsd,
    rates.cacheReadPicoUsd,
    rates.cacheWrite5mPicoUsd,
    rates.cacheWrite1hPicoUsd,
  )
}

function dearestOutput(rates: Rates): number {
  return Math.max(rates.outputPicoUsd, rates.reasoningPicoUsd ?? 0)
}

/** Providers are never trusted: a negative count would be a refund. */
function tokens(reported: number | null): number {
  return reported === null || !(reported > 0) ? 0 : reported
}

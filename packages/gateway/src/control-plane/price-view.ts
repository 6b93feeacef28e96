import type { Price, Rates } from '../contracts/price.ts'
import type { PriceView, RatesView } from './admin-api.ts'

export function priceView({ base, tiers }: Price): PriceView {
  return {
    ...ratesView(base),
    tiers: tiers.map(({ aboveInputTokens, rates }) =>
      Object.assign({ above_input_tokens: aboveInputTokens }, ratesView(rates)),
    ),
  }
}

/** Pico-US-dollars per token are millionths of US dollars per million tokens. */
const PICO_PER_TOKEN_IN_USD_PER_MTOK = 1e6

function perMTok(picoPerToken: number): number {
  return picoPerToken / PICO_PER_TOKEN_IN_USD_PER_MTOK
}

function ratesView(rates: Rates): RatesView {
  return {
    input: perMTok(rates.inputPicoUsd),
    output: perMTok(rates.outputPicoUsd),
    cache_read: perMTok(rates.cacheReadPicoUsd),
    cache_write_5m: perMTok(rates.cacheWrite5mPicoUsd),
    cache_write_1h: perMTok(rates.cacheWrite1hPicoUsd),
    reasoning: rates.reasoningPicoUsd === null ? null : perMTok(rates.reasoningPicoUsd),
  }
}

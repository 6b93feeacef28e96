import type { CatalogueModel } from '../contracts/catalogue.ts'
import type { Rates } from '../contracts/price.ts'

/** The sandbox ends an answer here when the request has no cap of its own. Tokens. */
const MAX_OUTPUT_TOKENS = 16_384
const CONTEXT_TOKENS = 1_000_000
/** Above this much input `sandbox-large` costs twice as much, so that tiers can be tried. */
const TIER_AT_TOKENS = 100_000

const MINI: Rates = {
  inputPicoUsd: 150_000,
  outputPicoUsd: 600_000,
  cacheReadPicoUsd: 15_000,
  cacheWrite5mPicoUsd: 187_500,
  cacheWrite1hPicoUsd: 300_000,
  reasoningPicoUsd: null,
}

const LARGE: Rates = {
  inputPicoUsd: 3_000_000,
  outputPicoUsd: 15_000_000,
  cacheReadPicoUsd: 300_000,
  cacheWrite5mPicoUsd: 3_750_000,
  cacheWrite1hPicoUsd: 6_000_000,
  reasoningPicoUsd: null,
}

const LIMITS = {
  contextTokens: CONTEXT_TOKENS,
  maxOutputTokens: MAX_OUTPUT_TOKENS,
  tokenizer: 'o200k_base',
} as const

const SANDBOX_MINI: CatalogueModel = { price: { base: MINI, tiers: [] }, ...LIMITS }
const SANDBOX_LARGE: CatalogueModel = {
  price: {
    base: LARGE,
    tiers: [{ aboveInputTokens: TIER_AT_TOKENS, rates: doubled(LARGE) }],
  },
  ...LIMITS,
}

export const SANDBOX_MODEL_IDS: readonly string[] = ['sandbox-mini', 'sandbox-large']

/** Made-up prices of the built-in simulated provider: whatever name it answers to costs like `sandbox-mini`. */
export function sandboxModel(model: string): CatalogueModel {
  return model === 'sandbox-large' ? SANDBOX_LARGE : SANDBOX_MINI
}

function doubled(rates: Rates): Rates {
  return {
    inputPicoUsd: rates.inputPicoUsd * 2,
    outputPicoUsd: rates.outputPicoUsd * 2,
    cacheReadPicoUsd: rates.cacheReadPicoUsd * 2,
    cacheWrite5mPicoUsd: rates.cacheWrite5mPicoUsd * 2,
    cacheWrite1hPicoUsd: rates.cacheWrite1hPicoUsd * 2,
    reasoningPicoUsd: null,
  }
}

/** Rates of one tier, in integer pico-US-dollars per token (USD per million tokens × 1 000 000). */
export type Rates = {
  readonly inputPicoUsd: number
  readonly outputPicoUsd: number
  readonly cacheReadPicoUsd: number
  readonly cacheWrite5mPicoUsd: number
  readonly cacheWrite1hPicoUsd: number
  /** `null`: reasoning is billed as output. */
  readonly reasoningPicoUsd: number | null
}

/**
 * The price of one model at one provider.
 *
 * A tier prices the whole request, cached input included, once the total input is above `aboveInputTokens`.
 * Tiers are sorted by that threshold, ascending; `base` serves below the first.
 */
export type Price = {
  readonly base: Rates
  readonly tiers: readonly { readonly aboveInputTokens: number; readonly rates: Rates }[]
}

import type { PriceConfig, RatesConfig } from '../config/gateway-config.ts'
import type { Price, Rates } from '../contracts/price.ts'
import { scaledInteger } from '../lib/decimal.ts'
import { PlanError } from './plan-error.ts'

/** USD per million tokens → pico-USD per token: six decimal places. */
const SCALE = 6

/**
 * The configured rates over the catalogue's, field by field; null when neither knows a price. Throws `PlanError`.
 *
 * A cache rate that nobody names is the input's: unknown is never free. Tiers that are configured replace the
 * catalogue's; each inherits what it leaves out from the rates below it.
 */
export function compilePrice(
  config: PriceConfig | undefined,
  known: Price | null,
  at: string,
): Price | null {
  if (config === undefined) return known
  const base = overlay(config, known?.base ?? null, at)
  if (config.tiers === undefined) return { base, tiers: known?.tiers ?? [] }
  const sorted = config.tiers
    .map((tier, index) => ({ tier, at: `${at}.tiers[${index}]` }))
    .toSorted((a, b) => a.tier.above_input_tokens - b.tier.above_input_tokens)
  let below = base
  const tiers = sorted.map(({ tier, at: tierAt }) => {
    below = overlay(tier, below, tierAt)
    return { aboveInputTokens: tier.above_input_tokens, rates: below }
  })
  return { base, tiers }
}

function overlay(config: RatesConfig, known: Rates | null, at: string): Rates {
  const rate = (field: keyof RatesConfig, fallback: number | null | undefined): number | null => {
    const usd = config[field]
    return usd === undefined ? (fallback ?? null) : picoUsd(usd, `${at}.${field}`)
  }
  const required = (field: 'input' | 'output', fallback: number | undefined): number => {
    const value = rate(field, fallback)
    if (value !== null) return value
    throw new PlanError(`${at}.${field}`, 'is required: the catalogue has no price of this model')
  }
  const input = required('input', known?.inputPicoUsd)
  const write5m = rate('cache_write_5m', known?.cacheWrite5mPicoUsd) ?? input
  return {
    inputPicoUsd: input,
    outputPicoUsd: required('output', known?.outputPicoUsd),
    cacheReadPicoUsd: rate('cache_read', known?.cacheReadPicoUsd) ?? input,
    cacheWrite5mPicoUsd: write5m,
    cacheWrite1hPicoUsd: rate('cache_write_1h', known?.cacheWrite1hPicoUsd) ?? write5m,
    reasoningPicoUsd: rate('reasoning', known?.reasoningPicoUsd),
  }
}

function picoUsd(usdPerMTok: number, at: string): number {
  const value = scaledInteger(usdPerMTok, SCALE)
  if (value === null) {
    throw new PlanError(at, `${usdPerMTok} has more than six decimals (USD per million tokens)`)
  }
  return value
}

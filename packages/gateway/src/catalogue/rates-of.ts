import type { Rates } from '../contracts/price.ts'
import { picoUsdPerToken } from './pico-usd.ts'

/** Input, output, cache read, cache write: US dollars per million tokens. */
export type RateRow = readonly [
  input: number,
  output: number,
  cacheRead: number,
  cacheWrite: number,
]

const ANTHROPIC = /claude/i

/**
 * Rates from a row of the snapshot, where 0 for a cache rate means that the source has no number.
 *
 * Anthropic: a write for 5 minutes costs 1.25 times the input, for an hour 2 times, a read 0.1 times. The newest models
 * read cheaper, which their rows say. Source: platform.claude.com/docs/en/about-claude/pricing, quoted by
 * docs.rs/claude-session-parser and docs.rs/synaps (read 2026-11-21).
 * Others: cached input without a price of its own is charged as input, the most that any vendor takes for it.
 */
export function ratesOf(model: string, row: RateRow): Rates {
  const [input, output, cacheRead, cacheWrite] = row.map(picoUsdPerToken)
  const fresh = input ?? 0
  const claude = ANTHROPIC.test(model)
  const write5m = cacheWrite || (claude ? roundUp(fresh * 5, 4) : fresh)
  return {
    inputPicoUsd: fresh,
    outputPicoUsd: output ?? 0,
    cacheReadPicoUsd: cacheRead || (claude ? roundUp(fresh, 10) : fresh),
    cacheWrite5mPicoUsd: write5m,
    cacheWrite1hPicoUsd: claude ? fresh * 2 : write5m,
    reasoningPicoUsd: null,
  }
}

function roundUp(amount: number, divisor: number): number {
  return Math.ceil(amount / divisor)
}

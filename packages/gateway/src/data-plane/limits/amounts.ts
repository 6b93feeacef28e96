import type { Actual, Demand, LimitUnit } from '../../contracts/limit.ts'

const PICO_PER_NANO = 1000

/** What a request takes from a limit when it may write `outputTokens`. An unpriced one takes no money. */
export function demandedAmount(unit: LimitUnit, demand: Demand, outputTokens: number): number {
  switch (unit) {
    case 'requests':
    case 'concurrent':
      return 1
    case 'tokens':
      return demand.inputTokens + outputTokens
    case 'input_tokens':
      return demand.inputTokens
    case 'output_tokens':
      return outputTokens
    case 'usd':
      if (demand.fixedCostPicoUsd === null) return 0
      return Math.ceil(
        (demand.fixedCostPicoUsd + outputTokens * demand.outputPicoUsd) / PICO_PER_NANO,
      )
  }
}

/**
 * The most output tokens with which the request takes no more than `free`, when the demanded ones take more.
 * Negative: it takes more even without any output.
 */
export function outputThatFits(unit: LimitUnit, demand: Demand, free: number): number {
  switch (unit) {
    case 'tokens':
      return free - demand.inputTokens
    case 'output_tokens':
      return free
    case 'usd':
      return affordableOutput(demand, free)
    case 'requests':
    case 'concurrent':
    case 'input_tokens':
      return -1
  }
}

export function actualAmount(unit: LimitUnit, actual: Actual): number {
  switch (unit) {
    case 'requests':
    case 'concurrent':
      return 1
    case 'tokens':
      return actual.inputTokens + actual.outputTokens
    case 'input_tokens':
      return actual.inputTokens
    case 'output_tokens':
      return actual.outputTokens
    case 'usd':
      return actual.costNanoUsd
  }
}

function affordableOutput(demand: Demand, free: number): number {
  if (demand.outputPicoUsd === 0) return -1
  const fixedPicoUsd = demand.fixedCostPicoUsd ?? 0
  let tokens = Math.floor((free * PICO_PER_NANO - fixedPicoUsd) / demand.outputPicoUsd)
  // Above 2^53 pico-dollars the quotient may be a little too large.
  while (tokens >= 0 && demandedAmount('usd', demand, tokens) > free) tokens -= 1
  return tokens
}

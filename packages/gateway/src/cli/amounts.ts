const NANO_PER_USD = 1e9
const WHOLE = new Intl.NumberFormat('en-US')

/** `1,204`. */
export function wholeText(value: number): string {
  return WHOLE.format(value)
}

/** Dollars with at least two decimals, and as many as a small amount needs. Null: unpriced. */
export function costText(nanoUsd: number | null): string {
  if (nanoUsd === null) return '-'
  return usdText(nanoUsd / NANO_PER_USD)
}

function usdText(usd: number): string {
  if (usd === 0) return '$0.00'
  const size = Math.abs(usd)
  if (size >= 1) return `$${usd.toFixed(2)}`
  return `$${usd.toFixed(size >= 0.01 ? 4 : 6)}`
}

/** An amount of a limit, in its unit. */
export function unitText(amount: number, unit: string): string {
  return unit === 'usd' ? usdText(amount) : wholeText(amount)
}

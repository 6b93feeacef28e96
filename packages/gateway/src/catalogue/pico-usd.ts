/** USD per million tokens → pico-USD per token is a shift by this many decimal places. */
const PLACES = 6
const DECIMAL = /^(\d+)(?:\.(\d+))?(?:e-(\d+))?$/

/**
 * US dollars per million tokens, as integer pico-US-dollars per token.
 *
 * Works on the decimal digits, so 0.006 is 6000 and not 5999.999. What is finer than a pico-dollar is rounded up.
 */
export function picoUsdPerToken(usdPerMTok: number): number {
  const match = DECIMAL.exec(String(usdPerMTok))
  if (match === null) throw new RangeError(`not a price: ${usdPerMTok}`)
  const [, whole = '0', fraction = '', exponent = '0'] = match
  const places = fraction.length + Number(exponent)
  const digits = BigInt(whole + fraction)
  const shift = PLACES - places
  if (shift >= 0) return Number(digits * 10n ** BigInt(shift))
  const divisor = 10n ** BigInt(-shift)
  return Number((digits + divisor - 1n) / divisor)
}

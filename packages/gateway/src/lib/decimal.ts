const DECIMAL = /^(\d+)(?:\.(\d*))?(?:e([+-]?\d{1,3}))?$/i

/**
 * `value × 10^scale` as an exact integer, by moving the decimal point of the shortest text of the number.
 *
 * Multiplying floats would make `0.075 × 1e6` something near 75000. Null: negative, not finite, finer than the scale, or
 * too large for a safe integer.
 */
export function scaledInteger(value: number | string, scale: number): number | null {
  const match = DECIMAL.exec(String(value))
  if (match === null) return null
  const fraction = (match[2] ?? '').replace(/0+$/, '')
  const shift = scale + Number(match[3] ?? 0) - fraction.length
  const digits = BigInt(`${match[1]}${fraction}`)
  if (digits === 0n) return 0
  if (shift > 40 || shift < -40) return null
  if (shift >= 0) return safe(digits * 10n ** BigInt(shift))
  const divisor = 10n ** BigInt(-shift)
  return digits % divisor === 0n ? safe(digits / divisor) : null
}

function safe(value: bigint): number | null {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : null
}

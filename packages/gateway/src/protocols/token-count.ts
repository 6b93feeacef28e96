/** More than any request can use; a larger count is a vendor's mistake. */
const ABSURD_TOKENS = 1_000_000_000

/** A token count as a vendor sent it; null when absent, negative, fractional or absurd. Zero is a value. */
export function tokenCount(value: unknown): number | null {
  if (typeof value !== 'number' || !Number.isInteger(value)) return null
  return value >= 0 && value <= ABSURD_TOKENS ? value : null
}

/** What is left of a total after a part of it; null when the total is unknown. */
export function without(total: number | null, ...parts: readonly (number | null)[]): number | null {
  if (total === null) return null
  let rest = total
  for (const part of parts) rest -= part ?? 0
  return Math.max(0, rest)
}

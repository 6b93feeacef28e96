import type { Usage } from '../../contracts/usage.ts'

/** One number for both kinds of writes; null: none was told. */
export function writtenTokens({ cacheWrite5mTokens, cacheWrite1hTokens }: Usage): number | null {
  if (cacheWrite5mTokens === null && cacheWrite1hTokens === null) return null
  return (cacheWrite5mTokens ?? 0) + (cacheWrite1hTokens ?? 0)
}

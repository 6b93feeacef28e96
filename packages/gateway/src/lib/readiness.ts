/** What is wrong with each part that must work, or null. With a warning the part works, though not as it should. */
export type Readiness = Readonly<Record<string, string | null | { readonly warning: string }>>

/** In the words of `/health/ready`. */
export function readinessOf(parts: Readiness): {
  readonly ready: boolean
  readonly checks: Readonly<Record<string, string>>
} {
  const entries = Object.entries(parts)
  return {
    ready: entries.every(([, problem]) => typeof problem !== 'string'),
    checks: Object.fromEntries(
      entries.map(([name, problem]) => [
        name,
        typeof problem === 'string' ? problem : (problem?.warning ?? 'ok'),
      ]),
    ),
  }
}

/** A sink that throws is a defect of that sink: `onError` hears of it, and the others go on. Hot: once per request. */
export function tellSinks<Told>(
  sinks: readonly ((told: Told) => void)[],
  told: Told,
  onError: ((thrown: unknown) => void) | undefined,
): void {
  for (const sink of sinks) {
    try {
      sink(told)
    } catch (thrown) {
      onError?.(thrown)
    }
  }
}

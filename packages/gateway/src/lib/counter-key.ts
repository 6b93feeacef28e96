/** Identity of a counter: limit, scope and value. The same text in every process that shares counters. */
export function counterKey(limitId: string, scope: string, value: string): string {
  return `${limitId}|${scope}|${value}`
}

import { isRecord } from './is-record.ts'

/**
 * RFC 7396 JSON merge patch: objects merge, `null` removes, anything else replaces. Neither argument is changed.
 *
 * Members are made with `defineProperty`, so that `__proto__` in a patch is a plain member and not a prototype.
 */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch
  const merged = new Map(isRecord(target) ? Object.entries(target) : [])
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name)
    else merged.set(name, mergePatch(merged.get(name), value))
  }
  return Object.fromEntries(merged)
}

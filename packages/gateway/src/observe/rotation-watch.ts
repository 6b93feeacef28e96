import type { KeyRecord } from '../contracts/key.ts'
import { rotationDueAtMs } from '../plan/rotation.ts'

/** A key whose secret is older than it may be. */
export type RotationDue = { readonly key: KeyRecord; readonly dueAtMs: number }

/**
 * Gives the keys that have become due since it was last asked: each once when it is due, and once more for every further
 * `rotate_every` that passes. What was told is not kept across restarts.
 */
export function createRotationWatch(): (
  keys: readonly KeyRecord[],
  nowMs: number,
) => readonly RotationDue[] {
  const told = new Map<string, string>()
  return (keys, nowMs) => {
    const due: RotationDue[] = []
    for (const key of keys) {
      const dueAtMs = rotationDueAtMs(key)
      const period = dueAtMs === null ? null : overduePeriod(key, dueAtMs, nowMs)
      if (dueAtMs === null || period === null) {
        told.delete(key.id)
        continue
      }
      if (told.get(key.id) === period) continue
      told.set(key.id, period)
      due.push({ key, dueAtMs })
    }
    return due
  }
}

/** Which period of a key that is still in use; null: it is not due, or needs no new secret any more. */
function overduePeriod(key: KeyRecord, dueAtMs: number, nowMs: number): string | null {
  const over = key.expiresAtMs !== null && nowMs >= key.expiresAtMs
  if (nowMs < dueAtMs || over || !key.enabled || key.revokedAtMs !== null) return null
  return `${dueAtMs} ${Math.floor((nowMs - dueAtMs) / (key.rotateEveryMs ?? 1))}`
}

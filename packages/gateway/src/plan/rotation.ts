import type { KeyRecord } from '../contracts/key.ts'

/** When the key should have a new secret (ms since 1970); null: whenever. */
export function rotationDueAtMs(record: KeyRecord): number | null {
  if (record.rotateEveryMs === null) return null
  return (record.rotatedAtMs ?? record.createdAtMs) + record.rotateEveryMs
}

import type { UsageRecord } from '../../contracts/usage-record.ts'

/** Records of this process that the database has not yet; the latest ones, when they are many. */
export type Tail = {
  add(record: UsageRecord): void
  /** The oldest `count` are in the database. */
  written(count: number): void
  /** `by` goes in place of `records`. */
  replace(records: readonly UsageRecord[], by: readonly UsageRecord[]): void
  records(): readonly UsageRecord[]
}

const MOST_KEPT = 10_000

/** `older`: records that an earlier process left, which the database gets first. */
export function createTail(older: number): Tail {
  let kept: UsageRecord[] = []
  // Not kept, and yet to be written before what is kept.
  let missing = older
  return {
    add(record) {
      kept.push(record)
      if (kept.length < 2 * MOST_KEPT) return
      missing += kept.length - MOST_KEPT
      kept = kept.slice(-MOST_KEPT)
    },
    written(count) {
      const unseen = Math.min(count, missing)
      missing -= unseen
      if (count > unseen) kept.splice(0, count - unseen)
    },
    replace(records, by) {
      const gone = new Set(records)
      const at = kept.findIndex((record) => gone.has(record))
      kept = kept.filter((record) => !gone.has(record))
      kept.splice(at === -1 ? kept.length : at, 0, ...by)
    },
    records: () => [...kept],
  }
}

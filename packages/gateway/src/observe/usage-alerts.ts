import type { UsageNotice } from '../data-plane/pipeline/data-plane.ts'
import type { Clock } from '../lib/clock.ts'

/** A target that never reports would fill the log of events. */
const ONCE_PER_MS = 60_000

/** Passes on one notice a minute for each target; `tollgate_estimated_usage_requests_total` counts all. */
export function usageAlerts(
  tell: (notice: UsageNotice) => void,
  clock: Pick<Clock, 'monotonicMs'>,
): (notice: UsageNotice) => void {
  /** When each target was told of last, the oldest first. */
  const told = new Map<string, number>()
  return (notice) => {
    const { target } = notice
    const nowMs = clock.monotonicMs()
    for (const [name, atMs] of told) {
      if (nowMs - atMs < ONCE_PER_MS) break
      told.delete(name)
    }
    if (told.has(target)) return
    told.set(target, nowMs)
    tell(notice)
  }
}

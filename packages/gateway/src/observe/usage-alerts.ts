import type { EventBus } from '../contracts/event.ts'
import type { CountingSink } from '../contracts/recorder.ts'
import type { Clock } from '../lib/clock.ts'

/** One that never reports would fill the log of events. */
const ONCE_PER_MS = 60_000

/**
 * Emits `usage.estimated` when a provider answered whole and did not say what it comes to, or said what cannot be: less than
 * nothing, or more than a billion tokens. Once a minute for each target; `tollgate_estimated_usage_requests_total` counts all.
 */
export function usageAlertSink(bus: EventBus, clock: Clock): CountingSink {
  /** When each target was told of last, the oldest first. */
  const told = new Map<string, number>()
  return (record) => {
    if (!record.estimated || !record.complete) return
    const target = record.attempts.at(-1)?.target
    const nowMs = clock.monotonicMs()
    if (target === undefined || nowMs - (told.get(target) ?? -Infinity) < ONCE_PER_MS) return
    for (const [name, atMs] of told) {
      if (nowMs - atMs < ONCE_PER_MS) break
      told.delete(name)
    }
    told.delete(target)
    told.set(target, nowMs)
    bus.emit('usage.estimated', { provider: record.provider, model: record.model, target })
  }
}

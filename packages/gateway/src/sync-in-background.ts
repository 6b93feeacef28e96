import type { Core } from './compose-core.ts'
import type { Control } from './control-plane/control.ts'
import { syncLimits } from './control-plane/sync-limits.ts'
import { parseDurationMs } from './lib/duration.ts'

/** How late a configuration that was taken over meanwhile counts. */
const LOOK_EVERY_MS = 1000

/** Brings the global bucket to what a vendor says, as often as `routing.sync` asks for. Returns the end of it. */
export function syncInBackground(
  core: Core,
  control: Control,
  onError: (error: unknown) => void,
): () => void {
  let lastMs = performance.now()
  let running = false
  const timer = setInterval(() => {
    const { sync } = core.loaded().config.routing
    if (sync === null) {
      lastMs = performance.now()
      return
    }
    if (running || performance.now() - lastMs < parseDurationMs(sync.every)) return
    running = true
    lastMs = performance.now()
    syncLimits(control, { provider: sync.provider ?? null, model: sync.model ?? null })
      .catch(onError)
      .finally(() => (running = false))
  }, LOOK_EVERY_MS)
  return () => clearInterval(timer)
}

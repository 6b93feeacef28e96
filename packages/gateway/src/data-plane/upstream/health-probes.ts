import type { GatewayPlan, ProviderPlan } from '../../plan/gateway-plan.ts'
import type { MemoryTargetBook } from '../routing/target-book.ts'
import { askForModels, type ListTools } from './ask-for-models.ts'

/** While probes are switched off, how often it is looked whether they still are. */
const LOOK_MS = 1000
const SERVER_ERROR = 500
/** Statuses by which a provider says that it takes no calls of ours now. */
const UNWILLING: ReadonlySet<number> = new Set([401, 403, 408, 429])

export type HealthProbesOptions = {
  readonly plan: () => GatewayPlan
  readonly book: Pick<MemoryTargetBook, 'troubledProviders' | 'noteProbe'>
  readonly tools: ListTools
  readonly nowMs: () => number
}

/**
 * Asks providers in trouble for their models, with their credential, to see whether they are back. It never closes a
 * circuit: the next call is let through to do that. A provider without trouble is never asked.
 */
export class HealthProbes {
  private readonly options: HealthProbesOptions
  private readonly asking = new Set<string>()
  private timer: NodeJS.Timeout | null = null

  constructor(options: HealthProbesOptions) {
    this.options = options
  }

  start(): void {
    this.next()
  }

  stop(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
  }

  /** The interval of the plan of this moment. */
  private next(): void {
    const intervalMs = this.options.plan().health.probes?.intervalMs ?? LOOK_MS
    this.timer = setTimeout(() => {
      this.probeAll()
      this.next()
    }, intervalMs)
    this.timer.unref()
  }

  private probeAll(): void {
    const { plan, book, nowMs } = this.options
    const { providers, health } = plan()
    if (health.probes === null) return
    for (const name of book.troubledProviders(nowMs())) {
      const provider = providers.get(name)
      if (provider === undefined || this.asking.has(name)) continue
      this.asking.add(name)
      void this.probe(provider, health.probes.timeoutMs)
    }
  }

  private async probe(provider: ProviderPlan, timeoutMs: number): Promise<void> {
    const ok = await answers(provider, timeoutMs, this.options.tools)
    this.asking.delete(provider.name)
    // What a probe of the old address found says nothing of the new one.
    if (this.options.plan().providers.get(provider.name)?.origin !== provider.origin) return
    this.options.book.noteProbe(provider.name, ok, this.options.nowMs())
  }
}

/** Never rejects. A provider without a list of models answers too. */
async function answers(
  provider: ProviderPlan,
  timeoutMs: number,
  tools: ListTools,
): Promise<boolean> {
  const { timeouts } = provider
  const bounded = { ...timeouts, firstByteMs: timeoutMs, idleMs: timeoutMs, totalMs: timeoutMs }
  try {
    const { status } = await askForModels({ ...provider, timeouts: bounded }, tools)
    return status < SERVER_ERROR && !UNWILLING.has(status)
  } catch {
    return false
  }
}

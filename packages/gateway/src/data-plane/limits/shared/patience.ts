import type { Answer } from './script-calls.ts'
import { pauseFor, type SharedGateParts } from './gate-parts.ts'

const PAUSE_MS = 50
/** What a process leases that died stays leased for minutes. Not every request has to find out. */
const IN_VAIN_MS = 5000
const MOST_PATIENT = 200

/**
 * Waits for other processes to give back what they lease of counters that are short. Who waited in vain says so for all:
 * for a while nobody waits for the same counters.
 */
export class Patience {
  readonly #parts: SharedGateParts
  #waiting = 0

  constructor(parts: SharedGateParts) {
    this.#parts = parts
  }

  /** `told` says of what others have leases. Resolves to whether to ask once more before a last time. */
  async wait(told: Answer, { isLast }: { readonly isLast: boolean }): Promise<boolean> {
    const { seen, options } = this.#parts
    const counters = told
      .list(2)
      .map((name) => seen.find(String(name)))
      .filter((counter) => counter !== null)
    const nowMs = options.clock.monotonicMs()
    if (isLast) for (const counter of counters) counter.impatientUntilMs = nowMs + IN_VAIN_MS
    const isVain = counters.every(({ impatientUntilMs }) => impatientUntilMs > nowMs)
    if (isVain || this.#waiting >= MOST_PATIENT) return false
    this.#waiting += 1
    await pauseFor(options, PAUSE_MS)
    this.#waiting -= 1
    return true
  }
}

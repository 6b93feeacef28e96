import type { ScriptConnection } from '../../../contracts/script-server.ts'
import type { Closings } from './closings.ts'
import type { SharedGateParts } from './gate-parts.ts'
import type { Reports } from './reports.ts'

/**
 * Former starts of this process that were killed. What they leased stays leased for minutes, because a process that is cut
 * off may go on spending it. A start with the same data directory knows that they are gone, and tells what they spent; after
 * that the server may take their leases back.
 */
export class Predecessors {
  readonly #parts: SharedGateParts
  readonly #closings: Closings
  readonly #reports: Reports
  /** Ends of their calls; null: not all are known yet. */
  #ends: readonly string[] | null = null
  #buried = false

  constructor(parts: SharedGateParts, closings: Closings, reports: Reports) {
    this.#parts = parts
    this.#closings = closings
    this.#reports = reports
  }

  /** All that they left open is on its way. */
  known(): void {
    this.#ends ??= this.#closings.names()
  }

  /** Once the server has all of it. */
  async bury(connection: ScriptConnection): Promise<void> {
    const { formers = [], onBuried } = this.#parts.options
    if (this.#buried || this.#ends === null || formers.length === 0) return
    const isOpen = this.#ends.some((name) => this.#closings.isWaiting(name))
    if (isOpen || !this.#reports.isEmpty()) return
    await this.#parts.call(connection, 'bury', [], formers)
    this.#buried = true
    onBuried?.()
  }
}

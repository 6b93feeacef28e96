import type { LimitAlgorithm } from '../../contracts/limit.ts'
import type { Meter, Taken } from './meter.ts'

export type ConcurrentAlgorithm = Extract<LimitAlgorithm, { kind: 'concurrent' }>

/** Counts only what is open. Nothing of it outlives the process: a restart has no requests in flight. */
export class ConcurrentMeter implements Meter {
  readonly kind = 'concurrent'
  #amount: number
  #extra = 0
  #reserved = 0
  #open = 0

  constructor(algorithm: ConcurrentAlgorithm) {
    this.#amount = algorithm.amount
  }

  adopt(algorithm: LimitAlgorithm): boolean {
    if (algorithm.kind !== 'concurrent') return false
    this.#amount = algorithm.amount
    return true
  }

  amountAt(): number {
    return this.#amount + this.#extra
  }

  freeAt(): number {
    return this.#amount + this.#extra - this.#reserved
  }

  settledAt(): number {
    return 0
  }

  reservedAt(): number {
    return this.#reserved
  }

  chargeAt(ticket: number): number {
    return ticket
  }

  take(amount: number): number {
    this.#open += 1
    this.#reserved += amount
    return 0
  }

  close(taken: Taken): void {
    this.#open -= 1
    this.#reserved -= taken.amount
  }

  /** Nobody knows when the requests in flight will end. */
  waitMs(): number | null {
    return null
  }

  endsAtMs(): number | null {
    return null
  }

  alertUntilMs(): number {
    return Infinity
  }

  idleAt(): boolean {
    return this.#open === 0 && this.#extra === 0
  }

  reset(): void {
    this.#extra = 0
  }

  grant(extra: number): void {
    this.#extra += extra
  }

  windowMs(): number {
    return 0
  }

  save(): Readonly<Record<string, unknown>> {
    return {}
  }
}

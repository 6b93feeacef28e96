import type { LimitAlgorithm } from '../../contracts/limit.ts'
import { type Meter, type SavedMeter, savedNumber, type Taken } from './meter.ts'

export type LifetimeAlgorithm = Extract<LimitAlgorithm, { kind: 'lifetime' }>

/** An amount that never comes back but by a reset or a grant. */
export class LifetimeMeter implements Meter {
  readonly kind = 'lifetime'
  #amount: number
  #extra = 0
  #settled = 0
  #reserved = 0
  #open = 0

  constructor(algorithm: LifetimeAlgorithm) {
    this.#amount = algorithm.amount
  }

  static restore(algorithm: LifetimeAlgorithm, saved: SavedMeter): LifetimeMeter {
    const meter = new LifetimeMeter(algorithm)
    meter.#extra = savedNumber(saved.state, 'extra')
    meter.#settled = savedNumber(saved.state, 'settled')
    if (saved.chargeOpen) meter.#settled += savedNumber(saved.state, 'open')
    return meter
  }

  adopt(algorithm: LimitAlgorithm): boolean {
    if (algorithm.kind !== 'lifetime') return false
    this.#amount = algorithm.amount
    return true
  }

  amountAt(): number {
    return this.#amount + this.#extra
  }

  freeAt(): number {
    return this.#amount + this.#extra - this.#settled - this.#reserved
  }

  settledAt(): number {
    return this.#settled
  }

  reservedAt(): number {
    return this.#reserved
  }

  take(amount: number): number {
    this.#open += 1
    this.#reserved += amount
    return 0
  }

  close(taken: Taken, usedAmount: number): void {
    this.#open -= 1
    this.#reserved -= taken.amount
    this.#settled += usedAmount
  }

  chargeAt(ticket: number, amount: number): number {
    this.#settled += amount
    return ticket
  }

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
    return this.#open === 0 && this.#settled === 0 && this.#extra === 0
  }

  reset(): void {
    this.#settled = 0
    this.#extra = 0
  }

  grant(extra: number): void {
    this.#extra += extra
  }

  windowMs(): number {
    return Infinity
  }

  save(): Readonly<Record<string, unknown>> {
    return { settled: this.#settled, open: this.#reserved, extra: this.#extra }
  }
}

import type { LimitAlgorithm } from '../../contracts/limit.ts'
import { type Meter, type SavedMeter, savedNumber, type Taken } from './meter.ts'

export type BucketAlgorithm = Extract<LimitAlgorithm, { kind: 'bucket' }>

const MS_PER_SEC = 1000
const FINEST_REFILL = 1e9
/** Products of a capacity and the time scale stay well below 2^53. */
const LARGEST_PRODUCT = 2 ** 51

/**
 * A token bucket whose past can be corrected: when a reservation is settled at less, the bucket is at once where it would
 * be had it been charged the lesser amount from the start.
 *
 * Why that matters: a bucket that refills while a reservation is open and then simply adds back what was not used could
 * hand out more than its capacity in one instant. The missing units are therefore kept in layers, one per span of time
 * between open reservations. Refill fills the newest layer first. A give-back reaches only the layers at or before its
 * own reservation; what is left of it after that would have overflowed, and is dropped.
 *
 * There are at most as many layers as open reservations, plus one. Refill is counted in whole units with an exact
 * remainder; a rate finer than the time scale is rounded down.
 */
export class BucketMeter implements Meter {
  readonly kind = 'bucket'
  #capacity: number
  #refillPerSec: number
  /** Refill is `#numerator / #denominator` units per ms. */
  #numerator = 0
  #denominator = 1
  #atMs: number
  /** Refill earned and not yet a whole unit, in `1 / #denominator` units. */
  #remainder = 0
  /** Ascending tickets from which each layer counts; the three arrays belong together. */
  readonly #tickets: number[] = []
  /** Units missing, per layer; all above 0. */
  readonly #missingIn: number[] = []
  /** Open reservations whose ticket lies in the layer. */
  readonly #openIn: number[] = []
  #missing = 0
  #lastTicket = 0
  #reserved = 0
  #open = 0

  constructor(algorithm: BucketAlgorithm, nowMs: number) {
    this.#capacity = algorithm.capacity
    this.#refillPerSec = algorithm.refillPerSec
    this.#atMs = nowMs
    this.#setRate()
  }

  static restore(algorithm: BucketAlgorithm, saved: SavedMeter): BucketMeter {
    const atMs = Math.min(savedNumber(saved.state, 'at_ms'), saved.nowMs)
    const meter = new BucketMeter(algorithm, atMs)
    const missing = savedNumber(saved.state, 'missing')
    const forgotten = saved.chargeOpen ? 0 : savedNumber(saved.state, 'open')
    if (missing > forgotten) meter.#charge(missing - forgotten, 0)
    return meter
  }

  adopt(algorithm: LimitAlgorithm): boolean {
    if (algorithm.kind !== 'bucket') return false
    if (algorithm.capacity === this.#capacity && algorithm.refillPerSec === this.#refillPerSec) {
      return true
    }
    this.#capacity = algorithm.capacity
    this.#refillPerSec = algorithm.refillPerSec
    this.#setRate()
    return true
  }

  amountAt(): number {
    return this.#capacity
  }

  freeAt(nowMs: number): number {
    this.#refill(nowMs)
    return this.#capacity - this.#missing
  }

  settledAt(nowMs: number): number {
    this.#refill(nowMs)
    return Math.max(0, this.#missing - this.#reserved)
  }

  /** Of what is open, only what the refill has not yet covered still counts. */
  reservedAt(nowMs: number): number {
    this.#refill(nowMs)
    return Math.min(this.#missing, this.#reserved)
  }

  take(amount: number, nowMs: number): number {
    this.#refill(nowMs)
    this.#open += 1
    this.#reserved += amount
    return this.#charge(amount, 1)
  }

  /** More than taken is charged now, in full. */
  close(taken: Taken, usedAmount: number, nowMs: number): void {
    this.#refill(nowMs)
    this.#open -= 1
    this.#reserved -= taken.amount
    const index = this.#layerOf(taken.ticket)
    if (index >= 0) {
      this.#openIn[index] = (this.#openIn[index] ?? 0) - 1
      this.#giveBack(index, taken.amount - usedAmount)
    }
    if (usedAmount > taken.amount) this.#charge(usedAmount - taken.amount, 0)
  }

  waitMs(need: number, nowMs: number): number | null {
    const short = need - this.freeAt(nowMs)
    if (short <= 0) return 0
    return need > this.#capacity ? null : this.#refillMs(short)
  }

  endsAtMs(nowMs: number): number | null {
    this.#refill(nowMs)
    if (this.#missing === 0) return nowMs
    const waitMs = this.#refillMs(this.#missing)
    return waitMs === null ? null : nowMs + waitMs
  }

  alertUntilMs(nowMs: number): number {
    return nowMs + this.windowMs()
  }

  idleAt(nowMs: number): boolean {
    this.#refill(nowMs)
    return this.#open === 0 && this.#missing === 0
  }

  /** What is open goes on counting, as the oldest layer. */
  reset(nowMs: number): void {
    const reserved = this.reservedAt(nowMs)
    this.#clear()
    if (reserved === 0) return
    this.#push(0, reserved, this.#open)
    this.#missing = reserved
  }

  /** A bucket never holds more than its capacity, so an allowance above that is lost. */
  grant(extra: number, nowMs: number): void {
    this.#refill(nowMs)
    this.#fill(extra)
  }

  /** Ms in which an empty bucket fills. */
  windowMs(): number {
    return this.#numerator === 0
      ? Infinity
      : Math.ceil((this.#capacity * this.#denominator) / this.#numerator)
  }

  save(nowMs: number): Readonly<Record<string, unknown>> {
    this.#refill(nowMs)
    return { at_ms: nowMs, missing: this.#missing, open: Math.min(this.#missing, this.#reserved) }
  }

  #setRate(): void {
    let scale = FINEST_REFILL
    while (scale > 1 && this.#capacity * MS_PER_SEC * scale > LARGEST_PRODUCT) scale /= 10
    // The tolerance keeps 0.29 × 100 at 29.
    this.#numerator = Math.floor(this.#refillPerSec * scale * (1 + Number.EPSILON))
    this.#denominator = MS_PER_SEC * scale
    this.#remainder = 0
  }

  #refill(nowMs: number): void {
    const earned = this.#remainder + (nowMs - this.#atMs) * this.#numerator
    this.#atMs = nowMs
    if (this.#missing === 0 || earned < this.#denominator) {
      this.#remainder = this.#missing === 0 ? 0 : earned
      return
    }
    const units = Math.floor(earned / this.#denominator)
    this.#remainder = earned - units * this.#denominator
    this.#fill(units)
  }

  #refillMs(units: number): number | null {
    if (this.#numerator === 0) return null
    return Math.ceil((units * this.#denominator - this.#remainder) / this.#numerator)
  }

  #fill(units: number): void {
    if (units >= this.#missing) {
      this.#clear()
      return
    }
    this.#missing -= units
    let left = units
    while (left > 0) {
      const newest = this.#missingIn.length - 1
      const missing = this.#missingIn[newest] ?? 0
      if (missing > left) {
        this.#missingIn[newest] = missing - left
        return
      }
      left -= missing
      this.#remove(newest)
    }
  }

  /** Returns the ticket. The newest layer is widened when nothing open tells it from a new one. */
  #charge(amount: number, open: number): number {
    this.#lastTicket += 1
    const newest = this.#missingIn.length - 1
    this.#missing += amount
    if (newest >= 0 && (this.#openIn[newest] === 0 || amount === 0)) {
      if (amount > 0) this.#tickets[newest] = this.#lastTicket
      this.#missingIn[newest] = (this.#missingIn[newest] ?? 0) + amount
      this.#openIn[newest] = (this.#openIn[newest] ?? 0) + open
    } else if (amount > 0) this.#push(this.#lastTicket, amount, open)
    return this.#lastTicket
  }

  #giveBack(index: number, amount: number): void {
    let left = amount
    let layer = index
    while (left > 0 && layer >= 0) {
      const missing = this.#missingIn[layer] ?? 0
      const back = Math.min(missing, left)
      left -= back
      this.#missing -= back
      this.#missingIn[layer] = missing - back
      if (back === missing) {
        this.#remove(layer)
        layer -= 1
      }
    }
    // The bucket was full for a while after all, and a full bucket earns nothing.
    if (layer < 0) this.#remainder = 0
    this.#mergeIfClosed(layer)
  }

  /** A layer in which nothing is open need not be told from the next. */
  #mergeIfClosed(layer: number): void {
    if (layer < 0 || layer + 1 >= this.#missingIn.length || this.#openIn[layer] !== 0) return
    this.#missingIn[layer + 1] = (this.#missingIn[layer + 1] ?? 0) + (this.#missingIn[layer] ?? 0)
    this.#splice(layer)
  }

  /** The last layer that starts at or before the ticket; -1 when the bucket was full since. */
  #layerOf(ticket: number): number {
    let low = 0
    let high = this.#tickets.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#tickets[middle] ?? 0) <= ticket) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  /** Reservations of a layer that is gone belong to the one before it. */
  #remove(layer: number): void {
    if (layer > 0) {
      this.#openIn[layer - 1] = (this.#openIn[layer - 1] ?? 0) + (this.#openIn[layer] ?? 0)
    }
    this.#splice(layer)
  }

  #push(ticket: number, missing: number, open: number): void {
    this.#tickets.push(ticket)
    this.#missingIn.push(missing)
    this.#openIn.push(open)
  }

  #splice(layer: number): void {
    this.#tickets.splice(layer, 1)
    this.#missingIn.splice(layer, 1)
    this.#openIn.splice(layer, 1)
  }

  #clear(): void {
    this.#tickets.length = 0
    this.#missingIn.length = 0
    this.#openIn.length = 0
    this.#missing = 0
    this.#remainder = 0
  }
}

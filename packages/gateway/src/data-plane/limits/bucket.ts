import type { LimitAlgorithm } from '../../contracts/limit.ts'
import { type Meter, type SavedMeter, savedNumber, type Taken } from './meter.ts'

export type BucketAlgorithm = Extract<LimitAlgorithm, { kind: 'bucket' }>

const MS_PER_SEC = 1000
const FINEST_PARTS = 1e9
/** A whole bucket in parts stays well below 2^53, so that debt fits too. */
const LARGEST_CAPACITY = 2 ** 51

/** How finely a bucket is counted. */
export function bucketParts(algorithm: Pick<BucketAlgorithm, 'capacity' | 'refillPerSec'>): {
  readonly partsPerUnit: number
  readonly partsPerMs: number
} {
  let scale = FINEST_PARTS
  while (scale > 1 && algorithm.capacity * MS_PER_SEC * scale > LARGEST_CAPACITY) scale /= 10
  // The tolerance keeps 0.29 × 100 at 29.
  const partsPerMs = Math.floor(algorithm.refillPerSec * scale * (1 + Number.EPSILON))
  return { partsPerUnit: MS_PER_SEC * scale, partsPerMs }
}

/**
 * A token bucket whose past can be corrected: when a reservation is settled at less, the bucket is at once where it would
 * be had it been charged the lesser amount from the start.
 *
 * Why that matters: a bucket that refills while a reservation is open and then simply adds back what was not used could
 * hand out more than its capacity in one instant. What is missing is therefore kept in layers, one per span of time
 * between open reservations. Refill fills the newest layer first. A give-back reaches only the layers at or before its
 * own reservation; what is left of it after that would have overflowed, and is dropped.
 *
 * There are at most as many layers as open reservations, plus one. They are counted in parts of a unit, fine enough for
 * one millisecond's refill to be a whole number of parts; a rate that is finer still is rounded down.
 */
export class BucketMeter implements Meter {
  readonly kind = 'bucket'
  #capacity: number
  #refillPerSec: number
  #partsPerUnit = MS_PER_SEC
  #partsPerMs = 0
  #atMs: number
  /** Ascending tickets from which each layer counts; the three arrays belong together. */
  readonly #tickets: number[] = []
  /** Parts missing, per layer; all above 0. */
  readonly #missingIn: number[] = []
  /** Open reservations whose ticket lies in the layer. */
  readonly #openIn: number[] = []
  /** Parts. */
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
    const forgotten = saved.chargeOpen ? 0 : savedNumber(saved.state, 'open')
    const missing = savedNumber(saved.state, 'missing') - forgotten
    if (missing > 0) meter.#charge(Math.ceil(missing * meter.#partsPerUnit), 0)
    return meter
  }

  adopt(algorithm: LimitAlgorithm): boolean {
    if (algorithm.kind !== 'bucket') return false
    const { capacity, refillPerSec } = algorithm
    if (capacity === this.#capacity && refillPerSec === this.#refillPerSec) return true
    this.#capacity = capacity
    this.#refillPerSec = refillPerSec
    this.#setRate()
    return true
  }

  amountAt(): number {
    return this.#capacity
  }

  freeAt(nowMs: number): number {
    this.#refill(nowMs)
    return this.#capacity - this.#missingUnits()
  }

  settledAt(nowMs: number): number {
    this.#refill(nowMs)
    return Math.max(0, this.#missingUnits() - this.#reserved)
  }

  /** Of what is open, only what the refill has not yet covered still counts. */
  reservedAt(nowMs: number): number {
    this.#refill(nowMs)
    return Math.min(this.#missingUnits(), this.#reserved)
  }

  take(amount: number, nowMs: number): number {
    this.#refill(nowMs)
    this.#open += 1
    this.#reserved += amount
    return this.#charge(amount * this.#partsPerUnit, 1)
  }

  /** More than taken is charged now, in full. */
  close(taken: Taken, usedAmount: number, nowMs: number): void {
    this.#refill(nowMs)
    this.#open -= 1
    this.#reserved -= taken.amount
    const index = this.#layerOf(taken.ticket)
    if (index >= 0) {
      this.#openIn[index] = (this.#openIn[index] ?? 0) - 1
      this.#giveBack(index, (taken.amount - usedAmount) * this.#partsPerUnit)
    }
    if (usedAmount > taken.amount) {
      this.#charge((usedAmount - taken.amount) * this.#partsPerUnit, 0)
    }
  }

  /** Tickets end with the process, so it is charged now: the bucket is never fuller than it was. */
  chargeAt(_ticket: number, amount: number, nowMs: number): number {
    this.#refill(nowMs)
    return this.#charge(amount * this.#partsPerUnit, 0)
  }

  waitMs(need: number, nowMs: number): number | null {
    if (need <= this.freeAt(nowMs)) return 0
    if (need > this.#capacity) return null
    return this.#refillMs(this.#missing - (this.#capacity - need) * this.#partsPerUnit)
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
    this.#refill(nowMs)
    const missing = Math.min(this.#missing, this.#reserved * this.#partsPerUnit)
    this.#clear()
    if (missing === 0) return
    this.#push(0, missing, this.#open)
    this.#missing = missing
  }

  /** A bucket never holds more than its capacity, so an allowance above that is lost. */
  grant(extra: number, nowMs: number): void {
    this.#refill(nowMs)
    this.#fill(extra * this.#partsPerUnit)
  }

  /** Ms in which an empty bucket fills. */
  windowMs(): number {
    return this.#refillMs(this.#capacity * this.#partsPerUnit) ?? Infinity
  }

  save(nowMs: number): Readonly<Record<string, unknown>> {
    const open = this.reservedAt(nowMs)
    return { at_ms: nowMs, missing: this.#missing / this.#partsPerUnit, open }
  }

  #setRate(): void {
    const { partsPerUnit, partsPerMs } = bucketParts({
      capacity: this.#capacity,
      refillPerSec: this.#refillPerSec,
    })
    this.#partsPerMs = partsPerMs
    this.#rescale(partsPerUnit)
  }

  #rescale(partsPerUnit: number): void {
    const factor = partsPerUnit / this.#partsPerUnit
    this.#partsPerUnit = partsPerUnit
    if (factor === 1) return
    this.#missing = 0
    for (let layer = 0; layer < this.#missingIn.length; layer++) {
      const missing = Math.ceil((this.#missingIn[layer] ?? 0) * factor)
      this.#missingIn[layer] = missing
      this.#missing += missing
    }
  }

  #missingUnits(): number {
    return Math.ceil(this.#missing / this.#partsPerUnit)
  }

  #refill(nowMs: number): void {
    if (this.#missing > 0) this.#fill((nowMs - this.#atMs) * this.#partsPerMs)
    this.#atMs = nowMs
  }

  /** Null: never. */
  #refillMs(parts: number): number | null {
    return this.#partsPerMs === 0 ? null : Math.ceil(parts / this.#partsPerMs)
  }

  #fill(parts: number): void {
    if (parts >= this.#missing) {
      this.#clear()
      return
    }
    this.#missing -= parts
    let left = parts
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
  #charge(parts: number, open: number): number {
    this.#lastTicket += 1
    const newest = this.#missingIn.length - 1
    this.#missing += parts
    if (newest >= 0 && (parts === 0 || this.#openIn[newest] === 0)) {
      if (parts > 0) this.#tickets[newest] = this.#lastTicket
      this.#missingIn[newest] = (this.#missingIn[newest] ?? 0) + parts
      this.#openIn[newest] = (this.#openIn[newest] ?? 0) + open
    } else if (parts > 0) this.#push(this.#lastTicket, parts, open)
    return this.#lastTicket
  }

  #giveBack(index: number, parts: number): void {
    let left = parts
    let layer = index
    while (left > 0 && layer >= 0) {
      const missing = this.#missingIn[layer] ?? 0
      const back = Math.min(missing, left)
      left -= back
      this.#missing -= back
      this.#missingIn[layer] = missing - back
      if (back < missing) break
      this.#remove(layer)
      layer -= 1
    }
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
  }
}

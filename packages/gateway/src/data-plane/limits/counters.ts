import type { LimitCharge } from '../../contracts/limit.ts'
import { Counter, newMeter, nextEra } from './counter.ts'
import { settledParts } from './settled-parts.ts'

const SWEEP_EVERY = 16
/** More than one per request, so that sweeping always outruns growth. */
const SWEPT_AT_ONCE = 64

/** What a counter begins with that is asked for the first time; null: with nothing. */
export type CounterOrigin = (charge: LimitCharge, nowMs: number) => Counter | null

/**
 * All counters by key. Idle ones, which carry no information, are dropped a few at a time as requests come, so memory is
 * bounded by the callers of one window, without a timer and without a pause.
 */
export class Counters {
  readonly #byKey = new Map<string, Counter>()
  readonly #origin: CounterOrigin | null
  #hand: Iterator<Counter> | null = null
  #calls = 0

  constructor(origin: CounterOrigin | null = null) {
    this.#origin = origin
  }

  get(key: string): Counter | null {
    return this.#byKey.get(key) ?? null
  }

  /** Null: nothing was counted. */
  find(charge: LimitCharge, nowMs: number): Counter | null {
    return this.get(charge.counterKey) ?? this.#begin(charge, nowMs)
  }

  /** Hot: once per charge. bench/gate.ts */
  of(charge: LimitCharge, nowMs: number): Counter {
    const counter = this.#byKey.get(charge.counterKey) ?? this.#begin(charge, nowMs)
    if (counter === null) return this.#add(charge, nowMs)
    if (counter.limit === charge.limit || counter.adopt(charge.limit, nowMs)) return counter
    return this.#replace(counter, charge, nowMs)
  }

  put(counter: Counter): void {
    this.#byKey.set(counter.key, counter)
  }

  all(): Iterable<Counter> {
    return this.#byKey.values()
  }

  get size(): number {
    return this.#byKey.size
  }

  /** Call once per request. */
  sweep(nowMs: number): void {
    this.#calls += 1
    if (this.#calls % SWEEP_EVERY !== 0) return
    for (let i = 0; i < SWEPT_AT_ONCE; i++) {
      this.#hand ??= this.#byKey.values()
      const next = this.#hand.next()
      if (next.done === true) {
        this.#hand = null
        return
      }
      const { meter, aside, key } = next.value
      if (aside === 0 && meter.idleAt(nowMs)) this.#byKey.delete(key)
    }
  }

  #begin(charge: LimitCharge, nowMs: number): Counter | null {
    const counter = this.#origin === null ? null : this.#origin(charge, nowMs)
    if (counter !== null) this.put(counter)
    return counter
  }

  #add(charge: LimitCharge, nowMs: number): Counter {
    const meter = newMeter(charge.limit.algorithm, nowMs)
    const { counterKey: key, value } = charge
    const era = { id: nowMs, base: [] }
    const counter = new Counter(charge.limit, { key, value, meter, restored: false, era })
    this.#byKey.set(key, counter)
    return counter
  }

  /** Another algorithm or window keeps what was counted, as used now; another unit cannot. */
  #replace(old: Counter, charge: LimitCharge, nowMs: number): Counter {
    const counter = this.#add(charge, nowMs)
    counter.era = { id: nextEra(old.era.id, nowMs), base: [] }
    if (old.limit.unit !== charge.limit.unit) return counter
    counter.aside = old.aside
    const amount = old.meter.settledAt(nowMs) + old.meter.reservedAt(nowMs)
    if (amount === 0) return counter
    const ticket = counter.meter.take(amount, nowMs)
    counter.meter.close({ ticket, amount }, amount, nowMs)
    const { kind } = charge.limit.algorithm
    counter.era = { id: counter.era.id, base: settledParts(kind, counter.meter.save(nowMs)) ?? [] }
    return counter
  }
}

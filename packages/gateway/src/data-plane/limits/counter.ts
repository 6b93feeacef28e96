import type {
  CounterView,
  LimitAlert,
  LimitAlgorithm,
  LimitPlan,
  LimitState,
} from '../../contracts/limit.ts'
import { BucketMeter } from './bucket.ts'
import { ConcurrentMeter } from './concurrent.ts'
import { FixedMeter } from './fixed.ts'
import type { GateClock } from './gate-clock.ts'
import { LifetimeMeter } from './lifetime.ts'
import type { Meter } from './meter.ts'
import { OutputEstimates } from './output-estimate.ts'
import type { SettledParts } from './settled-parts.ts'
import { SlidingMeter } from './sliding.ts'

export type CounterParts = {
  readonly key: string
  readonly value: string
  readonly meter: Meter
  /** Made from a stored state, whose limit is not the configured one yet. */
  readonly restored: boolean
  readonly era: Era
}

/**
 * Since when the counter is the sum of the charges that name it, and what it held then. A reset begins a new era, and so
 * does an edit after which the limit counts otherwise.
 */
export type Era = { readonly id: number; readonly base: SettledParts }

/** What one limit has counted for one scope value. */
export class Counter {
  readonly key: string
  readonly value: string
  readonly meter: Meter
  era: Era
  /** Open reservations that may be extended. */
  leases = 0
  /** Room that others may not take; see `Room`. */
  aside = 0
  #limit: LimitPlan
  #outputs: OutputEstimates | null
  #restored: boolean
  /** Per alerted fraction, the gate time until which it is not repeated. */
  #silentUntilMs: Map<number, number> | null = null

  constructor(limit: LimitPlan, counter: CounterParts) {
    this.#limit = limit
    this.key = counter.key
    this.value = counter.value
    this.meter = counter.meter
    this.era = counter.era
    this.#restored = counter.restored
    this.#outputs = limit.reserve === 'expected' ? new OutputEstimates() : null
  }

  get limit(): LimitPlan {
    return this.#limit
  }

  /** Null unless the limit reserves what is expected. */
  get outputs(): OutputEstimates | null {
    return this.#outputs
  }

  /** Follows an edit of the limit. False: it now counts something else, or otherwise, and needs a new counter. */
  adopt(limit: LimitPlan, nowMs: number): boolean {
    if (limit.unit !== this.#limit.unit || !this.meter.adopt(limit.algorithm)) return false
    this.#limit = limit
    if (limit.reserve !== 'expected') this.#outputs = null
    else if (this.#outputs === null) this.#outputs = new OutputEstimates()
    if (this.#restored) {
      this.#restored = false
      // What was reached before the restart was alerted before it.
      this.#eachReachedAlert(nowMs, null)
    }
    return true
  }

  /** The same in a copy of its meter; neither hears of the other any more. */
  copyWith(meter: Meter): Counter {
    const { key, value, era } = this
    const copy = new Counter(this.#limit, { key, value, meter, restored: this.#restored, era })
    copy.leases = this.leases
    copy.#outputs = this.#outputs?.copy() ?? null
    return copy
  }

  freeAt(nowMs: number): number {
    return this.meter.freeAt(nowMs) - this.aside
  }

  alertIfReached(nowMs: number, onAlert: (alert: LimitAlert) => void): void {
    if (this.#limit.alerts.length > 0) this.#eachReachedAlert(nowMs, onAlert)
  }

  reset(nowMs: number): void {
    this.meter.reset(nowMs)
    this.era = { id: nextEra(this.era.id, nowMs), base: [] }
    this.#silentUntilMs = null
  }

  stateAt(clock: GateClock, nowMs: number = clock.nowMs()): LimitState {
    const endsAtMs = this.meter.endsAtMs(nowMs)
    return {
      limit: this.#limit,
      value: this.value,
      used: this.meter.settledAt(nowMs),
      reserved: this.meter.reservedAt(nowMs),
      amount: this.meter.amountAt(nowMs),
      resetsAtMs: endsAtMs === null ? null : clock.toWallMs(endsAtMs, nowMs),
    }
  }

  viewAt(clock: GateClock): CounterView {
    const { used, reserved, amount, resetsAtMs } = this.stateAt(clock)
    const { id, scope, unit } = this.#limit
    return { id, scope, value: this.value, unit, used, reserved, amount, resetsAtMs }
  }

  #eachReachedAlert(nowMs: number, onAlert: ((alert: LimitAlert) => void) | null): void {
    const used = this.meter.settledAt(nowMs)
    const amount = this.meter.amountAt(nowMs)
    for (const fraction of this.#limit.alerts) {
      if (used < fraction * amount) return
      this.#silentUntilMs ??= new Map()
      if (nowMs < (this.#silentUntilMs.get(fraction) ?? Number.NEGATIVE_INFINITY)) continue
      this.#silentUntilMs.set(fraction, this.meter.alertUntilMs(nowMs))
      onAlert?.({ limit: this.#limit, value: this.value, fraction, used, amount })
    }
  }
}

/** Gate time, and later than the one before. */
export function nextEra(last: number, nowMs: number): number {
  return Math.max(nowMs, last + 1)
}

export function newMeter(algorithm: LimitAlgorithm, nowMs: number): Meter {
  switch (algorithm.kind) {
    case 'bucket':
      return new BucketMeter(algorithm, nowMs)
    case 'sliding':
      return new SlidingMeter(algorithm)
    case 'fixed':
      return new FixedMeter(algorithm)
    case 'lifetime':
      return new LifetimeMeter(algorithm)
    case 'concurrent':
      return new ConcurrentMeter(algorithm)
  }
}

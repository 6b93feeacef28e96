import type { LimitCharge, LimitState } from '../../../contracts/limit.ts'
import type { ScriptValue } from '../../../contracts/script-server.ts'
import { OutputEstimates } from '../output-estimate.ts'
import { numberOf } from './script-calls.ts'

const MOST = 50_000

/** What this process knows of one shared counter. Server time in `…Ms` unless said otherwise. */
export class SeenCounter {
  charge: LimitCharge
  /** False: not asked about yet. */
  counted = false
  used = 0
  reserved = 0
  amount = 0
  endsAtMs: number | null = null
  atMs = 0
  durable = false
  /** What this process may spend while the server is away, and the monotonic time until which it may. */
  lease = 0
  leaseUntilMs = 0
  /** Lease that was given up and that the server still counts as ours. */
  giving = 0
  /** Monotonic; until then nobody waits for others to give back what they lease. */
  impatientUntilMs = 0
  /** Monotonic. */
  touchedAtMs = 0
  beatAtMs = 0
  readonly outputs: OutputEstimates = new OutputEstimates()

  constructor(charge: LimitCharge) {
    this.charge = charge
  }

  /** Settled, reserved, amount and end, as the script tells them. */
  learn(view: readonly ScriptValue[], atMs: number): void {
    this.counted = true
    this.used = numberOf(view[0])
    this.reserved = numberOf(view[1])
    this.amount = numberOf(view[2])
    const endsAtMs = numberOf(view[3])
    this.endsAtMs = endsAtMs < 0 ? null : endsAtMs
    this.atMs = atMs
  }

  /** Whether the server should still know the counter. */
  mustExist(nowMs: number): boolean {
    if (!this.durable || !this.counted || this.used + this.reserved === 0) return false
    return this.endsAtMs === null || this.endsAtMs > nowMs
  }

  giveBack(amount: number): void {
    const given = Math.min(this.lease, amount)
    this.lease -= given
    this.giving += given
  }

  stateAt(toWallMs: (gateMs: number) => number): LimitState {
    return {
      limit: this.charge.limit,
      value: this.charge.value,
      used: this.used,
      reserved: this.reserved,
      amount: this.amount,
      resetsAtMs: this.endsAtMs === null ? null : toWallMs(this.endsAtMs),
    }
  }
}

/** Bounded: beyond, the one that was asked for first goes; it is learnt again when it is asked for. */
export class SeenCounters {
  readonly #byKey = new Map<string, SeenCounter>()

  of(charge: LimitCharge): SeenCounter {
    const known = this.#byKey.get(charge.counterKey)
    if (known !== undefined) {
      known.charge = charge
      return known
    }
    const made = new SeenCounter(charge)
    if (this.#byKey.size >= MOST) this.#dropFirst()
    this.#byKey.set(charge.counterKey, made)
    return made
  }

  find(counterKey: string): SeenCounter | null {
    return this.#byKey.get(counterKey) ?? null
  }

  all(): Iterable<SeenCounter> {
    return this.#byKey.values()
  }

  delete(counterKey: string): void {
    this.#byKey.delete(counterKey)
  }

  #dropFirst(): void {
    const [first] = this.#byKey.keys()
    if (first !== undefined) this.#byKey.delete(first)
  }
}

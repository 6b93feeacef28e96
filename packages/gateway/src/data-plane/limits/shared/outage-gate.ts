import type {
  Actual,
  Demand,
  LimitAlgorithm,
  LimitCharge,
  ProcessGate,
  Refusal,
  Reservation,
  ReserveResult,
} from '../../../contracts/limit.ts'
import type { Clock } from '../../../lib/clock.ts'
import { createMemoryGate } from '../memory-gate.ts'
import { asOpenReservation } from '../open-reservation.ts'
import type { NamedUse } from './reports.ts'

export type OutageOptions = {
  /** Under which what was used is told to the server. */
  readonly name: string
  /** Whose wall time is the server's, as well as it is known. */
  readonly clock: Clock
  /** What this process may still spend of the counter; 0 when it has no lease. */
  readonly leaseOf: (counterKey: string) => number
  /** Of a reservation, once the server has it. */
  readonly nextName: () => string
  /** Processes that share the counters. */
  readonly members: number
}

/** What the shared counters have to be told. */
export type Report = {
  readonly charge: LimitCharge
  /** To be added to what was used. */
  readonly used: number
  /** Of the lease: what was used, and what open reservations still hold. */
  readonly spent: number
}

/** A bucket's refill and all windows stay exact far above any real use. */
const UNLIMITED = 1e15
const UNLIMITED_BUCKET = 1e9

export class OutageReservation implements Reservation {
  readonly id: number
  /** By which the server will know it. */
  readonly name: string
  readonly outputTokens: number
  readonly shrunk: boolean
  readonly excused: readonly Refusal[] = []
  readonly gate: OutageGate
  readonly inner: Reservation

  constructor(gate: OutageGate, inner: Reservation, name: string) {
    this.gate = gate
    this.name = name
    this.inner = inner
    this.id = inner.id
    this.outputTokens = inner.outputTokens
    this.shrunk = inner.shrunk
  }
}

/**
 * The limits while the server of the shared counters is away: each counter goes on with what this process has leased.
 *
 * A counter of which nothing is leased refuses. Limits that say `allow`, and those that only watch, admit and count.
 */
export class OutageGate {
  readonly name: string
  readonly #options: OutageOptions
  readonly #inner: ProcessGate
  readonly #charges = new Map<string, LimitCharge>()
  readonly #mapped = new Map<string, LimitCharge>()
  readonly #open = new Set<OutageReservation>()

  constructor(options: OutageOptions) {
    this.#options = options
    this.name = options.name
    this.#inner = createMemoryGate({ clock: options.clock, onAlert: () => {} })
  }

  reserve(charges: readonly LimitCharge[], demand: Demand): ReserveResult {
    const mapped: LimitCharge[] = []
    for (const charge of charges) {
      const own = this.#map(charge)
      if (own === null) return { ok: false, refusal: away(charge) }
      mapped.push(own)
    }
    const result = this.#inner.reserve(mapped, demand)
    if (result.ok) {
      const reservation = new OutageReservation(this, result.reservation, this.#options.nextName())
      this.#open.add(reservation)
      return { ok: true, reservation }
    }
    const { limit, value } = result.refusal
    const charge = charges.find((one) => one.limit.id === limit.id && one.value === value)
    return { ok: false, refusal: { ...result.refusal, ...away(charge ?? { limit, value }) } }
  }

  close(reservation: OutageReservation, actual: Actual | null): void {
    if (actual === null) this.#inner.release(reservation.inner)
    else this.#inner.settle(reservation.inner, actual)
    this.#open.delete(reservation)
  }

  /** Not yet settled or released. */
  open(): Iterable<OutageReservation> {
    return this.#open
  }

  /** What the reservation holds, by the limits as they are configured. */
  heldBy({ inner }: OutageReservation): readonly { charge: LimitCharge; amount: number }[] {
    return asOpenReservation(inner).holds.flatMap(({ counter, amount }) => {
      const charge = this.#charges.get(counter.key)
      return charge === undefined ? [] : [{ charge, amount }]
    })
  }

  /** What was used of each counter, and what the whole took of the lease. */
  used(): readonly Report[] {
    return this.#inner.list().flatMap(({ id, scope, value, used, reserved }) => {
      const charge = this.#charges.get(`${id}\n${scope}\n${value}`)
      if (charge === undefined) return []
      return [{ charge, used, spent: used + reserved }]
    })
  }

  /** As the server is to be told of it. */
  namedUses(): readonly NamedUse[] {
    return this.used().map(({ charge, used }) => ({ charge, used, name: this.name }))
  }

  openReservations(): number {
    return this.#inner.openReservations()
  }

  #map(charge: LimitCharge): LimitCharge | null {
    const { limit, value, counterKey } = charge
    if (limit.onBackendFailure === 'deny' && limit.mode === 'enforce') return null
    const free = limit.mode !== 'enforce' || limit.onBackendFailure === 'allow'
    const lease = free ? null : this.#options.leaseOf(counterKey)
    if (lease === 0) return null
    const known = this.#mapped.get(counterKey)
    if (known !== undefined && this.#charges.get(counterKey)?.limit === limit) return known
    const algorithm = scaled(limit.algorithm, lease, this.#options.members)
    const mapped = { ...charge, limit: { ...limit, algorithm, alerts: [] } }
    this.#mapped.set(counterKey, mapped)
    this.#charges.set(counterKey, charge)
    this.#charges.set(`${limit.id}\n${limit.scope}\n${value}`, charge)
    return mapped
  }
}

/** The same way of counting, over what is leased. `null`: without an end. */
function scaled(algorithm: LimitAlgorithm, lease: number | null, members: number): LimitAlgorithm {
  if (algorithm.kind !== 'bucket') return { ...algorithm, amount: lease ?? UNLIMITED }
  if (lease === null) return { ...algorithm, capacity: UNLIMITED_BUCKET, refillPerSec: 0 }
  return { ...algorithm, capacity: lease, refillPerSec: algorithm.refillPerSec / members }
}

function away({ limit, value }: Pick<LimitCharge, 'limit' | 'value'>): Refusal {
  const { algorithm } = limit
  return {
    limit,
    value,
    used: 0,
    reserved: 0,
    amount: algorithm.kind === 'bucket' ? algorithm.capacity : algorithm.amount,
    resetsAtMs: null,
    retryAfterMs: 1000,
    neverFits: false,
    backendAway: true,
  }
}

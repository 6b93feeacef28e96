import type { HeldCharge } from '../../../contracts/durable-charge.ts'
import type {
  Actual,
  CounterState,
  Demand,
  LimitCharge,
  Reservation,
} from '../../../contracts/limit.ts'
import { OutageReservation } from '../../../data-plane/limits/shared/outage-gate.ts'
import { newProcessName, SharedGate } from '../../../data-plane/limits/shared/shared-gate.ts'
import type { World } from '../world.ts'
import { SimLink, type Weather } from './sim-link.ts'
import type { SimRedis } from './sim-redis.ts'
import { sharedCharges, type Truth } from './truth.ts'

/** Beyond the longest call. */
const LIFETIME_MS = 20_000
const BEAT_MS = 250
const LONGEST_CALL_MS = 1_500

/** Calls that count a use: where their arguments name the counters, and the use of each. */
const ENDS: Readonly<Record<string, { first: number; step: number; used: number; name: number }>> =
  {
    close: { first: 8, step: 4, used: 0, name: 2 },
    report: { first: 4, step: 6, used: 3, name: 5 },
  }

export type Place = {
  readonly world: World
  readonly redis: SimRedis
  readonly truth: Truth
  readonly weather: Weather
  /** Of calls: where they are small, what a gateway leases lets it serve some alone. */
  readonly size: number
}

type Call = {
  readonly id: string
  readonly charges: readonly LimitCharge[]
  readonly demand: Demand
  readonly reservation: Reservation
}

/** A gateway of several: the real gate, a store of its own, and calls to a provider that writes what it likes. */
export class SimMember {
  isUp = false
  readonly machine: { skewMs: number } = { skewMs: 0 }
  admitted = 0
  /** Of these, without the server. */
  alone = 0
  refused = 0
  crashes = 0
  link: SimLink | null = null
  gate: SharedGate | null = null
  readonly #calls = new Map<string, Call>()
  readonly #place: Place
  readonly #index: number
  readonly #store = new Map<string, CounterState>()
  readonly #journal = new Map<string, readonly HeldCharge[]>()
  /** Processes before this one. */
  readonly #formers: string[] = []
  #life = 0
  #asked = 0

  constructor(index: number, place: Place) {
    this.#index = index
    this.#place = place
  }

  start(): void {
    const { world, redis, weather } = this.#place
    this.#life += 1
    this.isUp = true
    this.link = new SimLink(world, redis, weather, (args) => this.#unheard(args))
    const process = newProcessName()
    this.gate = new SharedGate({
      process,
      formers: [...this.#formers],
      server: this.link,
      namespace: 'sim',
      clock: world.clockOf(this.machine),
      lifetimeMs: () => LIFETIME_MS,
      onAlert: () => {},
      onState: () => {},
      onWarning: () => {},
      pause: (ms) => new Promise((resolve) => world.after(ms, () => resolve())),
    })
    this.gate.restore([...this.#store.values()])
    this.#formers.push(process)
    this.gate.start()
    this.#beat(this.#life)
    for (const held of this.#journal.values()) this.gate.durable.charge(held)
    this.#journal.clear()
    void this.gate.durable.told?.()
  }

  /** What it had open is charged at its worst: nobody knows what the provider did. */
  crash(): void {
    this.isUp = false
    this.crashes += 1
    this.#life += 1
    this.link?.kill()
    this.gate = null
    for (const call of this.#calls.values()) {
      this.#place.truth.end(call.id, call.charges, worstOf(call))
    }
    this.#calls.clear()
  }

  async request(): Promise<void> {
    const { world, truth } = this.#place
    const { gate } = this
    if (gate === null) return
    const life = this.#life
    const charges = sharedCharges(world.below(2))
    const demand: Demand = {
      inputTokens: 1 + world.below(this.#place.size),
      outputTokens: 5 + world.below(4 * this.#place.size),
      fixedCostPicoUsd: null,
      outputPicoUsd: 0,
      mayLease: world.chance(0.5),
    }
    this.#asked += 1
    const id = `${this.#index}.${this.#asked}`
    const result = await gate.reserve(charges, demand)
    if (life !== this.#life) return
    if (!result.ok) {
      this.refused += 1
      return
    }
    this.admitted += 1
    if (result.reservation instanceof OutageReservation) this.alone += 1
    const call = { id, charges, demand, reservation: result.reservation }
    this.#calls.set(id, call)
    this.#note(call)
    truth.hold(id, charges, worstOf(call))
    world.after(1 + world.below(LONGEST_CALL_MS), () => void this.#goOn(call, life))
  }

  openCalls(): number {
    return this.#calls.size
  }

  /** Of the store: what a process that starts anew finds. */
  #commit(): void {
    for (const state of this.gate?.takeChanged() ?? []) this.#store.set(state.counterKey, state)
  }

  async #goOn(call: Call, life: number): Promise<void> {
    const { world, truth } = this.#place
    const { gate } = this
    if (gate === null || life !== this.#life) return
    const { reservation, charges, id } = call
    const held = reservation.heldTokens ?? reservation.outputTokens
    if (held < reservation.outputTokens && world.chance(0.8)) {
      const now = await gate.extend(reservation, held + 1 + world.below(40))
      if (life !== this.#life) return
      // No more can be had: the stream ends at its length.
      if (now <= held) return this.#end(call)
      truth.hold(id, charges, worstOf(call))
      this.#note(call)
      world.after(1 + world.below(100), () => void this.#goOn(call, life))
      return
    }
    this.#end(call)
  }

  #end(call: Call): void {
    const { world, truth } = this.#place
    const { gate } = this
    const { reservation, charges, id } = call
    this.#calls.delete(id)
    if (gate === null) return
    if (world.chance(0.1)) {
      truth.end(id, charges, null)
      gate.release(reservation)
    } else {
      const used = usedOf(call, world)
      truth.end(id, charges, used)
      gate.settle(reservation, used)
    }
    this.#journal.delete(id)
    this.#commit()
  }

  #note({ id, reservation }: Call): void {
    const held = this.gate?.durable.held(reservation) ?? []
    if (held.length > 0) this.#journal.set(id, held)
  }

  #unheard(args: readonly string[]): void {
    const [operation = '', , , , , kind] = args
    const places = operation === 'close' && kind !== 'settle' ? undefined : ENDS[operation]
    if (places === undefined) return
    for (let at = places.first; at < args.length; at += places.step) {
      this.#place.truth.doubt(args[at + places.name] ?? '', Number(args[at + places.used]))
    }
  }

  #beat(life: number): void {
    this.#place.world.after(BEAT_MS, () => {
      if (life !== this.#life) return
      void this.gate?.housekeep()
      this.#beat(life)
    })
  }
}

function worstOf({ demand, reservation }: Call): Actual {
  const { inputTokens } = demand
  const outputTokens = reservation.heldTokens ?? reservation.outputTokens
  return { inputTokens, outputTokens, costNanoUsd: 0 }
}

function usedOf(call: Call, world: World): Actual {
  const worst = worstOf(call)
  return { ...worst, outputTokens: world.below(worst.outputTokens + 1) }
}

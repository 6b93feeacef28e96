import type { DurableCharge, DurableCharges } from '../contracts/durable-charge.ts'
import type {
  Actual,
  Demand,
  Gate,
  LimitCharge,
  Refusal,
  Reservation,
  ReserveResult,
} from '../contracts/limit.ts'
import { demandedAmount } from '../data-plane/limits/amounts.ts'
import { nameIn } from '../data-plane/limits/shared/open-charges.ts'
import { type ChargeSet, type KnownLimits, NamedCharges } from './charge-names.ts'
import { KeptRoom, type Rooms } from './rooms.ts'
import { MAY_LEASE, MAY_NOT_SHRINK, readLine, type ReserveLine } from './messages.ts'

/** A worker gets room for so many calls like the one at hand. */
const CALLS_AHEAD = 64
/** And only where a counter has room for so many times that. */
const FAR = 32
const MOST_RECALLS = 3

type Asked = { readonly id: number; readonly set: ChargeSet; readonly demand: Demand }

type Held = {
  readonly id: number
  readonly reservation: Reservation
  readonly set: ChargeSet
  readonly demand: Demand
}

/** A reservation that was settled. */
export type SettledHere = Pick<Held, 'id' | 'reservation' | 'set'>

export type GateDeskOptions = {
  readonly gate: Gate
  readonly durable: DurableCharges
  /** Null: workers ask for each reservation. */
  readonly rooms: Rooms | null
  readonly limits: KnownLimits
  readonly send: (line: string) => void
}

/** Where one worker reserves, settles and releases at the owner's gate. */
export class GateDesk {
  readonly #gate: Gate
  readonly #durable: DurableCharges
  readonly #names: NamedCharges
  readonly #send: (line: string) => void
  readonly #rooms: Rooms | null
  /** By the number of the counter. */
  #kept = new Map<number, KeptRoom>()
  /** How often the numbers of counters have begun anew. */
  #numbering = 0
  readonly #held = new Map<number, Held>()
  #settled: Held[] = []
  #closed = false

  constructor({ gate, durable, rooms, limits, send }: GateDeskOptions) {
    this.#rooms = rooms
    rooms?.desks.add(this)
    this.#gate = gate
    this.#durable = durable
    this.#names = new NamedCharges(limits)
    this.#send = send
  }

  /** False: the line is for somebody else. */
  take(kind: string, text: string): boolean {
    switch (kind) {
      case 'L':
        this.#names.addLimit(text)
        return true
      case 'C':
        this.#names.addCounter(text)
        return true
      case 'X':
        this.#names.forget()
        this.#numbering += 1
        this.#giveBackAll()
        return true
      case 'K':
        this.#reserveInRoom(text)
        return true
      case 'H':
        this.#takeBack(text)
        return true
      case 'R':
        this.#reserve(text)
        return true
      case 'E':
        this.#extend(text)
        return true
      case 'S':
        this.#settle(text)
        return true
      case 'U':
        this.#release(text)
        return true
      default:
        return false
    }
  }

  /** What was settled since this was last asked: it belongs to the record that comes next. */
  takeSettled(): readonly SettledHere[] {
    const settled = this.#settled
    if (settled.length === 0) return NOTHING_SETTLED
    this.#settled = []
    return settled
  }

  chargesOf(settled: readonly SettledHere[]): readonly DurableCharge[] {
    const [only] = settled
    if (only === undefined) return NO_CHARGES
    if (settled.length === 1) return this.#durable.settled(only.reservation)
    return settled.flatMap(({ reservation }) => this.#durable.settled(reservation))
  }

  /** States as they are now, once for all that charged the same counters: `,[[id,…],[…]]` for each such set. */
  settledText(settled: readonly SettledHere[]): string {
    const idsOf = new Map<ChargeSet, SettledHere[]>()
    for (const one of settled) {
      const others = idsOf.get(one.set)
      if (others === undefined) idsOf.set(one.set, [one])
      else others.push(one)
    }
    let text = ''
    for (const same of idsOf.values()) {
      const [one] = same
      if (one === undefined) continue
      text += `,[[${same.map(({ id }) => id).join()}],[${this.#statesText(one)}]]`
    }
    return text
  }

  #nameOf(reservation: Reservation): string {
    const [held] = this.#durable.held(reservation)
    return nameIn(held?.reservation) ?? ''
  }

  /**
   * The worker is gone. With a journal, what its calls hold of durable counters is given back, to be charged as the journal
   * says; without one, all that they hold is charged. `unsent`: names of shared reservations of calls that were never sent.
   */
  abandonAll(journal: boolean, unsent: ReadonlySet<string> = NONE): void {
    this.#closed = true
    this.#rooms?.desks.delete(this)
    this.#giveBackAll()
    for (const { reservation, demand } of this.#held.values()) {
      if (journal && this.#durable.abandon !== undefined) this.#durable.abandon(reservation)
      else if (unsent.size > 0 && unsent.has(this.#nameOf(reservation))) {
        this.#gate.release(reservation)
      } else this.#gate.settle(reservation, atWorst(reservation, demand))
    }
    this.#held.clear()
  }

  #readReserve(text: string): Asked {
    const end = text.lastIndexOf(']') + 1
    const set = this.#names.setOf(text.slice(end))
    const line = readLine<ReserveLine>(text.slice(0, end))
    const [id, inputTokens, outputTokens, fixedCostPicoUsd, outputPicoUsd, flags, model] = line
    const demand: Demand = {
      inputTokens,
      outputTokens,
      fixedCostPicoUsd,
      outputPicoUsd,
      mayShrink: (flags & MAY_NOT_SHRINK) === 0,
      mayLease: (flags & MAY_LEASE) !== 0,
      ...(model === null ? {} : { model }),
    }
    return { id, set, demand }
  }

  #reserve(text: string): void {
    const asked = this.#readReserve(text)
    const { id, set, demand } = asked
    const { charges } = set
    const result = this.#gate.reserve(charges, demand)
    if (!(result instanceof Promise)) {
      if (result.ok || this.#rooms === null || !this.#rooms.anyAside(charges)) {
        return this.#answer(asked, result)
      }
    }
    this.#reserveAgain(charges, demand, result).then(
      (late) => this.#answer(asked, late),
      (thrown: unknown) => this.#send(`b${JSON.stringify([id, messageOf(thrown)])}`),
    )
  }

  #answer({ id, set, demand }: Asked, result: ReserveResult): void {
    const { charges } = set
    if (this.#closed) {
      if (result.ok) this.#gate.release(result.reservation)
      return
    }
    if (!result.ok) return this.#send(`f[${id},${refusalText(result.refusal, charges)}]`)
    const { reservation } = result
    const held = { id, reservation, set, demand }
    this.#held.set(id, held)
    const { outputTokens, heldTokens = outputTokens, excused } = reservation
    this.#offer(set, demand)
    const refusals = excused.map((one) => `[${refusalText(one, charges)}]`).join()
    this.#send(
      `r[${id},${outputTokens},${heldTokens},[${this.#statesText(held)}],${this.#holdsText(held)},[${refusals}]]`,
    )
  }

  /** What others have set aside and do not use is asked back before anybody is refused. */
  async #reserveAgain(
    charges: readonly LimitCharge[],
    demand: Demand,
    first: ReserveResult | Promise<ReserveResult>,
  ): Promise<ReserveResult> {
    let result = await first
    for (let i = 0; i < MOST_RECALLS && !result.ok; i++) {
      if (this.#rooms === null || !this.#rooms.anyAside(charges)) return result
      await this.#rooms.askBack(charges)
      result = await this.#gate.reserve(charges, demand)
    }
    return result
  }

  /** The worker has gone on already: it had room for this. */
  #reserveInRoom(text: string): void {
    const { room } = this.#rooms ?? {}
    if (room === undefined) throw new TypeError('A worker used room that nobody gave it.')
    const { id, set, demand } = this.#readReserve(text)
    const { numbers, charges } = set
    for (const [index, number] of numbers.entries()) {
      const charge = charges[index]
      const kept = this.#kept.get(number)
      if (charge === undefined || kept === undefined) continue
      const amount = demandedAmount(charge.limit.unit, demand, demand.outputTokens)
      kept.amount -= amount
      room.giveBack(charge.counterKey, amount)
    }
    const reservation = room.reserveInRoom(charges, demand)
    this.#held.set(id, { id, reservation, set, demand })
    this.#offer(set, demand)
  }

  /** Room for many such calls, where the limits are so far away that nobody misses it. */
  #offer({ numbers, charges }: ChargeSet, demand: Demand): void {
    const { room } = this.#rooms ?? {}
    if (room === undefined) return
    let offers = ''
    for (const [index, number] of numbers.entries()) {
      const charge = charges[index]
      if (charge === undefined) continue
      const most = demandedAmount(charge.limit.unit, demand, demand.outputTokens) * CALLS_AHEAD
      const known = this.#kept.get(number)
      if (known !== undefined && !known.wants(most / 2)) continue
      const more = Math.max(0, most - (known?.amount ?? 0))
      if (!room.setAside(charge, more, FAR)) continue
      const { at, era, durable, forMs } = room.place(charge)
      const kept = known ?? new KeptRoom(charge)
      kept.add(more, forMs)
      this.#kept.set(number, kept)
      offers += `,${number},${more},${at},${durable ? era : -1},${forMs}`
    }
    if (offers !== '') this.#send(`o[${this.#numbering}${offers}]`)
  }

  /** Resolves when the worker has given back what it has of these counters, or is gone. */
  askBack(counterKeys: ReadonlySet<string>): Promise<unknown> {
    const asked: Promise<void>[] = []
    for (const [number, kept] of this.#kept) {
      if (!counterKeys.has(kept.charge.counterKey)) continue
      if (!kept.isAsked()) this.#send(`c${number}`)
      asked.push(kept.returned())
    }
    return Promise.all(asked)
  }

  #takeBack(text: string): void {
    const [number, amount] = readLine<readonly [number: number, amount: number]>(text)
    const kept = this.#kept.get(number)
    if (kept === undefined) return
    kept.amount -= amount
    this.#rooms?.room.giveBack(kept.charge.counterKey, amount)
    kept.tellReturned()
  }

  #giveBackAll(): void {
    for (const kept of this.#kept.values()) {
      this.#rooms?.room.giveBack(kept.charge.counterKey, kept.amount)
      kept.tellReturned()
    }
    this.#kept = new Map()
  }

  #extend(text: string): void {
    const [question, id, outputTokens] =
      readLine<readonly [question: number, id: number, outputTokens: number]>(text)
    const held = this.#held.get(id)
    const answer = (tokens: number): void => {
      const holds = held === undefined ? '[null]' : this.#holdsText(held)
      this.#send(`e[${question},${tokens},${holds}]`)
    }
    if (held === undefined) return answer(0)
    const { reservation } = held
    const extended = this.#gate.extend(reservation, outputTokens)
    if (!(extended instanceof Promise)) return answer(extended)
    // A gate that fails holds what it held.
    extended.then(answer, () => answer(reservation.heldTokens ?? reservation.outputTokens))
  }

  #settle(text: string): void {
    // JSON has no other word for what is no number.
    const [id, inputTokens, outputTokens, costNanoUsd] =
      readLine<readonly [id: number, ...(number | null)[]]>(text)
    const held = this.#take(id)
    if (held === null) return
    this.#gate.settle(held.reservation, {
      inputTokens: inputTokens ?? NaN,
      outputTokens: outputTokens ?? NaN,
      costNanoUsd: costNanoUsd ?? NaN,
    })
    this.#settled.push(held)
  }

  #release(text: string): void {
    const [id] = readLine<readonly [id: number]>(text)
    const held = this.#take(id)
    if (held !== null) this.#gate.release(held.reservation)
  }

  #take(id: number): Held | null {
    const held = this.#held.get(id) ?? null
    this.#held.delete(id)
    return held
  }

  #statesText({ reservation, set }: SettledHere): string {
    let text = ''
    for (const { limit, value, used, reserved, amount, resetsAtMs } of this.#gate.statesOf(
      reservation,
    )) {
      const at = positionOf(set.charges, limit, value)
      text += `${text === '' ? '' : ','}${at},${used},${reserved},${amount},${resetsAtMs}`
    }
    return text
  }

  #holdsText({ reservation, set: { charges } }: Held): string {
    let numbers = ''
    let name: string | null = null
    for (const one of this.#durable.held(reservation)) {
      const at = charges.findIndex(({ counterKey }) => counterKey === one.counter)
      numbers += `,${at},${one.amount},${one.at},${one.era}`
      name = one.reservation ?? null
    }
    return `[${JSON.stringify(name)}${numbers}]`
  }
}

const NOTHING_SETTLED: readonly SettledHere[] = []
const NO_CHARGES: readonly DurableCharge[] = []
const NONE: ReadonlySet<string> = new Set()

/** What nobody told is charged as it was reserved: unknown is never free. */
function atWorst({ outputTokens, heldTokens = outputTokens }: Reservation, demand: Demand): Actual {
  return {
    inputTokens: demand.inputTokens,
    outputTokens: heldTokens,
    costNanoUsd: demandedAmount('usd', demand, heldTokens),
  }
}

function refusalText(refusal: Refusal, charges: readonly LimitCharge[]): string {
  const { limit, value, used, reserved, amount, resetsAtMs, retryAfterMs } = refusal
  const at = positionOf(charges, limit, value)
  const never = refusal.neverFits ? 1 : 0
  const away = refusal.backendAway === true ? 1 : 0
  return `${at},${used},${reserved},${amount},${resetsAtMs},${retryAfterMs},${never},${away}`
}

/** The gate may know the counter by the limit of another policy. */
function positionOf(
  charges: readonly LimitCharge[],
  { id, scope }: LimitCharge['limit'],
  value: string,
): number {
  return charges.findIndex(
    (charge) => charge.limit.id === id && charge.limit.scope === scope && charge.value === value,
  )
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

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
import { type KnownLimits, NamedCharges } from './charge-names.ts'
import { MAY_LEASE, MAY_NOT_SHRINK, readLine, type ReserveLine } from './messages.ts'

type Held = {
  readonly reservation: Reservation
  readonly charges: readonly LimitCharge[]
  readonly demand: Demand
}

export type GateDeskOptions = {
  readonly gate: Gate
  readonly durable: DurableCharges
  readonly limits: KnownLimits
  readonly send: (line: string) => void
}

/** Where one worker reserves, settles and releases at the owner's gate. */
export class GateDesk {
  readonly #gate: Gate
  readonly #durable: DurableCharges
  readonly #names: NamedCharges
  readonly #send: (line: string) => void
  readonly #held = new Map<number, Held>()
  #settled: Held[] = []
  #settledIds: number[] = []
  #closed = false

  constructor({ gate, durable, limits, send }: GateDeskOptions) {
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
  takeSettled(): SettledHere {
    const held = this.#settled
    const ids = this.#settledIds
    if (held.length === 0) return NOTHING_SETTLED
    this.#settled = []
    this.#settledIds = []
    const charges: DurableCharge[] = []
    for (const { reservation } of held) charges.push(...this.#durable.settled(reservation))
    return {
      charges,
      states: () =>
        held.map((one, index) => `,[${ids[index]},[${this.#statesText(one)}]]`).join(''),
    }
  }

  /**
   * The worker is gone. With a journal, what its calls hold of durable counters is given back, to be charged as the journal
   * says; without one, all that they hold is charged.
   */
  abandonAll(journal: boolean): void {
    this.#closed = true
    for (const { reservation, demand } of this.#held.values()) {
      if (journal && this.#durable.abandon !== undefined) this.#durable.abandon(reservation)
      else this.#gate.settle(reservation, atWorst(reservation, demand))
    }
    this.#held.clear()
  }

  #reserve(text: string): void {
    const line = readLine<ReserveLine>(text)
    const [id, inputTokens, outputTokens, fixedCostPicoUsd, outputPicoUsd, flags, model] = line
    const charges: LimitCharge[] = []
    for (let i = 7; i < line.length; i++) charges.push(this.#names.of(Number(line[i])))
    const demand: Demand = {
      inputTokens,
      outputTokens,
      fixedCostPicoUsd,
      outputPicoUsd,
      mayShrink: (flags & MAY_NOT_SHRINK) === 0,
      mayLease: (flags & MAY_LEASE) !== 0,
      ...(model === null ? {} : { model }),
    }
    const asked = { id, charges, demand }
    const result = this.#gate.reserve(charges, demand)
    if (!(result instanceof Promise)) return this.#answer(asked, result)
    result.then(
      (late) => this.#answer(asked, late),
      (thrown: unknown) => this.#send(`b${JSON.stringify([id, messageOf(thrown)])}`),
    )
  }

  #answer(
    { id, charges, demand }: { id: number; charges: readonly LimitCharge[]; demand: Demand },
    result: ReserveResult,
  ): void {
    if (this.#closed) {
      if (result.ok) this.#gate.release(result.reservation)
      return
    }
    if (!result.ok) return this.#send(`f[${id},${refusalText(result.refusal, charges)}]`)
    const { reservation } = result
    const held = { reservation, charges, demand }
    this.#held.set(id, held)
    const { outputTokens, heldTokens = outputTokens, excused } = reservation
    const refusals = excused.map((one) => `[${refusalText(one, charges)}]`).join()
    this.#send(
      `r[${id},${outputTokens},${heldTokens},[${this.#statesText(held)}],${this.#holdsText(held)},[${refusals}]]`,
    )
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
    this.#settledIds.push(id)
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

  #statesText({ reservation, charges }: Held): string {
    let text = ''
    for (const { limit, value, used, reserved, amount, resetsAtMs } of this.#gate.statesOf(
      reservation,
    )) {
      const at = positionOf(charges, limit, value)
      text += `${text === '' ? '' : ','}${at},${used},${reserved},${amount},${resetsAtMs}`
    }
    return text
  }

  #holdsText({ reservation, charges }: Held): string {
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

export type SettledHere = {
  readonly charges: readonly DurableCharge[]
  /** Of each reservation, now: `,[id,[…]]`. */
  readonly states: () => string
}

const NOTHING_SETTLED: SettledHere = { charges: [], states: () => '' }

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

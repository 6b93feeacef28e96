import type { LimitCharge, LimitPlan } from '../contracts/limit.ts'
import { readLine } from './messages.ts'

/** Limits and counters have numbers between two processes; beyond so many counters they begin anew. */
const MOST_COUNTERS = 20_000

type NamedLimit = { readonly number: number; readonly byValue: Map<string, number> }

/** The worker's side: names a limit and a counter the first time that one is charged. */
export class ChargeNames {
  readonly #send: (line: string) => void
  readonly #most: number
  #limits = new WeakMap<LimitPlan, NamedLimit>()
  #limitCount = 0
  #counterCount = 0

  constructor(send: (line: string) => void, most: number = MOST_COUNTERS) {
    this.#send = send
    this.#most = most
  }

  /** Call before the numbers of a request's charges are asked for: they are all of one numbering. True: it is a new one. */
  beginAnew(charges: number): boolean {
    if (this.#counterCount + charges <= this.#most) return false
    this.#limits = new WeakMap()
    this.#limitCount = 0
    this.#counterCount = 0
    this.#send('X')
    return true
  }

  numberOf({ limit, value, counterKey }: LimitCharge): number {
    let named = this.#limits.get(limit)
    if (named === undefined) {
      named = { number: this.#limitCount++, byValue: new Map() }
      this.#limits.set(limit, named)
      this.#send(`L${limitText(limit)}`)
    }
    let number = named.byValue.get(value)
    if (number === undefined) {
      number = this.#counterCount++
      named.byValue.set(value, number)
      this.#send(`C${JSON.stringify([named.number, value, counterKey])}`)
    }
    return number
  }
}

/** What a gate reads of a limit. Which requests it matches was decided before. */
function limitText(limit: LimitPlan): string {
  const { id, scope, unit, algorithm, mode, reserve, whenShort, minOutputTokens, alerts } = limit
  const { onBackendFailure } = limit
  return JSON.stringify({
    id,
    scope,
    unit,
    algorithm,
    match: null,
    mode,
    reserve,
    whenShort,
    minOutputTokens,
    alerts,
    onBackendFailure,
  })
}

/**
 * The same limit of two workers is one object here: a counter that is charged with another object takes it for an edit.
 */
export class KnownLimits {
  readonly #byText = new Map<string, LimitPlan>()

  of(text: string): LimitPlan {
    let limit = this.#byText.get(text)
    if (limit === undefined) {
      limit = readLine<LimitPlan>(text)
      if (this.#byText.size >= MOST_COUNTERS) this.#byText.clear()
      this.#byText.set(text, limit)
    }
    return limit
  }
}

/** Counters that are charged together. The same object each time that they are named, until the numbers begin anew. */
export type ChargeSet = {
  readonly numbers: readonly number[]
  readonly charges: readonly LimitCharge[]
}

/** The owner's side, for one worker. */
export class NamedCharges {
  readonly #known: KnownLimits
  #limits: LimitPlan[] = []
  #charges: LimitCharge[] = []
  #sets = new Map<string, ChargeSet>()

  constructor(known: KnownLimits) {
    this.#known = known
  }

  addLimit(text: string): void {
    this.#limits.push(this.#known.of(text))
  }

  addCounter(text: string): void {
    const [number, value, counterKey] =
      readLine<readonly [limit: number, value: string, counterKey: string]>(text)
    const limit = this.#limits[number]
    if (limit === undefined) throw new RangeError(`The limit ${number} has no name.`)
    this.#charges.push({ limit, value, counterKey })
  }

  forget(): void {
    this.#limits = []
    this.#charges = []
    this.#sets = new Map()
  }

  /** `text`: numbers with commas between. Throws a `RangeError` for one without a name. */
  setOf(text: string): ChargeSet {
    const known = this.#sets.get(text)
    if (known !== undefined) return known
    const numbers = text === '' ? [] : text.split(',').map(Number)
    const set = { numbers, charges: numbers.map((number) => this.#of(number)) }
    if (this.#sets.size >= MOST_COUNTERS) this.#sets.clear()
    this.#sets.set(text, set)
    return set
  }

  #of(number: number): LimitCharge {
    const charge = this.#charges[number]
    if (charge === undefined) throw new RangeError(`The counter ${number} has no name.`)
    return charge
  }
}

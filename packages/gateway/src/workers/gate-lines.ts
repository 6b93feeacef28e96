import type { HeldCharge } from '../contracts/durable-charge.ts'
import type { Demand, LimitCharge, LimitState, Refusal, Reservation } from '../contracts/limit.ts'
import {
  type Holds,
  MAY_LEASE,
  MAY_NOT_SHRINK,
  type RefusalNumbers,
  type ReservedLine,
  type States,
} from './messages.ts'

/** What the owner tells of a reservation. */
export type OwnedFacts = Pick<Reservation, 'id' | 'outputTokens' | 'excused'> & {
  readonly heldTokens: number
  readonly states: readonly LimitState[]
  readonly held: readonly HeldCharge[]
}

export function factsOf(line: ReservedLine, charges: readonly LimitCharge[]): OwnedFacts {
  const [id, outputTokens, heldTokens, states, holds, excused] = line
  return {
    id,
    outputTokens,
    heldTokens,
    states: statesOf(states, charges),
    held: heldOf(holds, charges),
    excused: excused.map((one) => refusalOf(one, charges)),
  }
}

export function reserveText(id: number, demand: Demand, numbers: readonly number[]): string {
  const { inputTokens, outputTokens, fixedCostPicoUsd, outputPicoUsd, model } = demand
  const flags =
    (demand.mayShrink === false ? MAY_NOT_SHRINK : 0) | (demand.mayLease === true ? MAY_LEASE : 0)
  const text = `[${id},${inputTokens},${outputTokens},${fixedCostPicoUsd},${outputPicoUsd},${flags},`
  return `${text}${model === undefined ? 'null' : JSON.stringify(model)}]${numbers.join()}`
}

const STATE_NUMBERS = 5

export function statesOf(numbers: States, charges: readonly LimitCharge[]): readonly LimitState[] {
  const states: LimitState[] = []
  for (let i = 0; i + STATE_NUMBERS <= numbers.length; i += STATE_NUMBERS) {
    const charge = charges[numbers[i] ?? 0]
    if (charge === undefined) continue
    states.push({
      limit: charge.limit,
      value: charge.value,
      used: numbers[i + 1] ?? 0,
      reserved: numbers[i + 2] ?? 0,
      amount: numbers[i + 3] ?? 0,
      resetsAtMs: numbers[i + 4] ?? null,
    })
  }
  return states
}

const HOLD_NUMBERS = 4

export function heldOf(
  [name, ...numbers]: Holds,
  charges: readonly LimitCharge[],
): readonly HeldCharge[] {
  const held: HeldCharge[] = []
  for (let i = 0; i + HOLD_NUMBERS <= numbers.length; i += HOLD_NUMBERS) {
    const charge = charges[numbers[i] ?? 0]
    if (charge === undefined) continue
    const { id, scope, unit, algorithm } = charge.limit
    held.push({
      counter: charge.counterKey,
      amount: numbers[i + 1] ?? 0,
      at: numbers[i + 2] ?? 0,
      era: numbers[i + 3] ?? 0,
      id,
      scope,
      value: charge.value,
      unit,
      algorithm,
      ...(name === null ? {} : { reservation: name }),
    })
  }
  return held
}

export function refusalOf(numbers: RefusalNumbers, charges: readonly LimitCharge[]): Refusal {
  const [at, used, reserved, amount, resetsAtMs, retryAfterMs, neverFits, backendAway] = numbers
  const charge = charges[at]
  if (charge === undefined) throw new RangeError('The owner refused for no limit.')
  const refusal: Refusal = {
    limit: charge.limit,
    value: charge.value,
    used,
    reserved,
    amount,
    resetsAtMs,
    retryAfterMs,
    neverFits: neverFits === 1,
  }
  return backendAway === 1 ? { ...refusal, backendAway: true } : refusal
}

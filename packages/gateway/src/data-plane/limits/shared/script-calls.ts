import type {
  Demand,
  LimitAlgorithm,
  LimitCharge,
  LimitPlan,
  LimitUnit,
} from '../../../contracts/limit.ts'
import type { ScriptValue } from '../../../contracts/script-server.ts'
import { bucketParts } from '../bucket.ts'
import { longestMs } from '../calendar.ts'

/** How many counters one call of housekeeping touches at most, so that requests do not wait long behind it. */
export const BATCH = 100

/**
 * Names of the keys. All have the same hash tag, because one call may charge any counters together: in a cluster they
 * live on one slot.
 */
export class ScriptKeys {
  readonly index: string
  readonly #base: readonly string[]
  readonly #counter: string

  constructor(namespace: string, process: string) {
    const tag = `{${namespace}}`
    this.index = `${tag}:index`
    this.#base = [
      `${tag}:gate`,
      `${tag}:open`,
      `${tag}:due`,
      this.index,
      `${tag}:members`,
      `${tag}:wanted`,
      `${tag}:reports:${process}`,
    ]
    this.#counter = `${tag}:c:`
  }

  of(counterKeys: readonly string[]): string[] {
    return [...this.#base, ...counterKeys.map((key) => this.#counter + key)]
  }
}

/** A limit as the script wants it: `parameters` and `description` of gate.lua. */
type ScriptLimit = { readonly parameters: string; readonly description: string }

const parametersByLimit = new WeakMap<LimitPlan, string>()

function scriptLimit(limit: LimitPlan, value: string): ScriptLimit {
  let parameters = parametersByLimit.get(limit)
  if (parameters === undefined) {
    parameters = parametersOf(limit.unit, limit.algorithm)
    parametersByLimit.set(limit, parameters)
  }
  return { parameters, description: descriptionOf(limit, value) }
}

/** The members of a saved counter that do not change with use, as `counter-state.ts` reads them. */
function descriptionOf(limit: LimitPlan, value: string): string {
  const { id, scope, unit, algorithm } = limit
  return JSON.stringify({ id, scope, value, unit, algorithm }).slice(1, -1)
}

function parametersOf(unit: LimitUnit, algorithm: LimitAlgorithm): string {
  const { kind } = algorithm
  const window = kind === 'fixed' || kind === 'sliding' ? algorithm.window : null
  const amount = kind === 'bucket' ? algorithm.capacity : algorithm.amount
  const parts = kind === 'bucket' ? bucketParts(algorithm) : null
  return [
    kind,
    unit,
    amount,
    window?.kind === 'duration' ? window.ms : 0,
    window?.kind === 'months' ? window.months : 0,
    window === null ? 0 : longestMs(window),
    kind === 'fixed' ? algorithm.align : '',
    parts?.partsPerUnit ?? 1,
    parts?.partsPerMs ?? 0,
  ].join('|')
}

/** Parameters, description, and what else the operation wants of each counter. */
export function perCounter(
  charges: readonly LimitCharge[],
  more: (charge: LimitCharge, index: number) => readonly (string | number)[],
): string[] {
  const args: string[] = []
  for (const [index, charge] of charges.entries()) {
    const { parameters, description } = scriptLimit(charge.limit, charge.value)
    args.push(parameters, description)
    for (const one of more(charge, index)) args.push(String(one))
    args.push(charge.counterKey)
  }
  return args
}

/** What a request may use: input, output, fixed pico-dollars (empty: unpriced), pico-dollars per output token. */
export function demandArguments(demand: Demand, outputTokens: number): readonly string[] {
  const { inputTokens, fixedCostPicoUsd, outputPicoUsd } = demand
  const fixed = fixedCostPicoUsd === null ? '' : String(fixedCostPicoUsd)
  return [String(inputTokens), String(outputTokens), fixed, String(outputPicoUsd)]
}

export function keysOf(charges: readonly LimitCharge[]): string[] {
  return charges.map(({ counterKey }) => counterKey)
}

export function batches<Item>(items: readonly Item[]): readonly (readonly Item[])[] {
  const all: Item[][] = []
  for (let at = 0; at < items.length; at += BATCH) all.push(items.slice(at, at + BATCH))
  return all
}

/** An answer of the script: what happened, the server's time, and the rest. */
export class Answer {
  readonly code: number
  readonly nowMs: number
  readonly #parts: readonly ScriptValue[]

  constructor(value: ScriptValue) {
    this.#parts = listOf(value)
    this.code = this.number(0)
    this.nowMs = this.number(1)
  }

  number(index: number): number {
    return numberOf(this.#parts[index])
  }

  text(index: number): string {
    return String(this.#parts[index] ?? '')
  }

  list(index: number): readonly ScriptValue[] {
    return listOf(this.#parts[index])
  }
}

export function listOf(value: ScriptValue | undefined): readonly ScriptValue[] {
  return Array.isArray(value) ? value : []
}

export function numberOf(value: ScriptValue | undefined): number {
  if (typeof value === 'number') return value
  throw new TypeError('The script answered something else than a number.')
}

/** The part of a limit's state that decides how tight it is. */
export type Tightness = {
  readonly limit: { readonly unit: string }
  readonly used: number
  readonly reserved: number
  readonly amount: number
}

/** Units whose amounts can be compared with one another. */
export type UnitGroup = 'requests' | 'tokens'

const UNITS: Readonly<Record<UnitGroup, readonly string[]>> = {
  requests: ['requests'],
  tokens: ['tokens', 'input_tokens', 'output_tokens'],
}

/** What is left of a limit, in its unit; never below 0. */
export function remainingOf(state: Tightness): number {
  return Math.max(0, state.amount - state.used - state.reserved)
}

/** The limit of the group with the least left: the one that a client hits first. Null: the group has no limit. */
export function tightestLimit<State extends Tightness>(
  states: readonly State[],
  group: UnitGroup,
): State | null {
  const units = UNITS[group]
  let tightest: State | null = null
  for (const state of states) {
    if (!units.includes(state.limit.unit)) continue
    if (tightest === null || isTighter(state, tightest)) tightest = state
  }
  return tightest
}

/** With the same amount left, the smaller limit is the one that a client hits again sooner. */
function isTighter(state: Tightness, other: Tightness): boolean {
  const left = remainingOf(state)
  const otherLeft = remainingOf(other)
  return left < otherLeft || (left === otherLeft && state.amount < other.amount)
}

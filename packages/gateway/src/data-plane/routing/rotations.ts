/** More names than a configuration has; those of clients never come here. */
const MAX_KEPT = 10_000

/** The current weights of one rotation, by what takes its turns. */
export type Turns = Map<string, number>

/**
 * Whose turn it is in each rotation, by name. One per process: it outlives plans, so that a reload starts no rotation anew.
 */
export class Rotations {
  readonly #turns = new Map<string, Turns>()

  of(name: string): Turns {
    const known = this.#turns.get(name)
    if (known !== undefined) return known
    if (this.#turns.size >= MAX_KEPT) this.#turns.delete(this.#turns.keys().next().value ?? '')
    const turns: Turns = new Map()
    this.#turns.set(name, turns)
    return turns
  }

  /** The same state, to look ahead without a turn being taken. */
  copy(): Rotations {
    const copy = new Rotations()
    for (const [name, turns] of this.#turns) copy.#turns.set(name, new Map(turns))
    return copy
  }
}

/** One that takes turns. */
type Taker = { readonly id: string; readonly weight: number }

/**
 * Takes one turn, and returns all by their claim, whose turn it is first.
 *
 * Smooth: of weights 5, 1 and 1 the first comes five times of seven, and never five times in a row. With no weight at all,
 * all are alike. Those of weight 0 come last.
 */
export function takeTurn<T extends Taker>(takers: readonly T[], turns: Turns): readonly T[] {
  let total = 0
  for (const { weight } of takers) total += weight
  const alike = total === 0
  let first: T | undefined
  let most = -Infinity
  for (const taker of takers) {
    const weight = alike ? 1 : taker.weight
    if (weight === 0) continue
    const claim = (turns.get(taker.id) ?? 0) + weight
    turns.set(taker.id, claim)
    if (claim > most) {
      most = claim
      first = taker
    }
  }
  if (first === undefined) return takers
  turns.set(first.id, most - (alike ? takers.length : total))
  return byClaim(takers, { turns, first, alike })
}

function byClaim<T extends Taker>(
  takers: readonly T[],
  { turns, first, alike }: { readonly turns: Turns; readonly first: T; readonly alike: boolean },
): readonly T[] {
  const claimOf = ({ id, weight }: T): number =>
    weight === 0 && !alike ? -Infinity : (turns.get(id) ?? 0)
  const order: T[] = [first]
  const claims: number[] = [Infinity]
  for (const taker of takers) {
    if (taker === first) continue
    const claim = claimOf(taker)
    let at = order.length
    for (; at > 1 && claim > (claims[at - 1] ?? 0); at--) {
      order[at] = order[at - 1] ?? taker
      claims[at] = claims[at - 1] ?? claim
    }
    order[at] = taker
    claims[at] = claim
  }
  return order
}

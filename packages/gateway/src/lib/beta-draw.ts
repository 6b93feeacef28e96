/** Uniform in (0, 1). */
export type Random = () => number

/** Draws from Beta distributions, one after the other. */
export class BetaDraws {
  readonly #random: Random
  /** Of two normal numbers that come together, the one that is left. NaN: none. */
  #spare = Number.NaN

  constructor(random: Random) {
    this.#random = random
  }

  /** Both at least 1. */
  next(alpha: number, beta: number): number {
    const one = this.#gamma(alpha)
    return one / (one + this.#gamma(beta))
  }

  /** Marsaglia and Tsang, "A simple method for generating gamma variables" (2000), for a shape of at least 1. */
  #gamma(shape: number): number {
    const d = shape - 1 / 3
    const c = 1 / Math.sqrt(9 * d)
    for (;;) {
      const x = this.#normal()
      const root = 1 + c * x
      if (root <= 0) continue
      const v = root * root * root
      const u = this.#random()
      const square = x * x
      if (u < 1 - 0.0331 * square * square) return d * v
      if (Math.log(u) < 0.5 * square + d * (1 - v + Math.log(v))) return d * v
    }
  }

  /** Marsaglia's polar method. */
  #normal(): number {
    const spare = this.#spare
    if (!Number.isNaN(spare)) {
      this.#spare = Number.NaN
      return spare
    }
    for (;;) {
      const x = 2 * this.#random() - 1
      const y = 2 * this.#random() - 1
      const s = x * x + y * y
      if (s <= 0 || s >= 1) continue
      const scale = Math.sqrt((-2 * Math.log(s)) / s)
      this.#spare = y * scale
      return x * scale
    }
  }
}

/** Cells in which the largest of several draws is looked for. Finer than a tenth of a deviation of 500 observations. */
const CELLS = 2048

/** One of the posteriors of a choice. `bonus`: what is added to its draw, 0 to 1; absent: nothing. */
export type BetaPosterior = {
  readonly alpha: number
  readonly beta: number
  readonly bonus?: number
}

/**
 * With which probability each comes out largest when all are drawn at once. The sum is 1. By numeric integration, of
 * some 100 µs per posterior: for reports, not for requests.
 */
export function largestProbabilities(posteriors: readonly BetaPosterior[]): readonly number[] {
  const reach = 1 + Math.max(0, ...posteriors.map(({ bonus = 0 }) => bonus))
  const densities = posteriors.map((posterior) => densityOf(posterior, reach))
  const below = densities.map(runningSum)
  const shares = densities.map((density, own) => {
    let sum = 0
    for (let cell = 0; cell < CELLS; cell++) {
      let product = density[cell] ?? 0
      for (let other = 0; other < below.length && product > 0; other++) {
        if (other !== own) product *= below[other]?.[cell] ?? 0
      }
      sum += product
    }
    return sum
  })
  const total = shares.reduce((sum, share) => sum + share, 0)
  return shares.map((share) => (total === 0 ? 1 / shares.length : share / total))
}

/** Mass per cell of 0 to `reach`. */
function densityOf({ alpha, beta, bonus = 0 }: BetaPosterior, reach: number): Float64Array {
  const logs = new Float64Array(CELLS).fill(-Infinity)
  let largest = -Infinity
  for (let cell = 0; cell < CELLS; cell++) {
    const x = ((cell + 0.5) / CELLS) * reach - bonus
    if (x <= 0 || x >= 1) continue
    const log = (alpha - 1) * Math.log(x) + (beta - 1) * Math.log1p(-x)
    logs[cell] = log
    if (log > largest) largest = log
  }
  const mass = logs.map((log) => Math.exp(log - largest))
  const total = mass.reduce((sum, each) => sum + each, 0)
  return mass.map((each) => each / total)
}

/** Mass below each cell's middle. */
function runningSum(density: Float64Array): Float64Array {
  let sum = 0
  return density.map((mass) => {
    const middle = sum + mass / 2
    sum += mass
    return middle
  })
}

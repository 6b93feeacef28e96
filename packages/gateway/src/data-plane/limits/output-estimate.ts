const KEPT = 64
const LEAST = 8
const QUANTILE = 0.95
/** Sorting on every settle would cost more than all six limits; the 95th percentile moves slowly. */
const SORT_EVERY = 8

/** Running 95th percentile of the output tokens of one counter's latest calls, for `reserve: expected`. */
export class OutputEstimate {
  readonly #latest: number[] = []
  #seen = 0
  #p95 = Infinity

  add(outputTokens: number): void {
    if (this.#latest.length < KEPT) this.#latest.push(outputTokens)
    else this.#latest[this.#seen % KEPT] = outputTokens
    this.#seen += 1
    if (this.#seen % SORT_EVERY !== 0) return
    const sorted = this.#latest.toSorted((one, other) => one - other)
    this.#p95 = sorted[Math.ceil(sorted.length * QUANTILE) - 1] ?? Infinity
  }

  /** Never more than the worst case, which is also the answer until enough calls were seen. */
  expectedOf(worstTokens: number): number {
    return this.#seen < LEAST ? worstTokens : Math.min(worstTokens, this.#p95)
  }
}

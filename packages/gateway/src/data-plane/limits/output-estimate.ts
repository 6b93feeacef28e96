const KEPT = 64
const LEAST = 8
const QUANTILE = 0.95
/** Sorting on every settle would cost more than all six limits; the 95th percentile moves slowly. */
const SORT_EVERY = 8

/** Names come from clients, so that only so many are kept; the oldest goes first. */
const MAX_MODELS = 256

/** What is expected of one counter's calls, by model. */
export class OutputEstimates {
  readonly #byModel = new Map<string, OutputEstimate>()

  of(model: string): OutputEstimate {
    const known = this.#byModel.get(model)
    if (known !== undefined) return known
    const estimate = new OutputEstimate()
    if (this.#byModel.size >= MAX_MODELS) {
      this.#byModel.delete(this.#byModel.keys().next().value ?? '')
    }
    this.#byModel.set(model, estimate)
    return estimate
  }

  copy(): OutputEstimates {
    const copy = new OutputEstimates()
    for (const [model, estimate] of this.#byModel) copy.#byModel.set(model, estimate.copy())
    return copy
  }
}

/** Running 95th percentile of the output tokens of the latest calls, for `reserve: expected`. */
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

  copy(): OutputEstimate {
    const copy = new OutputEstimate()
    copy.#latest.push(...this.#latest)
    copy.#seen = this.#seen
    copy.#p95 = this.#p95
    return copy
  }

  /** Never more than the worst case, which is also the answer until enough calls were seen. */
  expectedOf(worstTokens: number): number {
    return this.#seen < LEAST ? worstTokens : Math.min(worstTokens, this.#p95)
  }
}

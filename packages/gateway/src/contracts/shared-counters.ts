/** A durable counter that several processes count, as the server of the counters has it; see `CounterState`. */
export type SharedCounter = {
  readonly counterKey: string
  readonly state: string
  /** Names of the ledgers that have records of what it counts. */
  readonly ledgers: readonly string[]
}

/** All of them, read one after another while others go on counting. */
export type SharedReading = {
  /** Time of the server of the counters, ms since 1970. */
  readonly nowMs: number
  /** Counters of another one are gone, or were built up again. */
  readonly generation: string
  /** The ledger of the process that read them. Null: it keeps none. */
  readonly ledger: string | null
  readonly counters: readonly SharedCounter[]
}

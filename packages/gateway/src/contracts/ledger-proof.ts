import type { DurableCharge } from './durable-charge.ts'
import type { CounterState } from './limit.ts'

/** What the records of one era and window came to at one counter. */
export type ChargeSum = DurableCharge

/** Something in the ledger that its writer did not do. */
export type ChainFinding = {
  /** Its place in the order of commits. */
  readonly position: number
  /** Id of the record there; null when there is none. */
  readonly recordId: string | null
  readonly problem: string
}

export type ChainReading = {
  /** Records whose links were checked. */
  readonly checked: number
  /** Records of before the chain began, which nothing proves. */
  readonly unlinked: number
  readonly checkpoints: number
  /** Time of the last checkpoint; null: there is none. */
  readonly lastCheckpointAt: string | null
  /** At most a hundred. */
  readonly findings: readonly ChainFinding[]
  readonly findingsTotal: number
}

/** The whole ledger and the counters, of one moment. */
export type LedgerReading = {
  readonly records: number
  readonly counters: readonly CounterState[]
  readonly charged: readonly ChargeSum[]
  /** Null: it was not asked for. */
  readonly chain: ChainReading | null
}

/** Reads every record there is, on a thread of its own. */
export type LedgerProof = {
  read(options: { readonly chain: boolean }): Promise<LedgerReading>
  /** For the comparison with a provider's own numbers. Absent: this store does not add them up. */
  groups?(filter: UsageGroupFilter): Promise<readonly UsageGroup[]>
}

/** What was used on one day (UTC) of one model, as the provider names it. */
export type UsageGroup = {
  /** `2030-01-31`. */
  readonly day: string
  readonly model: string
  /** Null: none, or not told apart. */
  readonly project: string | null
  readonly requests: number
  /** Fresh input, without what came from or went to a cache. */
  readonly input: number
  readonly cacheRead: number
  readonly cacheWrite: number
  readonly output: number
}

export type UsageGroupFilter = {
  readonly sinceMs: number
  readonly untilMs: number
  /** Null: every provider. */
  readonly provider: string | null
  readonly byProject: boolean
}

/** The bodies of the admin API about the ledger as a whole; as in admin-api.ts. */

/** A durable counter beside what the records come to. Money in US dollars. */
export type RecountView = {
  readonly id: string
  readonly scope: string
  readonly value: string
  readonly unit: string
  readonly algorithm: string
  readonly window_start: string | null
  readonly counted: number
  /** Null: the records cannot tell; see `reason`. */
  readonly recounted: number | null
  readonly difference: number | null
  readonly reason: string | null
}

export type LedgerVerification = {
  /** No counter differs, and the chain, if it was asked for, has no finding. */
  readonly ok: boolean
  readonly records: number
  readonly counters: number
  readonly not_recounted: readonly RecountView[]
  readonly differences: readonly RecountView[]
  /** Null: it was not asked for. */
  readonly chain: ChainView | null
}

type ChainView = {
  readonly checked: number
  /** Records of before the chain, which nothing proves. */
  readonly unlinked: number
  readonly checkpoints: number
  readonly last_checkpoint_at: string | null
  /** The first hundred. */
  readonly findings: readonly {
    readonly position: number
    readonly record_id: string | null
    readonly problem: string
  }[]
  readonly findings_total: number
}

export type UsageCounts = {
  readonly requests: number
  /** Fresh input, without what came from or went to a cache. */
  readonly input: number
  readonly cache_read: number
  readonly cache_write: number
  readonly output: number
}

type MaybeRequests = Omit<UsageCounts, 'requests'> & { readonly requests: number | null }

/** One group of a provider's export. `requests` null: it does not say. */
export type ReconcileGroup = MaybeRequests & {
  /** UTC: `2030-01-31`. */
  readonly day: string
  /** As the provider names it. */
  readonly model: string
  readonly project: string | null
}

export type ReconcileBody = {
  readonly groups: readonly ReconcileGroup[]
  /** Only records of this provider. */
  readonly provider?: string
  /** Groups are told apart by project too. */
  readonly by_project?: boolean
}

export type ReconciledView = {
  readonly day: string
  readonly model: string
  readonly project: string | null
  readonly ledger: UsageCounts
  readonly provider: MaybeRequests
  /** The ledger less the provider. */
  readonly difference: MaybeRequests
}

export type LedgerReconciliation = {
  /** No group differs in tokens. */
  readonly ok: boolean
  readonly since: string
  readonly until: string
  readonly items: readonly ReconciledView[]
}

import type { VerifyPage } from './verify-ledger.ts'

/** What SQLite can bind and give back. Integers beyond 2^53 come back as bigint, so that none is rounded. */
export type SqlValue = string | number | bigint | null | Uint8Array

export type Statement = { readonly sql: string; readonly parameters: readonly SqlValue[] }

export type SqlResult = {
  readonly rows: readonly Record<string, SqlValue>[]
  readonly changes: number
}

export type EngineName = 'node:sqlite' | 'better-sqlite3'

/** Handed to a worker when it starts. */
export type WorkerSettings = {
  readonly path: string
  readonly engine: EngineName
  readonly role: 'writer' | 'reader'
  readonly durability: Durability
  /** Of the chain over the records: the first makes links, all of them prove. Empty: no chain. */
  readonly chainKeys: readonly string[]
}

/** `process`: survives a crash of the process. `full`: survives a power cut, at the price of an fsync per commit. */
export type Durability = 'process' | 'full'

export type WorkerCall =
  | { readonly kind: 'query'; readonly statement: Statement }
  /** All or none. */
  | { readonly kind: 'atomic'; readonly statements: readonly Statement[] }
  | { readonly kind: 'append'; readonly batch: AppendBatch }
  | { readonly kind: 'prune'; readonly beforeBodyId: number }
  | { readonly kind: 'verify-start' }
  | { readonly kind: 'verify-page'; readonly page: VerifyPage }
  /** Proves that a real write commits. */
  | { readonly kind: 'probe' }
  | { readonly kind: 'close' }

/**
 * Usage records as JSON, one per line, those of other processes after their `RecordFacts` and a tab; and counters as key, state, key, state.
 * Strings cross threads cheaply.
 */
export type AppendBatch = { readonly lines: string; readonly counters: readonly string[] }

export type WorkerRequest = { readonly id: number; readonly call: WorkerCall }

/** The reply with id 0 tells whether the worker could open the database. */
export type WorkerReply =
  | { readonly id: number; readonly ok: true; readonly result: SqlResult }
  | { readonly id: number; readonly ok: false; readonly reason: string; readonly message: string }

export const NO_ROWS: SqlResult = { rows: [], changes: 0 }

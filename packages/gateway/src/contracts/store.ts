import type { AnswerStore } from './answer-store.ts'
import type { KeyRecord, PolicyRecord } from './key.ts'
import type { LedgerProof } from './ledger-proof.ts'
import type { CounterState } from './limit.ts'
import type { UnreadRecord } from './unread-record.ts'
import type { UsageRecord } from './usage-record.ts'

/** What the embedded database or a server of it promises. Every member passes testing/store-contract.ts. */
export type Store = {
  readonly keys: KeyStore
  readonly policies: PolicyStore
  readonly records: RecordStore
  readonly counters: CounterStore
  readonly answers: AnswerStore
  readonly notes: NoteStore
  /** Of a store that several gateways share: the name of this one. Absent: there is only one. */
  readonly instance?: string
  /** Absent: this store cannot prove its records. */
  readonly proof?: LedgerProof
  /** Of a store that several gateways share: what others change. Absent: only this process changes it. */
  readonly changes?: ChangeFeed
  /** Of a store that several gateways share: one of them at a time runs a change. */
  readonly exclusively?: <T>(change: () => Promise<T>) => Promise<T>
  /** Throws when the store cannot answer a trivial query. */
  check(): Promise<void>
  close(): Promise<void>
}

/** Keys and policies that changed in the store, whoever changed them. */
export type ChangeFeed = {
  /** Tells until the function returned is called. A change is told within a second; one may be told twice. */
  follow(listener: ChangeListener): () => void
}

export type ChangeListener = {
  /** `all`: these are all keys there are. */
  readonly keys: (keys: readonly KeyRecord[], all: boolean) => void
  readonly policies: () => void
  /** Null: changes come again. */
  readonly problem: (problem: string | null) => void
}

export type KeyStore = {
  list(): Promise<readonly KeyRecord[]>
  get(id: string): Promise<KeyRecord | null>
  /** Ids that start with `prefix`, at most `most`. A prefix of the hash is accepted too. */
  findByPrefix(prefix: string, most: number): Promise<readonly KeyRecord[]>
  /** Throws when the id or the hash exists. */
  insert(key: KeyRecord): Promise<void>
  /** Replaces the whole record; false when the id is unknown. */
  update(key: KeyRecord): Promise<boolean>
  touch(lastUsed: readonly { readonly id: string; readonly atMs: number }[]): Promise<void>
}

export type PolicyStore = {
  list(): Promise<readonly PolicyRecord[]>
  get(name: string): Promise<PolicyRecord | null>
  put(policy: PolicyRecord): Promise<void>
  delete(name: string): Promise<boolean>
}

export type RecordFilter = {
  readonly keyId?: string
  readonly model?: string
  readonly provider?: string
  readonly project?: string
  /** A status, or a class such as `4xx`. */
  readonly status?: string
  readonly sinceMs?: number
  readonly untilMs?: number
  readonly requestId?: string
}

export type RecordPage = {
  readonly items: readonly UsageRecord[]
  readonly total: number
  /** Opaque; null at the end. */
  readonly next: string | null
}

export type UsageSum = {
  readonly input: number
  readonly output: number
  readonly cacheRead: number
  readonly cacheWrite5m: number
  readonly cacheWrite1h: number
  readonly reasoning: number
}

export type SummaryRow = {
  readonly name: string
  readonly requests: number
  readonly errors: number
  readonly usage: UsageSum
  readonly costNanoUsd: number
}

export type LedgerSummary = {
  readonly sinceMs: number | null
  readonly untilMs: number | null
  readonly requests: number
  readonly errors: number
  readonly usage: UsageSum
  readonly costNanoUsd: number
  readonly savedNanoUsd: number
  readonly byModel: readonly SummaryRow[]
  readonly byKey: readonly SummaryRow[]
  readonly byProvider: readonly SummaryRow[]
}

export type RecordStore = {
  /** Newest first. */
  list(filter: RecordFilter, page: { limit: number; cursor: string | null }): Promise<RecordPage>
  /** Oldest first, in pages, for exports. */
  iterate(filter: RecordFilter): AsyncIterable<UsageRecord>
  summary(filter: RecordFilter): Promise<LedgerSummary>
  /** Deletes records that started before; returns how many. */
  prune(beforeMs: number): Promise<number>
}

export type CounterStore = {
  list(): Promise<readonly CounterState[]>
  put(states: readonly CounterState[]): Promise<void>
}

/** A small fact that outlives the process: what routing learned, a target that is set aside. `body`: JSON. */
export type Note = { readonly name: string; readonly body: string; readonly updatedAtMs: number }

/** Facts of one kind have names of their own. Gateways that share a store share them. */
export type NoteStore = {
  /** All of a kind, by name. */
  list(kind: string): Promise<readonly Note[]>
  get(kind: string, name: string): Promise<Note | null>
  /** Replaces those of the same name; all or none. */
  put(kind: string, notes: readonly Note[]): Promise<void>
  delete(kind: string, name: string): Promise<boolean>
  /** Deletes those last written before; returns how many. */
  prune(kind: string, beforeMs: number): Promise<number>
}

/**
 * The one writer of the ledger. `append` resolves when the record is in the operating system's hands (committed, so that
 * `kill -9` loses nothing), and rejects when it cannot be written.
 */
export type LedgerWriter = {
  append(record: UsageRecord | UnreadRecord): Promise<void>
  /** Counters to commit together with the records; asked once per transaction. */
  countersFrom(source: () => readonly CounterState[]): void
  /** Records accepted but not yet committed, oldest first, so that queries can see the tail. */
  pending(): readonly UsageRecord[]
  /** Told of each transaction's records. Absent: this ledger keeps what it accepted by itself. */
  readonly onCommitted?: (listener: (records: readonly UsageRecord[]) => void) => void
  /** False while the last commit failed: spending is refused until one succeeds. */
  healthy(): boolean
  /** Of a ledger that keeps records on this machine until a database takes them. Absent: it does not. */
  readonly backlog?: () => LedgerBacklog
  /** Resolves when everything accepted so far is committed. */
  flush(): Promise<void>
  close(): Promise<void>
}

/** What waits on this machine for the database. */
export type LedgerBacklog = {
  readonly records: number
  /** On disk; `maxBytes`: no new spending is admitted from there on. */
  readonly bytes: number
  readonly maxBytes: number
  readonly oldestAtMs: number | null
  /** Why the database takes nothing; null while it does. */
  readonly problem: string | null
}

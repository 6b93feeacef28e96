import type { RecordColumns } from '../record-columns.ts'

/** Rows as Postgres holds them, in the schema `tollgate`. Times: integer ms since 1970. Money: integer nano-US-dollars. */
export type Tables = {
  'tollgate.keys': KeyRow
  'tollgate.policies': PolicyRow
  'tollgate.records': RecordColumns
  'tollgate.record_bodies': { id: string; body: string }
  'tollgate.counters': { instance: string; counter_key: string; state: string }
  'tollgate.pruned_charges': { counter_key: string; era: number; at: number; amount: number }
  'tollgate.notes': { kind: string; name: string; body: string; updated_at_ms: number }
  'tollgate.answers': AnswerRow
  'tollgate.revisions': { name: string; revision: number }
}

/** The whole key is the JSON in `body`, but for its last use, which changes often and by itself. */
export type KeyRow = {
  id: string
  hash: string
  revoked_at_ms: number | null
  last_used_at_ms: number | null
  body: string
  revision: number
}

export type PolicyRow = {
  name: string
  body: string
}

/** `head` null: a claim. */
type AnswerRow = {
  id: string
  fingerprint: string
  owner: string
  head: string | null
  body: Buffer | null
  size_bytes: number
  expires_at_ms: number
  kept_at_ms: number
}

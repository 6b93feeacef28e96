import type { RecordColumns } from '../record-columns.ts'

/** Rows as SQLite holds them. Times: integer ms since 1970. Money: integer nano-US-dollars. Booleans: 0 or 1. */
export type Tables = {
  keys: KeyRow
  policies: PolicyRow
  records: RecordRow
  record_bodies: { body_id: number; body: string; link: Uint8Array | null }
  counters: { counter_key: string; state: string }
  answers: AnswerRow
  notes: { kind: string; name: string; body: string; updated_at_ms: number }
}

export type KeyRow = {
  id: string
  name: string
  last4: string
  hash: string
  previous_hash: string | null
  previous_hash_until_ms: number | null
  created_at_ms: number
  created_by: string
  updated_at_ms: number
  last_used_at_ms: number | null
  expires_at_ms: number | null
  enabled: number
  revoked_at_ms: number | null
  rotate_every_ms: number | null
  rotated_at_ms: number | null
  scopes: string
  team: string | null
  rolegroup: string | null
  role: string | null
  user: string | null
  policy: string
  policies: string
  metadata: string
}

export type PolicyRow = {
  name: string
  policy: string
  created_at_ms: number
  updated_at_ms: number
}

/** The whole record is the JSON in `record_bodies`. */
type RecordRow = RecordColumns & { body_id: number }

type AnswerRow = {
  id: string
  fingerprint: string
  head: string
  body: Uint8Array | null
  size_bytes: number
  expires_at_ms: number
  kept_at_ms: number
}

/** Rows as SQLite holds them. Times: integer ms since 1970. Money: integer nano-US-dollars. Booleans: 0 or 1. */
export type Tables = {
  keys: KeyRow
  policies: PolicyRow
  records: RecordRow
  record_bodies: { body_id: number; body: string }
  counters: { counter_key: string; state: string }
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

/** What records are filtered, sorted and added up by. The whole record is the JSON in `record_bodies`. */
export type RecordRow = {
  started_at_ms: number
  id: string
  request_id: string
  key_id: string | null
  team: string | null
  user: string | null
  project: string | null
  endpoint: string
  model: string | null
  provider: string | null
  status: number
  error_class: string | null
  input_tokens: number | null
  output_tokens: number | null
  cache_read_tokens: number | null
  cache_write_5m_tokens: number | null
  cache_write_1h_tokens: number | null
  reasoning_tokens: number | null
  cost_nanousd: number | null
  saved_nanousd: number
  latency_ms: number
  body_id: number
}

/** What records are filtered, sorted and added up by. Times: integer ms since 1970. Money: integer nano-US-dollars. */
export type RecordColumns = {
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
}

type ColumnReader = (
  record: Record<string, unknown>,
  usage: Record<string, unknown>,
) => string | number | null

/**
 * Every column of `records`, from the record's JSON. Values of a wrong type become null, `''` or 0, so that no single
 * record can make the whole batch fail.
 */
export const RECORD_COLUMNS: { readonly [Name in keyof RecordColumns]: ColumnReader } = {
  started_at_ms: (record) => integer(record['startedAtMs']) ?? 0,
  id: (record) => text(record['id']) ?? '',
  request_id: (record) => text(record['requestId']) ?? '',
  key_id: (record) => text(record['keyId']),
  team: (record) => text(record['team']),
  user: (record) => text(record['user']),
  project: (record) => text(record['project']),
  endpoint: (record) => text(record['endpoint']) ?? '',
  model: (record) => text(record['model']),
  provider: (record) => text(record['provider']),
  status: (record) => integer(record['status']) ?? 0,
  error_class: (record) => text(record['errorClass']),
  input_tokens: (_, usage) => integer(usage['inputTokens']),
  output_tokens: (_, usage) => integer(usage['outputTokens']),
  cache_read_tokens: (_, usage) => integer(usage['cacheReadTokens']),
  cache_write_5m_tokens: (_, usage) => integer(usage['cacheWrite5mTokens']),
  cache_write_1h_tokens: (_, usage) => integer(usage['cacheWrite1hTokens']),
  reasoning_tokens: (_, usage) => integer(usage['reasoningTokens']),
  cost_nanousd: (record) => integer(record['costNanoUsd']),
  saved_nanousd: (record) => integer(record['savedNanoUsd']) ?? 0,
  latency_ms: (record) => integer(record['latencyMs']) ?? 0,
}

/** What a column holds that the record does not tell. */
const ABSENT = Object.values(RECORD_COLUMNS).map((read) => read({}, {}))

/** The same from `RecordFacts` as JSON, which begin with the columns in their order. */
export function columnsOfFacts(json: string): (string | number | null)[] {
  const facts: readonly unknown[] = JSON.parse(json)
  return ABSENT.map((absent, i) => text(facts[i]) ?? integer(facts[i]) ?? absent)
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

function integer(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? Math.round(value) : null
}

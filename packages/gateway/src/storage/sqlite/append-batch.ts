import { isRecord } from '../../lib/is-record.ts'
import type { Engine } from './engine.ts'
import type { AppendBatch, SqlValue } from './messages.ts'
import type { RecordRow } from './tables.ts'

type ColumnReader = (record: Record<string, unknown>, usage: Record<string, unknown>) => SqlValue

/**
 * Every column of `records`, from the record's JSON. Values of a wrong type become null, `''` or 0, so that no single
 * record can make the whole batch fail.
 */
const COLUMNS: { readonly [Name in Exclude<keyof RecordRow, 'body_id'>]: ColumnReader } = {
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
const READERS = Object.values(COLUMNS)

/**
 * Compiles the ledger's statements. The returned function writes one batch in one transaction and throws, having
 * written nothing, when it cannot. A record whose id is known is left as it is: appending twice is harmless.
 */
export function compileAppend(engine: Engine): (batch: AppendBatch) => void {
  const begin = engine.prepare('BEGIN IMMEDIATE')
  const commit = engine.prepare('COMMIT')
  const names = Object.keys(COLUMNS).join(', ')
  const marks = READERS.map(() => '?').join(', ')
  const insertBody = engine.prepare('INSERT INTO record_bodies (body) VALUES (?)')
  const insertRow = engine.prepare(
    `INSERT INTO records (${names}, body_id) VALUES (${marks}, last_insert_rowid())
     ON CONFLICT DO NOTHING`,
  )
  const dropBody = engine.prepare(
    'DELETE FROM record_bodies WHERE body_id = (SELECT max(body_id) FROM record_bodies)',
  )
  const putCounter = engine.prepare(
    'INSERT INTO counters (counter_key, state) VALUES (?, ?) ON CONFLICT (counter_key) DO UPDATE SET state = excluded.state',
  )
  return ({ lines, counters }) => {
    begin([])
    try {
      for (const line of lines === '' ? [] : lines.split('\n')) {
        const record: unknown = JSON.parse(line)
        if (!isRecord(record)) continue
        const usage = isRecord(record['usage']) ? record['usage'] : {}
        insertBody([line])
        const isNew = insertRow(READERS.map((read) => read(record, usage))) > 0
        if (!isNew) dropBody([])
      }
      for (let i = 0; i + 1 < counters.length; i += 2) {
        putCounter([counters[i] ?? '', counters[i + 1] ?? ''])
      }
      commit([])
    } catch (thrown) {
      if (engine.inTransaction()) engine.execute('ROLLBACK')
      throw thrown
    }
  }
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

function integer(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? Math.round(value) : null
}

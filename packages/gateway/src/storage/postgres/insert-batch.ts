import type { Client } from 'pg'
import { isRecord } from '../../lib/is-record.ts'
import { RECORD_COLUMNS } from '../record-columns.ts'
import { toIndexedText } from './record-filter.ts'
import { toText } from './to-text.ts'

/** Records as JSON lines, and counters as key, state, key, state. */
export type Batch = { readonly lines: readonly string[]; readonly counters: readonly string[] }

const COLUMNS = Object.entries(RECORD_COLUMNS)
const NUMBERS: ReadonlySet<string> = new Set(
  COLUMNS.map(([name]) => name).filter((name) => /_(ms|tokens|nanousd)$|^status$/.test(name)),
)
const NAMES = COLUMNS.map(([name]) => `"${name}"`).join(', ')
const ARRAYS = COLUMNS.map(([name], i) => `$${i + 5}::${NUMBERS.has(name) ? 'bigint' : 'text'}[]`)

/**
 * One statement, so one transaction and one round trip. A record whose id is known is left as it is: a batch that is
 * sent twice is written once.
 */
const INSERT = `
  WITH bodies AS (
    INSERT INTO tollgate.record_bodies (id, body) SELECT * FROM unnest($${COLUMNS.length + 5}::text[], $1::text[])
    ON CONFLICT DO NOTHING
  ), counted AS (
    INSERT INTO tollgate.counters (instance, counter_key, state)
    SELECT $2, * FROM unnest($3::text[], $4::text[])
    ON CONFLICT (instance, counter_key) DO UPDATE SET state = excluded.state
  )
  INSERT INTO tollgate.records (${NAMES}) SELECT * FROM unnest(${ARRAYS.join(', ')})
  ON CONFLICT DO NOTHING`

export async function insertBatch(client: Client, instance: string, batch: Batch): Promise<void> {
  const rows = batch.lines.map(readLine).filter((row) => row !== null)
  const counters = new Map<string, string>()
  for (let i = 0; i + 1 < batch.counters.length; i += 2) {
    counters.set(toText(batch.counters[i] ?? ''), toText(batch.counters[i + 1] ?? ''))
  }
  const columns = COLUMNS.map(([name, read]) => {
    const isNumber = NUMBERS.has(name)
    return rows.map(({ record, usage }) => {
      const value = read(record, usage)
      return isNumber ? exact(value, name) : typeof value === 'string' ? toIndexedText(value) : null
    })
  })
  await client.query(INSERT, [
    rows.map(({ line }) => line),
    instance,
    [...counters.keys()],
    [...counters.values()],
    ...columns,
    rows.map(({ record }) => toIndexedText(String(record['id']))),
  ])
}

type Row = {
  readonly line: string
  readonly record: Record<string, unknown>
  readonly usage: Record<string, unknown>
}

function readLine(line: string): Row | null {
  const record: unknown = JSON.parse(line)
  if (!isRecord(record)) return null
  return { line, record, usage: isRecord(record['usage']) ? record['usage'] : {} }
}

/** Columns that must have a value. */
const REQUIRED: ReadonlySet<string> = new Set([
  'started_at_ms',
  'status',
  'saved_nanousd',
  'latency_ms',
])

function exact(value: unknown, name: string): number | null {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  return REQUIRED.has(name) ? 0 : null
}

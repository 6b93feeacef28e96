import { isRecord } from '../../lib/is-record.ts'
import type { Engine } from './engine.ts'
import type { AppendBatch } from './messages.ts'
import { RECORD_COLUMNS } from '../record-columns.ts'

const READERS = Object.values(RECORD_COLUMNS)

/**
 * Compiles the ledger's statements. The returned function writes one batch in one transaction and throws, having
 * written nothing, when it cannot. A record whose id is known is left as it is: appending twice is harmless.
 */
export function compileAppend(engine: Engine): (batch: AppendBatch) => void {
  const begin = engine.prepare('BEGIN IMMEDIATE')
  const commit = engine.prepare('COMMIT')
  const names = Object.keys(RECORD_COLUMNS).join(', ')
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

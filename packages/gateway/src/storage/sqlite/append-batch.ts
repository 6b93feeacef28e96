import { isRecord } from '../../lib/is-record.ts'
import { RECORD_COLUMNS } from '../record-columns.ts'
import type { Engine } from './engine.ts'
import type { AppendBatch } from './messages.ts'
import { chainHead, type ChainPoint, linkAfter } from './record-chain.ts'

const READERS = Object.values(RECORD_COLUMNS)

/**
 * Compiles the ledger's statements. The returned function writes one batch in one transaction and throws, having
 * written nothing, when it cannot. A record whose id is known is left as it is: appending twice is harmless. It returns
 * the last link of the chain; without a key, links are null.
 */
export function compileAppend(
  engine: Engine,
  chainKey: string | null,
): (batch: AppendBatch) => ChainPoint {
  const begin = engine.prepare('BEGIN IMMEDIATE')
  const commit = engine.prepare('COMMIT')
  const names = Object.keys(RECORD_COLUMNS).join(', ')
  const marks = READERS.map(() => '?').join(', ')
  const insertBody = engine.prepare(
    'INSERT INTO record_bodies (body_id, body, link) VALUES (?, ?, ?)',
  )
  const insertRow = engine.prepare(
    `INSERT INTO records (${names}, body_id) VALUES (${marks}, ?) ON CONFLICT DO NOTHING`,
  )
  const putCounter = engine.prepare(
    'INSERT INTO counters (counter_key, state) VALUES (?, ?) ON CONFLICT (counter_key) DO UPDATE SET state = excluded.state',
  )

  function append(line: string, head: ChainPoint): ChainPoint {
    const record: unknown = JSON.parse(line)
    if (!isRecord(record)) return head
    const usage = isRecord(record['usage']) ? record['usage'] : {}
    const bodyId = head.bodyId + 1
    const isNew = insertRow([...READERS.map((read) => read(record, usage)), bodyId]) > 0
    if (!isNew) return head
    const link = chainKey === null ? null : linkAfter(chainKey, head.link, line)
    insertBody([bodyId, line, link])
    return { bodyId, link: link ?? head.link }
  }

  return ({ lines, counters }) => {
    begin([])
    try {
      let head = chainHead(engine, chainKey)
      for (const line of lines === '' ? [] : lines.split('\n')) head = append(line, head)
      for (let i = 0; i + 1 < counters.length; i += 2) {
        putCounter([counters[i] ?? '', counters[i + 1] ?? ''])
      }
      commit([])
      return head
    } catch (thrown) {
      if (engine.inTransaction()) engine.execute('ROLLBACK')
      throw thrown
    }
  }
}

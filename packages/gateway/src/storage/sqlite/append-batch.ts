import { isRecord } from '../../lib/is-record.ts'
import { columnsOfFacts, RECORD_COLUMNS } from '../record-columns.ts'
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
    const tab = line.indexOf('\t')
    const values = tab === -1 ? valuesOfRecord(line) : columnsOfFacts(line.slice(0, tab))
    if (values === null) return head
    const body = line.slice(tab + 1)
    const bodyId = head.bodyId + 1
    values.push(bodyId)
    if (insertRow(values) === 0) return head
    const link = chainKey === null ? null : linkAfter(chainKey, head.link, body)
    insertBody([bodyId, body, link])
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

/** Null: it is none. */
function valuesOfRecord(line: string): (string | number | null)[] | null {
  const record: unknown = JSON.parse(line)
  if (!isRecord(record)) return null
  const usage = isRecord(record['usage']) ? record['usage'] : {}
  return READERS.map((read) => read(record, usage))
}

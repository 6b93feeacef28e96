import { ChargeSums } from '../charge-sums.ts'
import { RECORD_COLUMNS } from '../record-columns.ts'
import type { Engine } from './engine.ts'
import { parseObject } from './json-columns.ts'
import type { SqlResult, SqlValue } from './messages.ts'
import { chainStart, linkAfter, pointMac, readCheckpoints, sameLink } from './record-chain.ts'

/** Records per call: some 20 ms of the reader's thread, so that other queries get their turn. */
const PAGE_ROWS = 2000
const READERS = Object.entries(RECORD_COLUMNS)

export type VerifySettings = { readonly chainKeys: readonly string[]; readonly checkpoints: string }

type Row = Record<string, SqlValue>

/** Of one moment: counters, the sums of what was pruned, and how far the records go. Rows tell their kind by their names. */
export function startVerify(engine: Engine, settings: VerifySettings): SqlResult {
  engine.execute('BEGIN')
  try {
    const start = chainStart(engine)
    const genuine =
      start === null ||
      settings.chainKeys.some((key) => sameLink(pointMac(key, 'start', start), start.mac))
    const meta = engine.query(
      'SELECT coalesce(max(body_id), 0) AS last, coalesce(min(body_id), 1) AS first, count(*) AS bodies, (SELECT count(*) FROM records) AS records FROM record_bodies',
      [],
    ).rows
    const from = {
      start: start?.bodyId ?? -1,
      link: start?.link ?? null,
      genuine: genuine ? 1 : 0,
    }
    const rows: Row[] = meta.map((row) => Object.assign({}, row, from))
    rows.push(...engine.query('SELECT counter_key, state FROM counters', []).rows)
    rows.push(
      ...engine.query('SELECT counter_key AS counter, era, at, amount FROM pruned_charges', [])
        .rows,
    )
    for (const { at, bodyId, link, valid } of readCheckpoints(
      settings.checkpoints,
      settings.chainKeys,
    )) {
      rows.push({ checkpoint: bodyId, at, link, valid: valid ? 1 : 0 })
    }
    return { rows, changes: 0 }
  } finally {
    engine.execute('COMMIT')
  }
}

export type VerifyPage = {
  /** Place of the last record that was read. */
  readonly after: number
  readonly until: number
  /** Of that record; null: the next one is not linked, or links are not asked for. */
  readonly link: Uint8Array | null
  /** The chain begins after this place. */
  readonly start: number
}

/** One page of records in the order of their commits: first where the next page goes on, then sums, links and findings. */
export function verifyPage(
  engine: Engine,
  page: VerifyPage,
  { chainKeys }: VerifySettings,
): SqlResult {
  const { rows } = engine.query(
    'SELECT body_id, body, link FROM record_bodies WHERE body_id > ? AND body_id <= ? ORDER BY body_id LIMIT ?',
    [page.after, page.until, PAGE_ROWS],
  )
  const sums = new ChargeSums()
  const found: Row[] = []
  let { after } = page
  let link = page.link
  for (const row of rows) {
    const position = Number(row['body_id'])
    const body = String(row['body'])
    const record = readBody(body)
    if (record === null) found.push(finding(position, null, 'the record is not readable'))
    else {
      sums.addRecord(record)
      const wrong = columnProblem(engine, position, record)
      if (wrong !== null) found.push(finding(position, String(record['id']), wrong))
    }
    if (page.link !== null && position > page.start) {
      const own = row['link'] instanceof Uint8Array ? row['link'] : null
      const problem = linkProblem(
        { before: link, own, body, gap: position !== after + 1 },
        chainKeys,
      )
      if (problem !== null)
        found.push(finding(position, record === null ? null : String(record['id']), problem))
      link = own ?? new Uint8Array(0)
      found.push({ linked: position, link: own })
    }
    after = position
  }
  const next: Row = { after, link, read: rows.length, more: rows.length === PAGE_ROWS ? 1 : 0 }
  return { rows: [next, ...sums.all().map((sum) => Object.assign({}, sum)), ...found], changes: 0 }
}

function linkProblem(
  at: { before: Uint8Array | null; own: Uint8Array | null; body: string; gap: boolean },
  keys: readonly string[],
): string | null {
  const { before, own, body, gap } = at
  if (own === null) return 'the record has no link: it was not written by the gateway'
  const fits = keys.some((key) => sameLink(linkAfter(key, before ?? new Uint8Array(0), body), own))
  if (fits) return null
  return gap
    ? 'records before this one are missing'
    : 'the record was edited, inserted or moved, or the one before it was'
}

/** The columns that sums and filters read must say what the record says. */
function columnProblem(
  engine: Engine,
  position: number,
  record: Record<string, unknown>,
): string | null {
  const usage = record['usage']
  const kinds = typeof usage === 'object' && usage !== null ? { ...usage } : {}
  const [row] = engine.query('SELECT * FROM records WHERE started_at_ms = ? AND id = ?', [
    Number(record['startedAtMs']),
    String(record['id']),
  ]).rows
  if (row === undefined || row['body_id'] !== position) return 'the row of the record is missing'
  const other = READERS.find(([name, read]) => row[name] !== read(record, kinds))
  return other === undefined ? null : `the column ${other[0]} does not say what the record says`
}

function readBody(body: string): Record<string, unknown> | null {
  try {
    return { ...parseObject(body) }
  } catch {
    return null
  }
}

function finding(position: number, recordId: string | null, problem: string): Row {
  return { position, record_id: recordId, problem }
}

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { RecordFilter, RecordPage, RecordStore } from '../../contracts/store.ts'
import type { UsageRecord } from '../../contracts/usage-record.ts'
import { type Cursor, readCursor, writeCursor } from '../filter-values.ts'
import { filterConditions } from './record-filter.ts'
import { summarise } from './record-summary.ts'
import { mapInTurns, type SqliteAccess } from './sqlite-access.ts'

const EXPORT_PAGE_ROWS = 200

export function recordStore(access: SqliteAccess): RecordStore {
  return {
    list: (filter, page) => list(access, filter, page),
    iterate: (filter) => iterate(access, filter),
    async summary(filter) {
      await access.settled()
      return summarise(access.read, filter)
    },
    prune: (beforeMs) => prune(access, beforeMs),
  }
}

async function list(
  access: SqliteAccess,
  filter: RecordFilter,
  page: { limit: number; cursor: string | null },
): Promise<RecordPage> {
  const cursor = page.cursor === null ? null : readCursor(page.cursor)
  await access.settled()
  const counted = access.read
    .selectFrom('records')
    .select((select) => select.fn.countAll<number>().as('total'))
    .where((where) => where.and(filterConditions(where, filter)))
    .executeTakeFirst()
  const [rows, count] = await Promise.all([
    pageQuery(access, filter, { cursor, direction: 'desc', limit: page.limit + 1 }),
    counted,
  ])
  const items = await mapInTurns(rows.slice(0, page.limit), ({ body }) => parseRecord(body))
  const last = items.at(-1)
  return {
    items,
    total: count?.total ?? 0,
    next: rows.length > page.limit && last !== undefined ? writeCursor(last) : null,
  }
}

type PageRequest = {
  readonly cursor: Cursor | null
  readonly direction: 'asc' | 'desc'
  readonly limit: number
}

function pageQuery(
  { read }: SqliteAccess,
  filter: RecordFilter,
  { cursor, direction, limit }: PageRequest,
): Promise<{ body: string }[]> {
  return read
    .selectFrom('records')
    .innerJoin('record_bodies', 'record_bodies.body_id', 'records.body_id')
    .select('record_bodies.body')
    .where((where) =>
      where.and([
        ...filterConditions(where, filter),
        ...(cursor === null
          ? []
          : [
              where(
                where.refTuple('records.started_at_ms', 'records.id'),
                direction === 'desc' ? '<' : '>',
                where.tuple(cursor.startedAtMs, cursor.id),
              ),
            ]),
      ]),
    )
    .orderBy('records.started_at_ms', direction)
    .orderBy('records.id', direction)
    .limit(limit)
    .execute()
}

async function* iterate(access: SqliteAccess, filter: RecordFilter): AsyncGenerator<UsageRecord> {
  await access.settled()
  let cursor: Cursor | null = null
  for (;;) {
    const request: PageRequest = { cursor, direction: 'asc', limit: EXPORT_PAGE_ROWS }
    const rows = await pageQuery(access, filter, request)
    for (const { body } of rows) {
      const record = parseRecord(body)
      yield record
      cursor = record
    }
    if (rows.length < EXPORT_PAGE_ROWS) return
    await nextTurn()
  }
}

/** In the order of commits up to the first record that is kept: the chain over the records stays whole. */
async function prune(access: SqliteAccess, beforeMs: number): Promise<number> {
  await access.settled()
  const first = await access.read
    .selectFrom('records')
    .select((select) => select.fn.min<number | null>('body_id').as('kept'))
    .where('started_at_ms', '>=', beforeMs)
    .executeTakeFirst()
  const last = await access.read
    .selectFrom('record_bodies')
    .select((select) => select.fn.max<number | null>('body_id').as('last'))
    .executeTakeFirst()
  const kept = first?.kept ?? (last?.last ?? 0) + 1
  for (let pruned = 0; ; ) {
    const changes = await access.prune(kept)
    if (changes === 0) return pruned
    pruned += changes
  }
}

/** Bodies were written by this program from a UsageRecord. */
function parseRecord(body: string): UsageRecord {
  const record: UsageRecord = JSON.parse(body)
  return record
}

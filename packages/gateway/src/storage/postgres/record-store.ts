import { setImmediate as nextTurn } from 'node:timers/promises'
import type { RecordFilter, RecordPage, RecordStore } from '../../contracts/store.ts'
import type { UsageRecord } from '../../contracts/usage-record.ts'
import { type Cursor, readCursor, writeCursor } from '../filter-values.ts'
import type { PostgresAccess } from './access.ts'
import { filterConditions } from './record-filter.ts'
import { pruneRecords } from './prune-records.ts'
import { summarise } from './record-summary.ts'
import { withRetries } from './store-errors.ts'
import { toText } from './to-text.ts'

const EXPORT_PAGE_ROWS = 200

export function recordStore(access: PostgresAccess): RecordStore {
  return {
    list: (filter, page) => list(access, filter, page),
    iterate: (filter) => iterate(access, filter),
    async summary(filter) {
      await access.settled()
      return await withRetries(() => summarise(access.database, filter))
    },
    async prune(beforeMs) {
      await access.settled()
      return await pruneRecords(access.database, beforeMs)
    },
  }
}

async function list(
  access: PostgresAccess,
  filter: RecordFilter,
  page: { limit: number; cursor: string | null },
): Promise<RecordPage> {
  const cursor = page.cursor === null ? null : readCursor(page.cursor)
  const counted = access.database
    .selectFrom('tollgate.records')
    .select((select) => select.fn.countAll<number>().as('total'))
    .where((where) => where.and(filterConditions(where, filter)))
  await access.settled()
  const [rows, count] = await Promise.all([
    pageOf(access, filter, { cursor, direction: 'desc', limit: page.limit + 1 }),
    withRetries(() => counted.executeTakeFirst()),
  ])
  const items = rows.slice(0, page.limit).map(({ body }) => parseRecord(body))
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

function pageOf(
  { database }: PostgresAccess,
  filter: RecordFilter,
  { cursor, direction, limit }: PageRequest,
): Promise<{ body: string }[]> {
  const query = database
    .selectFrom('tollgate.records')
    .innerJoin('tollgate.record_bodies', 'tollgate.record_bodies.id', 'tollgate.records.id')
    .select('tollgate.record_bodies.body')
    .where((where) =>
      where.and([
        ...filterConditions(where, filter),
        ...(cursor === null
          ? []
          : [
              where(
                where.refTuple('tollgate.records.started_at_ms', 'tollgate.records.id'),
                direction === 'desc' ? '<' : '>',
                where.tuple(cursor.startedAtMs, toText(cursor.id)),
              ),
            ]),
      ]),
    )
    .orderBy('tollgate.records.started_at_ms', direction)
    .orderBy('tollgate.records.id', direction)
    .limit(limit)
  return withRetries(() => query.execute())
}

async function* iterate(access: PostgresAccess, filter: RecordFilter): AsyncGenerator<UsageRecord> {
  await access.settled()
  let cursor: Cursor | null = null
  for (;;) {
    const request: PageRequest = { cursor, direction: 'asc', limit: EXPORT_PAGE_ROWS }
    const rows = await pageOf(access, filter, request)
    for (const { body } of rows) {
      const record = parseRecord(body)
      yield record
      cursor = record
    }
    if (rows.length < EXPORT_PAGE_ROWS) return
    await nextTurn()
  }
}

/** Bodies were written by this program from a UsageRecord. */
function parseRecord(body: string): UsageRecord {
  const record: UsageRecord = JSON.parse(body)
  return record
}

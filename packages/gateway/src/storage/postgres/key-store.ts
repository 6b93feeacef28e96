import { sql } from 'kysely'
import type { KeyRecord } from '../../contracts/key.ts'
import type { KeyStore } from '../../contracts/store.ts'
import type { PostgresAccess } from './access.ts'
import { toStoreError, withRetries } from './store-errors.ts'
import type { KeyRow } from './tables.ts'
import { toText } from './to-text.ts'

/** More at once would hold the event loop too long. */
const PAGE_ROWS = 500
/** Sorts after every character of ids and hashes. */
const LAST_CHARACTER = '\u{10FFFF}'

type StoredKey = Pick<KeyRow, 'body' | 'last_used_at_ms'>

export function keyStore({ database, changed }: PostgresAccess): KeyStore {
  const find = async (id: string): Promise<StoredKey | undefined> =>
    await database
      .selectFrom('tollgate.keys')
      .select(['body', 'last_used_at_ms'])
      .where('id', '=', toText(id))
      .executeTakeFirst()

  /** Twice the same insert is one insert, when it may be our own that was answered too late. */
  async function insertOnce(key: KeyRecord, again: boolean): Promise<void> {
    const row = { ...toRow(key), last_used_at_ms: key.lastUsedAtMs, revision: 0 }
    try {
      await database.insertInto('tollgate.keys').values(row).execute()
    } catch (thrown) {
      if (!again || toStoreError(thrown).reason !== 'duplicate') throw thrown
      if ((await find(key.id))?.body !== row.body) throw thrown
    }
  }

  return {
    list: () => withRetries(() => listAll(database)),
    async get(id) {
      const row = await withRetries(() => find(id))
      return row === undefined ? null : toKeyRecord(row)
    },
    async findByPrefix(prefix, most) {
      const from = toText(prefix)
      const to = from + LAST_CHARACTER
      const rows = await withRetries(() =>
        database
          .selectFrom('tollgate.keys')
          .select(['body', 'last_used_at_ms'])
          .where((where) =>
            where.or([
              where.and([where('id', '>=', from), where('id', '<', to)]),
              where.and([where('hash', '>=', from), where('hash', '<', to)]),
            ]),
          )
          .orderBy('id')
          .limit(most)
          .execute(),
      )
      return rows.map(toKeyRecord)
    },
    async insert(key) {
      await withRetries((again) => insertOnce(key, again))
      changed()
    },
    async update(key) {
      const { id, ...columns } = toRow(key)
      const result = await withRetries(() =>
        database
          .updateTable('tollgate.keys')
          .set({ ...columns, last_used_at_ms: key.lastUsedAtMs })
          .where('id', '=', id)
          .executeTakeFirst(),
      )
      changed()
      return result.numUpdatedRows > 0n
    },
    async touch(lastUsed) {
      if (lastUsed.length === 0) return
      // In the order of the ids, so that two gateways cannot wait for each other.
      const sorted = lastUsed.toSorted((a, b) => (a.id < b.id ? -1 : 1))
      const ids = sorted.map(({ id }) => toText(id))
      const times = sorted.map(({ atMs }) => atMs)
      await withRetries(() =>
        sql`
          UPDATE tollgate.keys SET last_used_at_ms = greatest(last_used_at_ms, used.at_ms)
          FROM unnest(${ids}::text[], ${times}::bigint[]) AS used (id, at_ms)
          WHERE keys.id = used.id`.execute(database),
      )
    },
  }
}

async function listAll(database: PostgresAccess['database']): Promise<KeyRecord[]> {
  const keys: KeyRecord[] = []
  for (let after = ''; ; ) {
    const rows = await database
      .selectFrom('tollgate.keys')
      .select(['id', 'body', 'last_used_at_ms'])
      .where('id', '>', after)
      .orderBy('id')
      .limit(PAGE_ROWS)
      .execute()
    for (const row of rows) keys.push(toKeyRecord(row))
    const last = rows.at(-1)
    if (last === undefined || rows.length < PAGE_ROWS) return keys
    after = last.id
  }
}

function toRow(key: KeyRecord): Pick<KeyRow, 'id' | 'hash' | 'revoked_at_ms' | 'body'> {
  return {
    id: toText(key.id),
    hash: toText(key.hash),
    revoked_at_ms: key.revokedAtMs,
    body: JSON.stringify({ ...key, lastUsedAtMs: null }),
  }
}

/** Bodies were written by this program from a KeyRecord. */
export function toKeyRecord(row: StoredKey): KeyRecord {
  const key: KeyRecord = JSON.parse(row.body)
  return { ...key, lastUsedAtMs: row.last_used_at_ms }
}

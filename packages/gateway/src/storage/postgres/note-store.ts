import { sql } from 'kysely'
import type { NoteStore } from '../../contracts/store.ts'
import type { PostgresAccess } from './access.ts'
import { withRetries } from './store-errors.ts'
import { toText } from './to-text.ts'

export function noteStore({ database }: PostgresAccess): NoteStore {
  const ofKind = (kind: string) =>
    database
      .selectFrom('tollgate.notes')
      .select(['name', 'body', 'updated_at_ms as updatedAtMs'])
      .where('kind', '=', toText(kind))
  return {
    list: (kind) => withRetries(() => ofKind(kind).orderBy('name').execute()),
    async get(kind, name) {
      const query = ofKind(kind).where('name', '=', toText(name))
      return (await withRetries(() => query.executeTakeFirst())) ?? null
    },
    async put(kind, notes) {
      if (notes.length === 0) return
      const rows = notes.map(({ name, body, updatedAtMs }) => ({
        kind: toText(kind),
        name: toText(name),
        body: toText(body),
        updated_at_ms: updatedAtMs,
      }))
      await withRetries(() =>
        database
          .insertInto('tollgate.notes')
          .values(rows)
          .onConflict((conflict) =>
            conflict.columns(['kind', 'name']).doUpdateSet({
              body: sql.ref('excluded.body'),
              updated_at_ms: sql.ref('excluded.updated_at_ms'),
            }),
          )
          .execute(),
      )
    },
    async delete(kind, name) {
      const query = database
        .deleteFrom('tollgate.notes')
        .where('kind', '=', toText(kind))
        .where('name', '=', toText(name))
      return (await withRetries(() => query.executeTakeFirst())).numDeletedRows > 0n
    },
    async prune(kind, beforeMs) {
      const query = database
        .deleteFrom('tollgate.notes')
        .where('kind', '=', toText(kind))
        .where('updated_at_ms', '<', beforeMs)
      return Number((await withRetries(() => query.executeTakeFirst())).numDeletedRows)
    },
  }
}

import type { Note, NoteStore } from '../../contracts/store.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import { toStatement } from './worker-dialect.ts'

export function noteStore({ read, write, writeAtomically }: SqliteAccess): NoteStore {
  const ofKind = (kind: string) =>
    read
      .selectFrom('notes')
      .select(['name', 'body', 'updated_at_ms as updatedAtMs'])
      .where('kind', '=', kind)
  return {
    list: (kind) => ofKind(kind).orderBy('name').execute(),
    async get(kind, name) {
      return (await ofKind(kind).where('name', '=', name).executeTakeFirst()) ?? null
    },
    async put(kind, notes) {
      if (notes.length === 0) return
      const one = ({ name, body, updatedAtMs }: Note) =>
        write
          .insertInto('notes')
          .values({ kind, name, body, updated_at_ms: updatedAtMs })
          .onConflict((conflict) =>
            conflict.columns(['kind', 'name']).doUpdateSet({ body, updated_at_ms: updatedAtMs }),
          )
      await writeAtomically(notes.map((note) => toStatement(one(note).compile())))
    },
    async delete(kind, name) {
      const gone = await write
        .deleteFrom('notes')
        .where('kind', '=', kind)
        .where('name', '=', name)
        .executeTakeFirst()
      return gone.numDeletedRows > 0n
    },
    async prune(kind, beforeMs) {
      const gone = await write
        .deleteFrom('notes')
        .where('kind', '=', kind)
        .where('updated_at_ms', '<', beforeMs)
        .executeTakeFirst()
      return Number(gone.numDeletedRows)
    },
  }
}

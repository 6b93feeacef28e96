import type { PolicyRecord } from '../../contracts/key.ts'
import type { PolicyStore } from '../../contracts/store.ts'
import type { PostgresAccess } from './access.ts'
import { withRetries } from './store-errors.ts'
import type { PolicyRow } from './tables.ts'
import { toText } from './to-text.ts'

export function policyStore({ database, changed }: PostgresAccess): PolicyStore {
  return {
    async list() {
      const rows = await withRetries(() =>
        database.selectFrom('tollgate.policies').select('body').orderBy('name').execute(),
      )
      return rows.map(toPolicyRecord)
    },
    async get(name) {
      const row = await withRetries(() =>
        database
          .selectFrom('tollgate.policies')
          .select('body')
          .where('name', '=', toText(name))
          .executeTakeFirst(),
      )
      return row === undefined ? null : toPolicyRecord(row)
    },
    async put(policy) {
      const body = JSON.stringify(policy)
      await withRetries(() =>
        database
          .insertInto('tollgate.policies')
          .values({ name: toText(policy.name), body })
          .onConflict((conflict) => conflict.column('name').doUpdateSet({ body }))
          .execute(),
      )
      changed()
    },
    async delete(name) {
      const result = await withRetries(() =>
        database
          .deleteFrom('tollgate.policies')
          .where('name', '=', toText(name))
          .executeTakeFirst(),
      )
      changed()
      return result.numDeletedRows > 0n
    },
  }
}

/** Bodies were written by this program from a PolicyRecord. */
function toPolicyRecord({ body }: Pick<PolicyRow, 'body'>): PolicyRecord {
  const policy: PolicyRecord = JSON.parse(body)
  return policy
}

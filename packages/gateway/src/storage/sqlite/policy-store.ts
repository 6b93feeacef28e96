import type { PolicyRecord } from '../../contracts/key.ts'
import type { PolicyStore } from '../../contracts/store.ts'
import { parseObject } from './json-columns.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import type { PolicyRow } from './tables.ts'

export function policyStore({ read, write }: SqliteAccess): PolicyStore {
  return {
    async list() {
      const rows = await read.selectFrom('policies').selectAll().orderBy('name').execute()
      return rows.map(fromRow)
    },
    async get(name) {
      const row = await read
        .selectFrom('policies')
        .selectAll()
        .where('name', '=', name)
        .executeTakeFirst()
      return row === undefined ? null : fromRow(row)
    },
    async put(policy) {
      const row: PolicyRow = {
        name: policy.name,
        policy: JSON.stringify(policy.policy),
        created_at_ms: policy.createdAtMs,
        updated_at_ms: policy.updatedAtMs,
      }
      const { name: _, ...columns } = row
      await write
        .insertInto('policies')
        .values(row)
        .onConflict((conflict) => conflict.column('name').doUpdateSet(columns))
        .execute()
    },
    async delete(name) {
      const result = await write.deleteFrom('policies').where('name', '=', name).executeTakeFirst()
      return result.numDeletedRows > 0n
    },
  }
}

function fromRow(row: PolicyRow): PolicyRecord {
  return {
    name: row.name,
    policy: parseObject(row.policy),
    createdAtMs: row.created_at_ms,
    updatedAtMs: row.updated_at_ms,
  }
}

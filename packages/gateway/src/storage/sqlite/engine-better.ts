import Database from 'better-sqlite3'
import {
  BUSY_TIMEOUT_MS,
  type Engine,
  type EngineSettings,
  keepCompiled,
  narrowIntegers,
} from './engine.ts'
import type { SqlValue } from './messages.ts'

/** A second engine behind the same worker, so that the contract does not depend on one binding's habits. */
export function openBetterEngine({ path, readOnly }: EngineSettings): Engine {
  const database = new Database(path, { readonly: readOnly, timeout: BUSY_TIMEOUT_MS })
  database.defaultSafeIntegers(true)
  const compiled = keepCompiled((sql) =>
    database.prepare<SqlValue[], Record<string, SqlValue>>(sql),
  )
  return {
    execute: (sql) => void database.exec(sql),
    query(sql, parameters) {
      const statement = compiled(sql)
      if (!statement.reader) return { rows: [], changes: statement.run(...parameters).changes }
      return { rows: statement.all(...parameters).map(narrowIntegers), changes: 0 }
    },
    prepare(sql) {
      const statement = database.prepare<SqlValue[]>(sql)
      return (parameters) => statement.run(...parameters).changes
    },
    inTransaction: () => database.inTransaction,
    close: () => void database.close(),
  }
}

import { DatabaseSync } from 'node:sqlite'
import {
  BUSY_TIMEOUT_MS,
  type Engine,
  type EngineSettings,
  keepCompiled,
  narrowIntegers,
} from './engine.ts'

export function openNodeEngine({ path, readOnly }: EngineSettings): Engine {
  const database = new DatabaseSync(path, { readOnly, timeout: BUSY_TIMEOUT_MS })
  const compiled = keepCompiled((sql) => {
    const statement = database.prepare(sql)
    statement.setReadBigInts(true)
    return { statement, returnsRows: statement.columns().length > 0 }
  })
  return {
    execute: (sql) => database.exec(sql),
    query(sql, parameters) {
      const { statement, returnsRows } = compiled(sql)
      if (!returnsRows) return { rows: [], changes: Number(statement.run(...parameters).changes) }
      return { rows: statement.all(...parameters).map(narrowIntegers), changes: 0 }
    },
    prepare(sql) {
      const statement = database.prepare(sql)
      return (parameters) => Number(statement.run(...parameters).changes)
    },
    inTransaction: () => database.isTransaction,
    close: () => database.close(),
  }
}

import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import { StoreError } from '../../errors/store-error.ts'
import type { SqlResult, SqlValue, Statement } from './messages.ts'
import type { Tables } from './tables.ts'
import type { WorkerClient } from './worker-client.ts'

/** Kysely whose statements run in a database worker. */
export function queryThrough(client: WorkerClient): Kysely<Tables> {
  const dialect: Dialect = {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => workerDriver(client),
    createIntrospector: (database) => new SqliteIntrospector(database),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
  return new Kysely<Tables>({ dialect })
}

/** A compiled query in the form the worker takes. */
export function toStatement({ sql, parameters }: CompiledQuery): Statement {
  return { sql, parameters: parameters.map(toSqlValue) }
}

function workerDriver(client: WorkerClient): Driver {
  const connection: DatabaseConnection = {
    async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
      const result = await client.call({ kind: 'query', statement: toStatement(query) })
      return { rows: typedRows<R>(result), numAffectedRows: BigInt(result.changes) }
    },
    streamQuery: () => refuse('Read in pages by key: a stream would hold the log of the database.'),
  }
  return {
    init: async () => {},
    acquireConnection: async () => connection,
    // The worker is shared: another caller's statements would fall into the open transaction.
    beginTransaction: async () => refuse('Send one atomic call of several statements.'),
    commitTransaction: async () => {},
    rollbackTransaction: async () => {},
    releaseConnection: async () => {},
    destroy: async () => {},
  }
}

function refuse(advice: string): never {
  throw new StoreError('failed', advice)
}

function toSqlValue(value: unknown): SqlValue {
  if (value === null || value === undefined) return null
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint')
    return value
  if (typeof value === 'boolean') return value ? 1 : 0
  if (value instanceof Uint8Array) return value
  throw new StoreError('failed', 'A query has a parameter that SQLite cannot hold.')
}

/** The query builder's word for the row type is taken: the query decides what comes back. */
function typedRows<R>(result: SqlResult): R[] {
  const rows: unknown = result.rows
  return isRowsOf<R>(rows) ? rows : []
}

function isRowsOf<R>(rows: unknown): rows is R[] {
  return Array.isArray(rows)
}

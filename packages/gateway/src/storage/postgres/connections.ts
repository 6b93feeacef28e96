import {
  Kysely,
  type PostgresCursor,
  PostgresDialect,
  type PostgresPool,
  type PostgresPoolClient,
  type PostgresQueryResult,
} from 'kysely'
import {
  Client,
  type ClientConfig,
  type CustomTypesConfig,
  DatabaseError,
  Pool,
  type PoolClient,
  types,
} from 'pg'
import { StoreError } from '../../errors/store-error.ts'
import type { Tables } from './tables.ts'

const CONNECT_TIMEOUT_MS = 5000
/** A sum over a large ledger takes its time; everything else is quick, and a connection that is silent is dead. */
const SUM_TIMEOUT_MS = 60_000

export type Connections = {
  readonly database: Kysely<Tables>
  /** A connection of its own, for whoever must know when it breaks. It is ended by its user. */
  readonly connect: () => Promise<Client>
  readonly close: () => Promise<void>
}

export type ConnectionOptions = {
  readonly url: string
  readonly most: number
  /** How long a statement may take. Ms. */
  readonly answerMs: number
}

export function openConnections({ url, most, answerMs }: ConnectionOptions): Connections {
  const config: ClientConfig = {
    connectionString: url,
    application_name: 'tollgate',
    connectionTimeoutMillis: Math.min(CONNECT_TIMEOUT_MS, answerMs),
    query_timeout: answerMs,
    keepAlive: true,
    types: EXACT_TYPES,
  }
  const pool = new Pool({ ...config, max: most, allowExitOnIdle: true })
  // A connection that breaks while nobody uses it is replaced by the next one.
  pool.on('error', () => {})
  // One that breaks between two statements of its user fails at the next; nobody else need hear of it.
  pool.on('connect', (client) => void client.on('error', () => {}))
  const state = { closed: false }
  return {
    database: new Kysely<Tables>({ dialect: new PostgresDialect({ pool: discarding(pool) }) }),
    async connect() {
      if (state.closed) throw closedError()
      const client = new Client(config)
      client.on('error', () => {})
      try {
        await client.connect()
      } catch (thrown) {
        void client.end().catch(() => {})
        throw thrown
      }
      return client
    },
    async close() {
      if (state.closed) return
      state.closed = true
      await pool.end()
    },
  }

  /** Kysely gives every connection back; one that did not answer must not be given to the next. */
  function discarding(inner: Pool): PostgresPool {
    return {
      options: inner.options,
      end: () => inner.end(),
      async connect() {
        if (state.closed) throw closedError()
        return watched(await inner.connect())
      },
    }
  }
}

/** Queries that read the ledger begin so. */
const IS_SUM = /^\s*(with combined|select count\(\*\))/i

function watched(client: PoolClient): PostgresPoolClient {
  let broken = false
  function query<R>(sql: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<R>>
  function query<R>(cursor: PostgresCursor<R>): PostgresCursor<R>
  function query(given: unknown, parameters: readonly unknown[] = []): unknown {
    if (typeof given !== 'string') throw new StoreError('failed', 'Read in pages by key.')
    const timeout = IS_SUM.test(given) ? { query_timeout: SUM_TIMEOUT_MS } : {}
    return client
      .query({ text: given, values: [...parameters], ...timeout })
      .catch((thrown: unknown) => {
        broken ||= !(thrown instanceof DatabaseError)
        throw thrown
      })
  }
  return { query, release: () => client.release(broken) }
}

function closedError(): StoreError {
  return new StoreError('unreadable', 'The store is closed.')
}

const INTEGERS: ReadonlySet<number> = new Set([types.builtins.INT8, types.builtins.NUMERIC])

/** Counts, times and money come as numbers, and never rounded. */
const EXACT_TYPES: CustomTypesConfig = {
  getTypeParser: (id, format) => (INTEGERS.has(id) ? readInteger : types.getTypeParser(id, format)),
}

function readInteger(text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value)) return value
  throw new StoreError('failed', `The database holds ${text}, which is beyond what can be exact.`)
}

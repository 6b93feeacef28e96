import type { Kysely } from 'kysely'
import type { Tables } from './tables.ts'

/** What the parts of the store share. */
export type PostgresAccess = {
  readonly database: Kysely<Tables>
  /** Waits for the ledger's tail. Rejects with `away` while the database does not answer. */
  readonly settled: () => Promise<void>
  /** Called after each change of this process, so that what was read meanwhile is read again. */
  readonly changed: () => void
}

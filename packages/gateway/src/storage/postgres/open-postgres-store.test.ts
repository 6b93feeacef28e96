import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import {
  POSTGRES_FOLDER,
  type PostgresServer,
  startPostgres,
} from '../../testing/postgres-server.ts'
import { storeContract } from '../../testing/store-contract.ts'
import { openPostgresStore, type PostgresStoreOptions } from './open-postgres-store.ts'

describe.skipIf(POSTGRES_FOLDER === null)('postgres', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres()
  }, 60_000)
  afterAll(() => server.close())

  storeContract({
    name: 'postgres',
    async fresh() {
      const spoolDirectory = await mkdtemp(join(tmpdir(), 'tollgate-spool-'))
      const url = await server.createDatabase()
      return {
        open: () => openPostgresStore(optionsOf(url, spoolDirectory)),
        remove: () => rm(spoolDirectory, { recursive: true }),
      }
    },
  })
})

function optionsOf(
  url: string,
  spoolDirectory: string,
  given: Partial<PostgresStoreOptions> = {},
): PostgresStoreOptions {
  return {
    url,
    spoolDirectory,
    spoolMaxBytes: 64 * 1024 * 1024,
    durability: 'process',
    connections: 4,
    waitMs: 2000,
    onProblem: () => {},
    ...given,
  }
}

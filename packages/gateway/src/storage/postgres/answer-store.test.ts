import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { answerStoreContract } from '../../testing/answer-store-contract.ts'
import {
  POSTGRES_FOLDER,
  type PostgresServer,
  startPostgres,
} from '../../testing/postgres-server.ts'
import { openPostgresStore } from './open-postgres-store.ts'

describe.skipIf(POSTGRES_FOLDER === null)('postgres', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres()
  }, 60_000)
  afterAll(() => server.close())

  answerStoreContract({
    name: 'postgres',
    async fresh() {
      const url = await server.createDatabase()
      const folder = await mkdtemp(join(tmpdir(), 'tollgate-answers-'))
      const open = (name: string) =>
        openPostgresStore({
          url,
          spoolDirectory: join(folder, name),
          spoolMaxBytes: 1 << 20,
          durability: 'process',
          connections: 4,
          waitMs: 0,
          onProblem: () => {},
        })
      const [one, another] = [await open('one'), await open('another')]
      return {
        store: one.store.answers,
        another: another.store.answers,
        expire: async (id) =>
          void (await server.run(
            url,
            `UPDATE tollgate.answers SET expires_at_ms = 0 WHERE id = '${id}'`,
          )),
        async close() {
          await one.store.close()
          await another.store.close()
          await rm(folder, { recursive: true })
        },
      }
    },
  })
})

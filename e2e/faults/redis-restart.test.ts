import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  POSTGRES_FOLDER,
  type PostgresServer,
  startPostgres,
} from '../../packages/gateway/src/testing/postgres-server.ts'
import {
  hasRedis,
  type RedisProcess,
  startRedis,
} from '../../packages/gateway/src/testing/redis-process.ts'
import { askOf, type CallAnswer, call } from '../harness/call.ts'
import { closeAll } from '../harness/cleanup.ts'
import { tempFolder } from '../harness/folders.ts'
import { type Gateway, startGateway } from '../harness/gateway.ts'
import { nothingOpen } from '../harness/nothing-open.ts'
import { type SandboxProcess, startSandboxProcess } from '../harness/sandbox.ts'
import { waitFor } from '../harness/wait-for.ts'

const AMOUNT = 40

function ask(gateway: Gateway, key: string): Promise<CallAnswer> {
  const { path, body } = askOf({ model: 'words-5', maxTokens: 50 })
  return call(`${gateway.proxyUrl}${path}`, { key, body })
}

describe.skipIf(!hasRedis())('a gateway alone on its Redis', () => {
  let redis: RedisProcess
  let postgres: PostgresServer | null = null
  let sandbox: SandboxProcess
  beforeAll(async () => {
    redis = await startRedis()
    sandbox = await startSandboxProcess()
  })
  afterAll(async () => {
    await closeAll()
    await redis.stop()
    await postgres?.close()
  })

  async function database(): Promise<string> {
    postgres ??= await startPostgres()
    return await postgres.createDatabase()
  }

  it.for([
    ['SQLite', false],
    ['Postgres', true],
  ] as const)(
    'with %s goes on right after kill -9: what the killed one leased is free again, and the budget is the same',
    async ([, shared], { skip }) => {
      skip(shared && POSTGRES_FOLDER === null, 'there is no Postgres')
      const folder = tempFolder()
      const config = {
        log: { level: 'warn' },
        limits: { backend: 'env:REDIS_URL', namespace: shared ? 'shared' : 'own' },
        ...(shared ? { storage: { url: 'env:DATABASE' } } : {}),
        providers: { local: sandbox.provider },
        policy: {
          default_provider: 'local',
          limits: [
            { id: 'all', scope: 'global', unit: 'requests', algorithm: 'lifetime', amount: AMOUNT },
          ],
        },
      }
      const env = { REDIS_URL: redis.url, ...(shared ? { DATABASE: await database() } : {}) }
      let gateway = await startGateway({ folder, config, env })
      const { key } = await gateway.admin.createKey()
      let admitted = 0
      for (let kill = 0; kill < 3; kill++) {
        for (let i = 0; i < 3; i++) expect((await ask(gateway, key)).status).toBe(200)
        admitted += 3
        // Long enough to lease all that is free.
        await sleep(700)
        gateway.child.kill('SIGKILL')
        await gateway.child.exited
        gateway = await startGateway({ folder, env })
        await waitFor('a call', async () => {
          const { status } = await ask(gateway, key)
          if (status === 200) admitted += 1
          return status === 200
        })
      }
      const rest = await Promise.all(Array.from({ length: AMOUNT }, () => ask(gateway, key)))
      admitted += rest.filter(({ status }) => status === 200).length
      await nothingOpen(gateway.admin)
      expect(admitted).toBe(AMOUNT)
      expect(await gateway.admin.limit('all')).toMatchObject({ used: AMOUNT, reserved: 0 })
    },
  )
})

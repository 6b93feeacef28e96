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
import { askOf, type CallAnswer, call, inParallel } from '../harness/call.ts'
import { closeAll } from '../harness/cleanup.ts'
import { type Gateway, startGateway } from '../harness/gateway.ts'
import { nothingOpen } from '../harness/nothing-open.ts'
import { type SandboxProcess, startSandboxProcess } from '../harness/sandbox.ts'
import { waitFor } from '../harness/wait-for.ts'
import { childrenOf } from '../harness/workers.ts'

const AMOUNT = 61
const CALLS = 240

function ask(gateway: Gateway, key: string): Promise<CallAnswer> {
  const { path, body } = askOf({ model: 'words-5', maxTokens: 50 })
  return call(`${gateway.proxyUrl}${path}`, { key, body })
}

describe.skipIf(POSTGRES_FOLDER === null || !hasRedis())(
  'two gateways of two workers, a ledger in Postgres and limits in Redis',
  () => {
    /** Tests share one Redis: each has counters of its own. */
    let started = 0
    let postgres: PostgresServer
    let redis: RedisProcess
    let sandbox: SandboxProcess
    beforeAll(async () => {
      postgres = await startPostgres()
      redis = await startRedis()
      sandbox = await startSandboxProcess()
    })
    afterAll(async () => {
      await closeAll()
      await redis.stop()
      await postgres.close()
    })

    async function startTwo(): Promise<readonly [Gateway, Gateway]> {
      const url = await postgres.createDatabase()
      const config = {
        log: { level: 'warn' },
        server: { workers: 2 },
        storage: { url: 'env:DATABASE' },
        limits: { backend: 'env:REDIS_URL', namespace: `gateways-${++started}` },
        providers: { local: sandbox.provider },
        policy: {
          default_provider: 'local',
          limits: [
            { id: 'life', scope: 'key', unit: 'requests', algorithm: 'lifetime', amount: AMOUNT },
          ],
        },
      }
      const env = {
        TOLLGATE_HASH_KEY: 'one key for all gateways',
        DATABASE: url,
        REDIS_URL: redis.url,
      }
      return [await startGateway({ config, env }), await startGateway({ config, env })]
    }

    it('admit exactly the amount, and every answer that came whole is in the ledger', async () => {
      const [first, second] = await startTwo()
      const { key } = await first.admin.createKey()
      const answers = await inParallel(
        Array.from({ length: CALLS }, (_, i) => () => ask(i % 2 === 0 ? first : second, key)),
        60,
      )
      const whole = answers.filter(({ status, whole: isWhole }) => status === 200 && isWhole)
      expect(whole).toHaveLength(AMOUNT)
      await nothingOpen(first.admin)
      await nothingOpen(second.admin)
      const records = await second.admin.records()
      const kept = new Set(records.map(({ request_id }) => request_id))
      expect(whole.filter(({ requestId }) => !kept.has(requestId))).toEqual([])
      expect(await second.admin.limit('life')).toMatchObject({ used: AMOUNT, reserved: 0 })
    })

    it('kill -9 of a worker: its gateway goes on, and no answer is lost', async () => {
      const [first] = await startTwo()
      const { key } = await first.admin.createKey()
      const before = await inParallel(
        Array.from({ length: 20 }, () => () => ask(first, key)),
        8,
      )
      const [victim = 0] = childrenOf(first.child.pid)
      process.kill(victim, 'SIGKILL')
      await waitFor('another worker', () => {
        const now = childrenOf(first.child.pid)
        return now.length === 2 && !now.includes(victim)
      })
      const after = await inParallel(
        Array.from({ length: 20 }, () => () => ask(first, key)),
        8,
      )
      expect([...before, ...after].map(({ status }) => status)).toEqual(Array(40).fill(200))
      await nothingOpen(first.admin)
      expect(await first.admin.limit('life')).toMatchObject({ used: 40, reserved: 0 })
      expect(await first.admin.records()).toHaveLength(40)
    })
  },
)

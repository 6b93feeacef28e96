import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { ServerAway } from '../../contracts/script-server.ts'
import { answerStoreContract } from '../../testing/answer-store-contract.ts'
import { hasRedis, type RedisProcess, startRedis } from '../../testing/redis-process.ts'
import { ANSWERS_SCRIPT, type RedisAnswers, redisAnswers } from './answer-store.ts'
import { createRedisServer } from './redis-server.ts'

describe.skipIf(!hasRedis())('redis', () => {
  let redis: RedisProcess
  let namespaces = 0
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.stop())

  async function connected(namespace: string): Promise<RedisAnswers> {
    const server = createRedisServer({ url: redis.url, script: ANSWERS_SCRIPT, timeoutMs: 2000 })
    const answers = redisAnswers(server, namespace)
    answers.start()
    await vi.waitFor(() => expect(answers.connected()).toBe(true))
    return answers
  }

  answerStoreContract({
    name: 'redis',
    async fresh() {
      namespaces += 1
      const namespace = `n${namespaces}`
      const [one, another] = [await connected(namespace), await connected(namespace)]
      return {
        store: one.store,
        another: another.store,
        expire: async (id) => void (await redis.command('DEL', `{${namespace}}:answer:${id}`)),
        async close() {
          await Promise.all([one.stop(), another.stop()])
        },
      }
    },
  })

  it('says that it is away, and works again once the server is back', async () => {
    const own = await startRedis()
    const server = createRedisServer({ url: own.url, script: ANSWERS_SCRIPT, timeoutMs: 2000 })
    const answers = redisAnswers(server, 'n')
    const call = { id: 'a', fingerprint: 'f', owner: 'o' }
    await expect(answers.store.claim(call)).rejects.toThrow(ServerAway)
    answers.start()
    await vi.waitFor(() => expect(answers.connected()).toBe(true))
    await own.kill()
    await vi.waitFor(async () => {
      await expect(answers.store.claim(call)).rejects.toThrow(ServerAway)
    })
    await own.restart()
    await vi.waitFor(async () => expect((await answers.store.claim(call)).kind).toBe('claimed'), {
      timeout: 5000,
    })
    await answers.stop()
    await own.stop()
  })

  it('leaves nothing behind of answers whose time is over', async () => {
    const answers = await connected('swept')
    const answer = {
      status: 200,
      headers: [],
      body: Buffer.alloc(100),
      origin: {
        requestId: 'r',
        requestedModel: null,
        model: null,
        servedModel: null,
        provider: null,
        target: null,
        stream: false,
      },
    }
    for (let i = 0; i < 20; i++) {
      const call = { id: `a${i}`, fingerprint: 'f', owner: 'o' }
      await answers.store.keep(call, answer, { ttlMs: 1, maxBytes: 1e6, maxEntries: 100 })
    }
    await vi.waitFor(async () => {
      await answers.store.prune()
      expect(await redis.command('KEYS', '{swept}*')).toEqual(['{swept}:answers:bytes'])
    })
    expect(await redis.command('GET', '{swept}:answers:bytes')).toBe('0')
    await answers.stop()
  })
})

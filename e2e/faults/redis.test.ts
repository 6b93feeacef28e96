import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  hasRedis,
  type RedisProcess,
  startRedis,
} from '../../packages/gateway/src/testing/redis-process.ts'
import { closeAll } from '../harness/cleanup.ts'
import type { Gateway } from '../harness/gateway.ts'
import {
  type Fleet,
  load,
  RECOVERY_MS,
  settled,
  startFleet,
  statuses,
  up,
} from '../harness/redis-fleet.ts'
import { type SandboxProcess, startSandboxProcess } from '../harness/sandbox.ts'
import { waitFor } from '../harness/wait-for.ts'

let redis: RedisProcess
let sandbox: SandboxProcess

/** As `startFleet`, with the Redis and the provider of the test. */
function fleet(size: number, limits: readonly object[]): Promise<Fleet> {
  return startFleet({ size, redisUrl: redis.url, sandbox, limits })
}

async function readiness({ proxyUrl }: Gateway): Promise<{ status: number; text: string }> {
  const response = await fetch(`${proxyUrl}/health/ready`)
  return { status: response.status, text: await response.text() }
}

describe.skipIf(!hasRedis())('limits in Redis', () => {
  beforeAll(async () => {
    sandbox = await startSandboxProcess()
  })
  beforeEach(async () => {
    redis = await startRedis()
  })
  afterEach(async () => {
    await closeAll()
    await redis.stop()
    sandbox = await startSandboxProcess()
  })
  afterAll(closeAll)

  it.each([2, 4])('%i gateways, 500 calls at once: the budget, exactly', async (size) => {
    const all = await fleet(size, [
      { id: 'calls', scope: 'global', unit: 'requests', algorithm: 'lifetime', amount: 100 },
    ])
    const answers = await Promise.all(Array.from({ length: 500 }, (_, i) => all.ask(i)))
    const counts = statuses(answers)
    console.log(`${size} gateways: ${JSON.stringify(counts)}`)
    expect(await settled(all, 'calls')).toBe(100)
    expect(counts).toEqual({ 200: 100, 429: 400 })
  })

  it('a budget in dollars: never more, and used to the end', async () => {
    const budget = 0.004
    const all = await fleet(2, [
      {
        id: 'usd',
        scope: 'global',
        unit: 'usd',
        algorithm: 'fixed',
        amount: budget,
        window: '24h',
      },
    ])
    const answers = await Promise.all(Array.from({ length: 500 }, (_, i) => all.ask(i)))
    const used = await settled(all, 'usd')
    const billed = (await Promise.all(all.gateways.map(({ admin }) => admin.summary()))).reduce(
      (sum, { cost_nanousd }) => sum + cost_nanousd,
      0,
    )
    console.log(`dollars: ${used} of ${budget}, ${JSON.stringify(statuses(answers))}`)
    expect(Math.round(used * 1e9)).toBe(billed)
    expect(used).toBeLessThanOrEqual(budget)
    expect(used).toBeGreaterThan(budget * 0.9)
  })

  it.each([
    [2, 'no'],
    [4, 'no'],
    [2, 'yes'],
  ] as const)(
    '%i gateways, Redis killed and restarted under load: nothing overspent (kept: %s)',
    async (size, kept) => {
      await redis.stop()
      redis = await startRedis('--appendonly', kept, '--appendfsync', 'always')
      const budget = 3000
      const all = await fleet(size, [
        { id: 'calls', scope: 'global', unit: 'requests', algorithm: 'lifetime', amount: budget },
      ])
      const busy = load(all, 8 * size)
      await sleep(1500)
      await redis.kill()
      await up(all, 0)
      const [first] = all.gateways
      const ready = first === undefined ? null : await readiness(first)
      expect(ready?.status).toBe(200)
      expect(ready?.text).toContain('degraded: Redis is away')
      await sleep(1500)
      await redis.restart()
      const startedMs = performance.now()
      await up(all, 1)
      const recoveryMs = performance.now() - startedMs
      await waitFor('the end of the budget', async () => (await all.ask(0)).status === 429, 60_000)
      const answers = await busy.stop()
      const used = await settled(all, 'calls')
      const records = await Promise.all(all.gateways.map(({ admin }) => admin.summary()))
      const spent = records.reduce((sum, { requests, errors }) => sum + requests - errors, 0)
      console.log(
        `${size} gateways: ${JSON.stringify(statuses(answers))}, back after ${Math.round(recoveryMs)} ms, counted ${used}, spent ${spent} of ${budget}`,
      )
      expect(spent).toBeLessThanOrEqual(budget)
      expect(used).toBeGreaterThanOrEqual(spent)
      expect(used).toBeLessThanOrEqual(budget)
      expect(recoveryMs).toBeLessThan(RECOVERY_MS)
      expect(first?.child.stdout()).toContain('Redis is away')
      expect(first?.child.stdout()).toContain('limits are counted in Redis')
    },
  )

  it('a flushed script is loaded again, and no call notices', async () => {
    const all = await fleet(2, [
      { id: 'calls', scope: 'global', unit: 'requests', algorithm: 'lifetime', amount: 1e6 },
    ])
    const busy = load(all, 8)
    for (let i = 0; i < 5; i++) {
      await sleep(200)
      await redis.command('SCRIPT', 'FLUSH')
    }
    const answers = await busy.stop()
    expect(Object.keys(statuses(answers))).toEqual(['200'])
    expect(await settled(all, 'calls')).toBe(answers.length)
    expect(all.gateways.map(({ child }) => child.stdout()).join()).not.toContain('Redis is away')
  })

  it('a full memory is an absence: what is leased goes on, and nothing is lost', async () => {
    const all = await fleet(2, [
      { id: 'calls', scope: 'global', unit: 'requests', algorithm: 'lifetime', amount: 1e6 },
    ])
    const busy = load(all, 4)
    await sleep(800)
    await redis.command('CONFIG', 'SET', 'maxmemory', '1')
    await up(all, 0)
    await sleep(500)
    await redis.command('CONFIG', 'SET', 'maxmemory', '0')
    await up(all, 1)
    await sleep(500)
    const answers = await busy.stop()
    expect(Object.keys(statuses(answers))).toEqual(['200'])
    expect(await settled(all, 'calls')).toBe(answers.length)
  })

  it('deny and allow do what they say', async () => {
    const limit = { scope: 'global', unit: 'requests', algorithm: 'lifetime', amount: 1e6 }
    const strict = await fleet(1, [{ ...limit, id: 'strict', on_backend_failure: 'deny' }])
    const loose = await fleet(1, [{ ...limit, id: 'loose', on_backend_failure: 'allow' }])
    await redis.kill()
    await up(strict, 0)
    await up(loose, 0)
    const refused = await strict.ask(0)
    expect([refused.status, refused.text]).toEqual([
      503,
      expect.stringContaining('limits_unavailable'),
    ])
    expect((await loose.ask(0)).status).toBe(200)
    await redis.restart()
    await up(loose, 1)
    await up(strict, 1)
    expect((await strict.ask(0)).status).toBe(200)
    expect(await settled(loose, 'loose')).toBe(1)
  })

  it('warns of a Redis that may drop counters', async () => {
    await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
    const { gateways } = await fleet(1, [])
    const warning = await gateways[0]?.child.line(/set maxmemory-policy noeviction/)
    expect(warning).toBeDefined()
  })
})

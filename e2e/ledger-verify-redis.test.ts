import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  hasRedis,
  type RedisProcess,
  startRedis,
} from '../packages/gateway/src/testing/redis-process.ts'
import { POSTGRES_FOLDER, startPostgres } from '../packages/gateway/src/testing/postgres-server.ts'
import { askOf, call } from './harness/call.ts'
import { closeAll, onClose } from './harness/cleanup.ts'
import { type Gateway, startGateway } from './harness/gateway.ts'
import { nothingOpen } from './harness/nothing-open.ts'
import { type SandboxProcess, startSandboxProcess } from './harness/sandbox.ts'
import { waitFor } from './harness/wait-for.ts'

vi.setConfig({ testTimeout: 180_000 })

const CALLS = 40
const AT_ONCE = 8
const LIMITS = [
  { id: 'life', scope: 'key', unit: 'tokens', algorithm: 'lifetime', amount: 1e9 },
  {
    id: 'day',
    scope: 'global',
    unit: 'requests',
    algorithm: 'sliding',
    amount: 1e6,
    window: '24h',
  },
  { id: 'hour', scope: 'key', unit: 'usd', algorithm: 'fixed', amount: 100, window: '1h' },
  { id: 'refill', scope: 'key', unit: 'tokens', capacity: 1e9, refill_per_sec: 1 },
  { id: 'minute', scope: 'key', unit: 'requests', algorithm: 'sliding', amount: 1e6, window: '1m' },
]

/** Changes what one counter has settled, as somebody with a client of Redis could. */
const EDIT = `
  for _, key in ipairs(redis.call('KEYS', '*:c:' .. ARGV[1] .. '*')) do
    local counter = cmsgpack.unpack(redis.call('GET', key))
    counter.st = counter.st + tonumber(ARGV[2])
    redis.call('SET', key, cmsgpack.pack(counter), 'KEEPTTL')
  end`

const DELETE = "for _, key in ipairs(redis.call('KEYS', '*:c:life*')) do redis.call('DEL', key) end"

let redis: RedisProcess
let sandbox: SandboxProcess

function start(
  more: object = {},
  folder?: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Gateway> {
  return startGateway({
    ...(folder === undefined ? {} : { folder }),
    env,
    config: {
      log: { level: 'warn' },
      limits: { backend: redis.url, timeout: '2s' },
      providers: { local: sandbox.provider },
      models: {
        priced: {
          price: { input: 1, output: 2 },
          targets: [{ provider: 'local', model: 'words-12' }],
        },
      },
      policy: { default_provider: 'local', limits: LIMITS },
      ...more,
    },
  })
}

/** Plain answers, streams that are read, and streams that are left. */
async function mixedCalls(gateway: Gateway, key: string, calls = CALLS): Promise<void> {
  const agent = new Agent({ keepAlive: true })
  const { path, body } = askOf({ model: 'priced', stream: false })
  const streamed = askOf({ model: 'priced', stream: true })
  let next = 0
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let i = next++; i < calls; i = next++) {
        if (i % 3 === 2) await leave(gateway, key, streamed)
        else {
          const asked = i % 3 === 0 ? body : streamed.body
          await call(`${gateway.proxyUrl}${path}`, { key, body: asked, agent })
        }
      }
    }),
  )
  agent.destroy()
  await nothingOpen(gateway.admin)
}

function startLoad(gateway: Gateway, key: string): { answered(): number; stop(): Promise<void> } {
  const state = { on: true, answered: 0 }
  const work = Array.from({ length: AT_ONCE }, async (_, place) => {
    while (state.on) {
      const { path, body } = askOf({ model: 'priced', stream: place % 2 === 0 })
      const { status } = await call(`${gateway.proxyUrl}${path}`, { key, body })
      if (status === 200) state.answered += 1
      if (status === 0) return
    }
  })
  return {
    answered: () => state.answered,
    async stop() {
      state.on = false
      await Promise.all(work)
    },
  }
}

async function leave(
  { proxyUrl }: Gateway,
  key: string,
  { path, body }: { path: string; body: unknown },
): Promise<void> {
  const leaving = new AbortController()
  const response = await fetch(`${proxyUrl}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: leaving.signal,
  })
  await response.body?.getReader().read()
  leaving.abort()
}

async function edit(id: string, by: number): Promise<void> {
  await redis.command('EVAL', EDIT, '0', id, String(by))
}

describe.skipIf(!hasRedis())('ledger verify with counters in Redis', () => {
  beforeEach(async () => {
    redis = await startRedis()
    sandbox = await startSandboxProcess()
  })
  afterEach(async () => {
    await closeAll()
    await redis.stop()
  })
  afterAll(closeAll)

  it('mixed calls, a reset and a grant: no difference; an edit in Redis is found, with and without a server', async () => {
    const gateway = await start()
    const { key } = await gateway.admin.createKey()
    await mixedCalls(gateway, key)
    await gateway.admin.send('POST', '/limits/life/reset', {})
    await mixedCalls(gateway, key, 10)
    const { value } = await gateway.admin.limit('hour')
    await gateway.admin.send('POST', '/limits/hour/grant', { value, amount: 5 })
    const clean = await gateway.cli('ledger', 'verify')
    expect(clean.out).toContain(`${CALLS + 10} records, 3 counters counted again: 0 differences`)
    expect(clean.out).toContain('not counted again: refill')
    expect(clean.out).not.toContain('minute')
    expect(clean.code).toBe(0)

    await edit('life', -3)
    const edited = await gateway.cli('ledger', 'verify')
    expect(edited.out).toMatch(/: 1 differences[^]*life\s+key\s+key_\S+\s+\S*\s+tokens\s.*-3/)
    expect(edited.code).toBe(1)
    await edit('life', 3)
    expect((await gateway.cli('ledger', 'verify')).code).toBe(0)

    await gateway.child.stop()
    const offline = await gateway.cli('ledger', 'verify', '--chain')
    expect(offline.out).toContain('3 counters counted again: 0 differences')
    expect(offline.code).toBe(0)
    await edit('day', 1)
    const found = await gateway.cli('ledger', 'verify', '--json')
    expect(found.code).toBe(1)
    expect(JSON.parse(found.out)).toMatchObject({
      ok: false,
      differences: [{ id: 'day', counted: CALLS + 11, recounted: CALLS + 10, difference: 1 }],
    })
  })

  it('a counter that was deleted in Redis while no gateway ran', async () => {
    const gateway = await start()
    const { key } = await gateway.admin.createKey()
    await mixedCalls(gateway, key, 5)
    await gateway.child.stop()
    await redis.command('EVAL', DELETE, '0')
    const answer = await gateway.cli('ledger', 'verify', '--json')
    expect(answer.code).toBe(1)
    expect(JSON.parse(answer.out)).toMatchObject({ differences: [{ id: 'life', counted: 0 }] })
  })

  it('gateways with ledgers of their own: no difference is claimed, but what one ledger can tell', async () => {
    const gateways = [await start(), await start()]
    for (const gateway of gateways) {
      const { key } = await gateway.admin.createKey()
      await mixedCalls(gateway, key, 6)
    }
    const [one] = gateways
    const answer = await one?.cli('ledger', 'verify')
    expect(answer?.out).toContain('not counted again: day global')
    expect(answer?.out).toContain('another ledger has records of it too')
    expect(answer?.code).toBe(0)
    await edit('day', -10)
    const found = await one?.cli('ledger', 'verify')
    expect(found?.out).toMatch(/: 1 differences[^]*day\s+global/)
    expect(found?.code).toBe(1)
  })

  it.each([1, 2])(
    '%i workers: calls under way, a Redis that loses all, a gateway that is killed: no difference',
    async (workers) => {
      const server = { workers }
      let gateway = await start({ server })
      const { key } = await gateway.admin.createKey()
      const load = startLoad(gateway, key)
      await sleep(500)
      expect((await gateway.cli('ledger', 'verify')).out).toContain(': 0 differences')
      await redis.kill()
      await redis.restart()
      await sleep(1500)
      // Some calls are between their end in Redis and their record.
      gateway.child.kill('SIGKILL')
      await load.stop()
      gateway = await start({ server }, gateway.folder)
      await nothingOpen(gateway.admin)
      expect(load.answered()).toBeGreaterThan(20)
      const after = await gateway.cli('ledger', 'verify')
      expect(after.out).toContain('3 counters counted again: 0 differences')
      expect(after.code).toBe(0)
    },
  )

  it.skipIf(POSTGRES_FOLDER === null)(
    'gateways that share a Postgres store prove their counters together',
    async () => {
      const postgres = await startPostgres()
      onClose(() => postgres.close())
      const DATABASE = await postgres.createDatabase()
      const env = { DATABASE, TOLLGATE_HASH_KEY: 'a hash key that all gateways of the test share' }
      const storage = { url: 'env:DATABASE' }
      const one = await start({ storage }, undefined, env)
      const two = await start({ storage }, undefined, env)
      const { key } = await one.admin.createKey()
      await waitFor('the key at the other gateway', async () => {
        const { items } = await two.admin.get<{ items: readonly unknown[] }>('/keys')
        return items.length === 1
      })
      await Promise.all([mixedCalls(one, key), mixedCalls(two, key)])
      const clean = await one.cli('ledger', 'verify')
      expect(clean.out).toContain(`${2 * CALLS} records, 3 counters counted again: 0 differences`)
      expect(clean.code).toBe(0)
      await edit('hour', 5)
      expect((await two.cli('ledger', 'verify')).out).toContain(': 1 differences')
    },
  )

  it('Redis away: an error, and nothing is said to be in order', async () => {
    const gateway = await start()
    const { key } = await gateway.admin.createKey()
    await mixedCalls(gateway, key, 3)
    await redis.stop()
    const reset = await gateway.admin.raw('POST', '/limits/life/reset', {})
    expect(reset).toMatchObject({ status: 503, body: { error: { code: 'store_unavailable' } } })
    expect(JSON.stringify(reset.body)).toContain('Redis, which does not answer')
    for (const stopped of [false, true]) {
      if (stopped) await gateway.child.stop()
      const answer = await gateway.cli('ledger', 'verify')
      expect(answer.err).toContain('The counters are in Redis, which cannot be reached.')
      expect(answer.out).toBe('')
      expect(answer.code).toBe(1)
    }
  })
})

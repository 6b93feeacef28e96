import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  POSTGRES_FOLDER,
  type PostgresServer,
  startPostgres,
} from '../../packages/gateway/src/testing/postgres-server.ts'
import { askOf, type CallAnswer, call, seeded } from '../harness/call.ts'
import { closeAll } from '../harness/cleanup.ts'
import { tempFolder } from '../harness/folders.ts'
import { type Gateway, startGateway, tollgate, writeConfig } from '../harness/gateway.ts'
import { type SandboxProcess, startSandboxProcess } from '../harness/sandbox.ts'
import { waitFor } from '../harness/wait-for.ts'

const CLIENTS = 12
const AWAY_MS = 2000
const SEED = Number(process.env['E2E_SEED'] ?? 20_261_121)
const HASH_KEY = { TOLLGATE_HASH_KEY: 'a hash key that all gateways of the test share' }
const MODELS = ['words-30', 'words-5', 'words-20+delay-1', 'tool', 'cached']

describe.skipIf(POSTGRES_FOLDER === null)('a ledger in Postgres', () => {
  let server: PostgresServer
  let sandbox: SandboxProcess
  beforeAll(async () => {
    server = await startPostgres()
    sandbox = await startSandboxProcess()
  })
  // The next test begins with a server that runs.
  afterEach(() => server.stop().then(() => server.start()))
  afterAll(async () => {
    await closeAll()
    await server.close()
  })

  const configOf = (storage: Record<string, unknown>): Record<string, unknown> => ({
    log: { level: 'warn' },
    storage: { url: 'env:DATABASE', ...storage },
    providers: { local: sandbox.provider },
    policy: {
      default_provider: 'local',
      limits: [{ id: 'life', scope: 'key', unit: 'tokens', algorithm: 'lifetime', amount: 1e12 }],
    },
  })
  const start = (url: string, storage: Record<string, unknown> = {}): Promise<Gateway> =>
    startGateway({ config: configOf(storage), env: { ...HASH_KEY, DATABASE: url } })

  it('is away under load, while the gateway is killed too: nothing is lost, nothing doubled', async () => {
    const url = await server.createDatabase()
    const random = seeded(SEED)
    const env = { ...HASH_KEY, DATABASE: url }
    let gateway = await start(url)
    const { key } = await gateway.admin.createKey()
    const whole: CallAnswer[] = []
    const other: CallAnswer[] = []

    // In the second round the process dies while its records wait on disk.
    for (const killed of [false, true]) {
      const load = startLoad(gateway, key, { random, whole, other })
      const before = whole.length
      await waitFor('answers', () => whole.length >= before + 50)
      await server.stop()
      await sleep(AWAY_MS)
      const meanwhile = whole.length
      await waitFor('answers while it is away', () => whole.length >= meanwhile + 50)
      const metrics = await gateway.admin.metrics()
      expect(metrics.sum('tollgate_store_up')).toBe(0)
      expect(metrics.sum('tollgate_ledger_pending_records')).toBeGreaterThan(50)
      expect(metrics.sum('tollgate_ledger_lag_seconds')).toBeGreaterThan(1)
      if (killed) gateway.child.kill('SIGKILL')
      await server.start()
      if (!killed) await waitFor('more answers', () => whole.length >= meanwhile + 150)
      await load.stop()
      if (killed) gateway = await startGateway({ folder: gateway.folder, env })
    }
    // Only the kill, never the database, has cost an answer.
    expect(other.filter(({ status }) => status !== 0 && status !== 200)).toEqual([])

    const records = await gateway.admin.records()
    const ids = records.map(({ request_id }) => request_id)
    expect(new Set(ids).size).toBe(ids.length)
    const kept = new Set(ids)
    expect(whole.filter(({ requestId }) => !kept.has(requestId))).toEqual([])
    const rows = await server.run(
      url,
      'SELECT count(*) AS records, (SELECT count(*) FROM tollgate.record_bodies) AS bodies FROM tollgate.records',
    )
    expect(rows).toEqual([{ records: String(ids.length), bodies: String(ids.length) }])
    const verified = await gateway.cli('ledger', 'verify')
    expect(verified.out).toMatch(/1 counters counted again: 0 differences/)
    const { used, reserved } = await gateway.admin.limit('life')
    const tokens = records.reduce(
      (sum, { usage: { input, output, cache_read, cache_write_5m, cache_write_1h } }) =>
        sum +
        [input, output, cache_read, cache_write_5m, cache_write_1h].reduce<number>(
          (all, one) => all + (one ?? 0),
          0,
        ),
      0,
    )
    expect(used + reserved).toBeGreaterThanOrEqual(tokens)
    console.log(
      `${whole.length} answers whole, ${ids.length} records; away twice for ${AWAY_MS} ms`,
    )
  })

  it('is away: keys go on working, changes are refused, the gateway stays ready and says so', async () => {
    const url = await server.createDatabase()
    const gateway = await start(url)
    const { key, id } = await gateway.admin.createKey()
    await server.stop()
    expect((await ask(gateway, key)).status).toBe(200)
    for (const [method, path, body] of [
      ['POST', '/keys', { name: 'x' }],
      ['DELETE', `/keys/${id}`, undefined],
      ['PUT', '/policies/p', {}],
      ['GET', '/usage', undefined],
    ] as const) {
      expect(await gateway.admin.raw(method, path, body)).toMatchObject({
        status: 503,
        body: { error: { code: 'store_unavailable', message: /database does not answer/ } },
      })
    }
    const ready = await fetch(`${gateway.proxyUrl}/health/ready`)
    expect(ready.status).toBe(200)
    expect(await ready.json()).toMatchObject({
      status: 'ready',
      checks: { ledger: 'ok', database: expect.stringMatching(/1 records wait for it on disk/) },
    })
    await server.start()
    await waitFor('the record', async () => {
      const { status, body } = await gateway.admin.raw('GET', '/usage')
      return status === 200 && JSON.stringify(body).includes('"total":1')
    })
    await waitFor(
      'the spool',
      async () => (await gateway.admin.metrics()).sum('tollgate_store_up') === 1,
    )
    const { key: second } = await gateway.admin.createKey()
    expect((await ask(gateway, second)).status).toBe(200)
  })

  it('fills the spool: spending stops with ledger_unavailable and goes on by itself', async () => {
    const gateway = await start(await server.createDatabase(), { spool_max: '64KiB' })
    const { key } = await gateway.admin.createKey()
    await server.stop()
    const refused = await waitFor('a refusal', async () => {
      const answer = await ask(gateway, key)
      return answer.status !== 200 && answer
    })
    expect(refused.status).toBe(503)
    expect(refused.text).toContain('ledger_unavailable')
    expect((await fetch(`${gateway.proxyUrl}/health/ready`)).status).toBe(503)
    await server.start()
    await waitFor('spending', async () => (await ask(gateway, key)).status === 200)
  })

  it('two gateways: what one changes holds at the other within a second', async () => {
    const url = await server.createDatabase()
    const [one, two] = await Promise.all([start(url), start(url)])
    const { key, id } = await one.admin.createKey()
    const seen = async (what: string, status: number): Promise<number> => {
      const startedMs = performance.now()
      await waitFor(what, async () => (await ask(two, key)).status === status)
      return performance.now() - startedMs
    }
    const took = [await seen('the new key', 200)]
    await one.admin.send('PATCH', `/keys/${id}`, { enabled: false })
    took.push(await seen('a disabled key', 401))
    await one.admin.send('PATCH', `/keys/${id}`, { enabled: true })
    took.push(await seen('an enabled key', 200))
    await one.admin.send('PUT', '/policies/none', { models: { deny: ['*'] } })
    await one.admin.send('PATCH', `/keys/${id}`, { policies: ['none'] })
    took.push(await seen('a policy', 403))
    await one.admin.send('PUT', '/policies/none', {})
    took.push(await seen('a changed policy', 200))
    await one.admin.send('DELETE', `/keys/${id}`)
    took.push(await seen('a revoked key', 401))
    expect(Math.max(...took)).toBeLessThan(1000)
    console.log(`seen by the other gateway after ${took.map(Math.round).join(', ')} ms`)
    // Both write to one ledger, and both read all of it.
    await waitFor('one ledger', async () => {
      const [a, b] = await Promise.all([one.admin.records(), two.admin.records()])
      return a.length > 5 && a.length === b.length
    })
  })

  it('backends that are killed are replaced, without a failure that anybody sees', async () => {
    const url = await server.createDatabase()
    const gateway = await start(url)
    const { key, id } = await gateway.admin.createKey()
    const answers: number[] = []
    for (let round = 0; round < 10; round++) {
      await server.run(
        url,
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
      )
      answers.push((await ask(gateway, key)).status)
      answers.push((await gateway.admin.raw('PATCH', `/keys/${id}`, { name: `n${round}` })).status)
    }
    expect(new Set(answers)).toEqual(new Set([200]))
    await waitFor('all records', async () => {
      const { status, body } = await gateway.admin.raw('GET', '/usage')
      return status === 200 && JSON.stringify(body).includes('"total":10')
    })
  })

  it('is away at the start: the gateway waits as long as it is told, and never shows the password', async () => {
    const url = await server.createDatabase()
    await server.stop()
    const folder = tempFolder()
    writeConfig(folder, configOf({ wait: '0s' }))
    const env = { ...HASH_KEY, DATABASE: url }
    const refused = await tollgate(['serve', '--port', '0', '--admin-port', '0'], { folder, env })
    expect(refused.code).toBe(1)
    expect(refused.err).toMatch(
      /database at 127\.0\.0\.1:\d+\/test_\d+ does not answer: .*ECONNREFUSED/,
    )
    const offline = await tollgate(['key', 'list'], { folder, env })
    expect(offline.code).toBe(1)
    expect(offline.err).toMatch(/does not answer/)

    const starting = start(url, { wait: '30s' })
    await sleep(1000)
    await server.start()
    const gateway = await starting
    const { key } = await gateway.admin.createKey()
    expect((await ask(gateway, key)).status).toBe(200)
    const shown = await gateway.cli('config', 'show')
    expect(shown.out).toContain('env:DATABASE')
    for (const text of [
      refused.err,
      offline.err,
      gateway.child.stdout(),
      gateway.child.stderr(),
      shown.out,
    ]) {
      expect(text).not.toContain('postgres-canary')
    }
  })
})

function ask(gateway: Gateway, key: string): Promise<CallAnswer> {
  const { path, body } = askOf({ model: 'words-5' })
  return call(`${gateway.proxyUrl}${path}`, { key, body })
}

/** Clients that call again as soon as they have an answer, until stopped or the gateway is gone. */
function startLoad(
  gateway: Gateway,
  key: string,
  seen: {
    readonly random: () => number
    readonly whole: CallAnswer[]
    readonly other: CallAnswer[]
  },
): { stop(): Promise<void> } {
  const agent = new Agent({ keepAlive: true })
  const load = { stopped: false }
  const client = async (): Promise<void> => {
    while (!load.stopped) {
      const model = MODELS[Math.floor(seen.random() * MODELS.length)] ?? 'words-5'
      const protocol = seen.random() < 0.5 ? 'openai' : 'anthropic'
      const { path, body } = askOf({ protocol, model, stream: seen.random() < 0.5 })
      const answer = await call(`${gateway.proxyUrl}${path}`, { key, body, agent })
      if (answer.whole && answer.status === 200) seen.whole.push(answer)
      else seen.other.push(answer)
      if (answer.status === 0) return
    }
  }
  const clients = Promise.all(Array.from({ length: CLIENTS }, client))
  return {
    async stop() {
      load.stopped = true
      await clients
      agent.destroy()
    },
  }
}

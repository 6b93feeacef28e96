import { Agent } from 'node:http'
import path from 'node:path'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { hasRedis, startRedis } from '../packages/gateway/src/testing/redis-process.ts'
import { type CallAnswer, askOf, call, seeded } from './harness/call.ts'
import { startProcess } from './harness/child.ts'
import { closeAll, onClose } from './harness/cleanup.ts'
import { ROOT, tempFolder } from './harness/folders.ts'
import { type Gateway, startGateway } from './harness/gateway.ts'
import { startSandboxProcess } from './harness/sandbox.ts'
import { waitFor } from './harness/wait-for.ts'
import { wasSent } from './harness/was-sent.ts'

/** 200 are the proof, and take a quarter of an hour: `E2E_KILLS=200 npx vitest run --project e2e e2e/kill.test.ts -t 'kill -9'`. */
const KILLS = Number(process.env['E2E_KILLS'] ?? 20)
const CLIENTS = 24
/** On a quiet machine the slowest is ready in a fifth of it; `bench/ready.ts` has the figures. */
const READY_MS = 10_000
/** Calls that are under way when the gateway is killed, and how many starts are killed after it. */
const OPEN = 7
const STARTS = 8
const MAIN = path.join(ROOT, 'packages', 'gateway', 'src', 'main.ts')
const SERVE = ['serve', '--port', '0', '--admin-port', '0']
const SEED = Number(process.env['E2E_SEED'] ?? 20_261_121)

vi.setConfig({ testTimeout: Math.max(120_000, KILLS * 20_000) })
afterAll(closeAll)

type Load = {
  /** Answers that came whole, with a 200. */
  readonly whole: readonly CallAnswer[]
  readonly stop: () => Promise<readonly CallAnswer[]>
}

const MODELS = ['words-30', 'words-5', 'words-60+delay-1', 'tool', 'cached', 'reasoning']

/** Clients that call again as soon as they have an answer, until stopped or the gateway is gone. */
function startLoad(gateway: Gateway, key: string, random: () => number): Load {
  const agent = new Agent({ keepAlive: true })
  const whole: CallAnswer[] = []
  const all: CallAnswer[] = []
  const load = { stopped: false }
  const client = async (): Promise<void> => {
    while (!load.stopped) {
      const model = MODELS[Math.floor(random() * MODELS.length)] ?? 'words-5'
      const protocol = random() < 0.5 ? 'openai' : 'anthropic'
      const { path: url, body } = askOf({ protocol, model, stream: random() < 0.5 })
      const answer = await call(`${gateway.proxyUrl}${url}`, { key, body, agent })
      all.push(answer)
      if (answer.whole && answer.status === 200) whole.push(answer)
      if (answer.status === 0) return
    }
  }
  const clients = Promise.all(Array.from({ length: CLIENTS }, client))
  return {
    whole,
    async stop() {
      load.stopped = true
      await clients
      agent.destroy()
      return all
    },
  }
}

describe('a gateway that ends under load', () => {
  it(`kill -9, ${KILLS} times: what was answered is in the ledger and in the counters`, async () => {
    const random = seeded(SEED)
    const sandbox = await startSandboxProcess()
    const folder = tempFolder()
    const config = {
      log: { level: 'warn' },
      providers: { local: sandbox.provider },
      policy: {
        default_provider: 'local',
        limits: [
          { id: 'life', scope: 'key', unit: 'tokens', algorithm: 'lifetime', amount: 1e12 },
          {
            id: 'day',
            scope: 'key',
            unit: 'requests',
            algorithm: 'fixed',
            amount: 1e9,
            window: '7d',
          },
        ],
      },
    }
    let gateway = await startGateway({ folder, config })
    const { key } = await gateway.admin.createKey()
    const promised = new Set<string>()
    const readyTimes: number[] = []
    let lifeUsed = 0
    let restarted = 0
    for (let round = 0; round < KILLS; round++) {
      const load = startLoad(gateway, key, random)
      const enough = 40 + Math.floor(random() * 120)
      await waitFor('enough answers', () => load.whole.length >= enough)
      gateway.child.kill('SIGKILL')
      await gateway.child.exited
      await load.stop()
      for (const { requestId } of load.whole) promised.add(requestId)

      gateway = await startGateway({ folder })
      readyTimes.push(gateway.readyMs)
      const records = await gateway.admin.records()
      const kept = new Set(records.map(({ request_id }) => request_id))
      expect([...promised].filter((id) => !kept.has(id))).toEqual([])
      const ledger = records.reduce(
        (sum, { usage: { input, output, cache_read, cache_write_5m, cache_write_1h } }) =>
          sum +
          [input, output, cache_read, cache_write_5m, cache_write_1h].reduce<number>(
            (all, one) => all + (one ?? 0),
            0,
          ),
        0,
      )
      const life = await gateway.admin.limit('life')
      const day = await gateway.admin.limit('day')
      // To the token: what was open is settled at its reservation, and has a record that says so.
      expect({ used: life.used, reserved: life.reserved }).toEqual({ used: ledger, reserved: 0 })
      expect(ledger).toBeGreaterThanOrEqual(lifeUsed)
      const sent = records.filter(wasSent)
      expect({ used: day.used, reserved: day.reserved }).toEqual({ used: sent.length, reserved: 0 })
      lifeUsed = ledger
      restarted = records.filter(({ error_class }) => error_class === 'gateway_restarted').length
    }
    const bill = await sandbox.bill()
    const records = await gateway.admin.records()
    const recorded = new Set(records.filter(wasSent).map(({ request_id }) => request_id))
    const billed = bill.items.map(({ gatewayRequestId }) => gatewayRequestId ?? '')
    expect(billed.filter((id) => !recorded.has(id))).toEqual([])
    expect(restarted).toBeGreaterThan(0)
    const slowest = Math.max(...readyTimes)
    console.log(
      `${KILLS} kills: ${promised.size} answers whole, ${bill.items.length} calls billed, ${restarted} settled at a start; ready in ${Math.round(readyTimes.toSorted((a, b) => a - b)[KILLS / 2] ?? 0)} ms, ${Math.round(slowest)} at most`,
    )
    expect(promised.size).toBeGreaterThan(KILLS * 40)
    const verified = await gateway.cli('ledger', 'verify', '--chain')
    expect(verified).toMatchObject({ code: 0, out: expect.stringContaining(': 0 differences') })
    expect(verified.out).toContain(': 0 findings')
    expect(slowest).toBeLessThanOrEqual(READY_MS)
    expect((await gateway.cli('doctor')).err).not.toMatch(/corrupt|malformed/i)
  })

  it('kill -9 of calls under way, and of the starts after it: each is settled once, at its reservation', async () => {
    const random = seeded(SEED)
    const sandbox = await startSandboxProcess()
    const folder = tempFolder()
    const price = { input: 1, output: 2 }
    const gateway = await startGateway({
      folder,
      config: {
        log: { level: 'warn' },
        providers: { local: sandbox.provider },
        models: { slow: { price, targets: [{ provider: 'local', model: 'words-400+delay-50' }] } },
        policy: {
          default_provider: 'local',
          limits: [
            { id: 'money', scope: 'key', unit: 'usd', algorithm: 'lifetime', amount: 10 },
            {
              id: 'out',
              scope: 'key',
              unit: 'output_tokens',
              algorithm: 'sliding',
              amount: 1e6,
              window: '24h',
            },
            {
              id: 'first',
              scope: 'key',
              unit: 'requests',
              algorithm: 'fixed',
              align: 'first_use',
              amount: 100,
              window: '1h',
            },
          ],
        },
      },
    })
    const { key } = await gateway.admin.createKey()
    const agent = new Agent({ keepAlive: true })
    const asked = Array.from({ length: OPEN }, () => {
      const { path: url, body } = askOf({ model: 'slow', stream: true, maxTokens: 500 })
      return call(`${gateway.proxyUrl}${url}`, { key, body, agent })
    })
    await waitFor('calls under way', async () => (await sandbox.billNow()).items.length === OPEN)
    const held = {
      money: (await gateway.admin.limit('money')).reserved,
      out: (await gateway.admin.limit('out')).reserved,
      first: (await gateway.admin.limit('first')).reserved,
    }
    expect(held).toMatchObject({ out: OPEN * 500, first: OPEN })
    gateway.child.kill('SIGKILL')
    await Promise.all([gateway.child.exited, ...asked])
    agent.destroy()
    for (let round = 0; round < STARTS; round++) {
      const child = startProcess(process.execPath, [MAIN, ...SERVE], {
        cwd: folder,
        env: { HOME: folder },
      })
      const killed = setTimeout(() => child.kill('SIGKILL'), 150 + random() * 500)
      await child.exited
      clearTimeout(killed)
    }
    const after = await startGateway({ folder })
    const records = await after.admin.records()
    expect(records).toHaveLength(OPEN)
    for (const record of records) {
      expect(record).toMatchObject({
        error_class: 'gateway_restarted',
        estimated: true,
        complete: false,
        usage: { output: 500 },
      })
    }
    for (const [id, used] of Object.entries(held)) {
      expect(await after.admin.limit(id)).toMatchObject({ used, reserved: 0 })
    }
  })

  it.skipIf(!hasRedis())(
    'kill -9 of calls under way that hold limits in Redis: settled once, by the next start, for all gateways',
    async () => {
      const random = seeded(SEED)
      const redis = await startRedis()
      onClose(() => redis.stop())
      const sandbox = await startSandboxProcess()
      const price = { input: 1, output: 2 }
      const config = {
        log: { level: 'warn' },
        limits: { backend: redis.url, timeout: '5s' },
        providers: { local: sandbox.provider },
        models: { slow: { price, targets: [{ provider: 'local', model: 'words-400+delay-50' }] } },
        policy: {
          default_provider: 'local',
          limits: [
            { id: 'money', scope: 'global', unit: 'usd', algorithm: 'lifetime', amount: 10 },
            {
              id: 'calls',
              scope: 'global',
              unit: 'requests',
              algorithm: 'sliding',
              amount: 1e6,
              window: '24h',
            },
            { id: 'at-once', scope: 'global', unit: 'concurrent', amount: OPEN },
          ],
        },
      }
      const folder = tempFolder()
      const [other, gateway] = await Promise.all([
        startGateway({ config }),
        startGateway({ folder, config }),
      ])
      const { key } = await gateway.admin.createKey()
      const agent = new Agent({ keepAlive: true })
      const asked = Array.from({ length: OPEN }, () => {
        const { path: url, body } = askOf({ model: 'slow', stream: true, maxTokens: 500 })
        return call(`${gateway.proxyUrl}${url}`, { key, body, agent })
      })
      await waitFor('calls under way', async () => (await sandbox.billNow()).items.length === OPEN)
      const held = (await other.admin.limit('money')).reserved
      expect(held).toBeGreaterThan(OPEN * 500 * 2e-6)
      gateway.child.kill('SIGKILL')
      await Promise.all([gateway.child.exited, ...asked])
      agent.destroy()
      expect(await other.admin.limit('money')).toMatchObject({ used: 0, reserved: held })
      for (let round = 0; round < STARTS; round++) {
        const child = startProcess(process.execPath, [MAIN, ...SERVE], {
          cwd: folder,
          env: { HOME: folder },
        })
        const killed = setTimeout(() => child.kill('SIGKILL'), 150 + random() * 500)
        await child.exited
        clearTimeout(killed)
      }
      const after = await startGateway({ folder })
      expect(await other.admin.limit('money')).toMatchObject({ used: held, reserved: 0 })
      expect(await other.admin.limit('calls')).toMatchObject({ used: OPEN, reserved: 0 })
      const records = await after.admin.records()
      expect(records).toHaveLength(OPEN)
      for (const record of records) {
        expect(record).toMatchObject({ error_class: 'gateway_restarted', estimated: true })
      }
      const cost = records.reduce((sum, { cost_nanousd }) => sum + (cost_nanousd ?? 0), 0)
      expect(cost).toBe(Math.round(held * 1e9))
      // Their places are free again.
      const { path: url, body } = askOf({ model: 'slow', stream: true, maxTokens: 5 })
      expect((await call(`${after.proxyUrl}${url}`, { key, body })).status).toBe(200)
    },
  )

  it.each(['SIGTERM', 'SIGINT'] as const)(
    '%s: every request under way ends whole',
    async (signal) => {
      const sandbox = await startSandboxProcess()
      const gateway = await startGateway({
        config: {
          log: { level: 'warn' },
          providers: { local: sandbox.provider },
          policy: { default_provider: 'local' },
        },
      })
      const { key } = await gateway.admin.createKey()
      const agent = new Agent({ keepAlive: true })
      const asked = Array.from({ length: 20 }, (_, i) => {
        const protocol = i % 2 === 0 ? 'openai' : 'anthropic'
        const { path: url, body } = askOf({
          protocol,
          model: 'words-50+delay-20',
          stream: i % 4 < 2,
        })
        return call(`${gateway.proxyUrl}${url}`, { key, body, agent })
      })
      await waitFor('20 requests under way', async () => {
        const { items } = await sandbox.billNow()
        return items.length === 20 && items.every((line) => line.outcome === 'open')
      })
      const asOf = performance.now()
      gateway.child.kill(signal)
      const answers = await Promise.all(asked)
      const exit = await gateway.child.exited
      const tookMs = performance.now() - asOf
      agent.destroy()
      expect(answers.filter(({ status, whole }) => status !== 200 || !whole)).toEqual([])
      expect(exit).toEqual({ code: 0, signal: null })
      console.log(`${signal}: 20 requests ended whole, the process after ${Math.round(tookMs)} ms`)
      // They were waited for; connections that clients keep open were not.
      expect(tookMs).toBeGreaterThan(200)
      expect(tookMs).toBeLessThan(5000)
      const again = await startGateway({ folder: gateway.folder })
      const records = await again.admin.records()
      expect(records).toHaveLength(20)
      expect(records.filter(({ complete }) => !complete)).toEqual([])
      expect(new Set(records.map(({ usage }) => usage.output))).toEqual(new Set([50]))
    },
  )
})

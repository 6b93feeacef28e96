import { Agent } from 'node:http'
import { afterAll, describe, expect, it } from 'vitest'
import { type CallAnswer, askOf, call, seeded } from './harness/call.ts'
import { closeAll } from './harness/cleanup.ts'
import { tempFolder } from './harness/folders.ts'
import { type Gateway, startGateway } from './harness/gateway.ts'
import { startSandboxProcess } from './harness/sandbox.ts'
import { waitFor } from './harness/wait-for.ts'

const KILLS = 20
const CLIENTS = 24
const READY_MS = 2000
const SEED = Number(process.env['E2E_SEED'] ?? 20_261_121)

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
      const { path, body } = askOf({ protocol, model, stream: random() < 0.5 })
      const answer = await call(`${gateway.proxyUrl}${path}`, { key, body, agent })
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
      expect(life.used + life.reserved).toBeGreaterThanOrEqual(ledger)
      expect(life.used + life.reserved).toBeGreaterThanOrEqual(lifeUsed)
      expect(day.used + day.reserved).toBeGreaterThanOrEqual(records.length)
      lifeUsed = ledger
    }
    const bill = await sandbox.bill()
    const slowest = Math.max(...readyTimes)
    console.log(
      `${KILLS} kills: ${promised.size} answers whole, ${bill.items.length} calls billed; ready in ${Math.round(slowest)} ms at most`,
    )
    expect(promised.size).toBeGreaterThan(KILLS * 40)
    expect(slowest).toBeLessThanOrEqual(READY_MS)
    expect((await gateway.cli('doctor')).err).not.toMatch(/corrupt|malformed/i)
  })

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
        const { path, body } = askOf({ protocol, model: 'words-50+delay-20', stream: i % 4 < 2 })
        return call(`${gateway.proxyUrl}${path}`, { key, body, agent })
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

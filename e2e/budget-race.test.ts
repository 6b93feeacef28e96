import { Agent } from 'node:http'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { hasRedis, startRedis } from '../packages/gateway/src/testing/redis-process.ts'
import { call, type CallAnswer } from './harness/call.ts'
import { closeAll, onClose } from './harness/cleanup.ts'
import { type Gateway, startGateway } from './harness/gateway.ts'
import { nothingOpen } from './harness/nothing-open.ts'
import { startSandboxProcess } from './harness/sandbox.ts'
import { waitFor } from './harness/wait-for.ts'

const ROUNDS = 3
const CALLS = 5
const BUDGET_USD = 0.45
const BUDGET_NANO = 450_000_000
/** One token each for the sandbox's counter. */
const INPUT_TOKENS = 300_000
const REFUSED = new Set([402, 429])

type Counters = { readonly items: readonly { readonly used: number; readonly reserved: number }[] }
type Fleet = { readonly gateways: readonly Gateway[]; readonly agent: Agent }

async function fleet(size: number, limits: object): Promise<Fleet> {
  const sandbox = await startSandboxProcess()
  const config = {
    log: { level: 'warn' },
    limits,
    providers: { local: sandbox.provider },
    models: {
      dear: {
        price: { input: 0.5, output: 1 },
        context: 400_000,
        max_output: 1000,
        targets: [{ provider: 'local', model: 'words-3' }],
      },
    },
    policy: { default_provider: 'local' },
  }
  const gateways = await Promise.all(Array.from({ length: size }, () => startGateway({ config })))
  const agent = new Agent({ keepAlive: true })
  onClose(() => agent.destroy())
  return { gateways, agent }
}

/** Looks at the counter while the calls run: the highest that was seen of used and reserved. Nano-dollars. */
function watchPeak({ admin }: Gateway): () => number {
  let peak = 0
  const look = setInterval(() => {
    void admin.get<Counters>('/limits?id=money').then(({ items }) => {
      for (const { used, reserved } of items) {
        peak = Math.max(peak, Math.round((used + reserved) * 1e9))
      }
      return peak
    })
  }, 20)
  return () => {
    clearInterval(look)
    return peak
  }
}

/** Nano-dollars. */
type Outcome = {
  readonly passed: number
  readonly spent: number
  readonly peak: number
  readonly odd: readonly CallAnswer[]
}

/** The five calls of one user who has a key at each gateway. */
async function race({ gateways, agent }: Fleet, user: string, stream: boolean): Promise<Outcome> {
  const limits = [
    { id: 'money', scope: 'user', unit: 'usd', algorithm: 'lifetime', amount: BUDGET_USD },
  ]
  const keys = await Promise.all(
    gateways.map(({ admin }) => admin.createKey({ subject: { user }, policy: { limits } })),
  )
  const content = ' a'.repeat(INPUT_TOKENS)
  const body = { model: 'dear', stream, max_tokens: 100, messages: [{ role: 'user', content }] }
  const peaks = gateways.map(watchPeak)
  const answers = await Promise.all(
    Array.from({ length: CALLS }, (_, i) => {
      const at = i % gateways.length
      const url = `${gateways[at]?.proxyUrl}/v1/chat/completions`
      return call(url, { key: keys[at]?.key ?? '', body, agent })
    }),
  )
  const peak = Math.max(...peaks.map((stop) => stop()))
  for (const { admin } of gateways) await nothingOpen(admin)
  const ids = new Set(keys.map(({ id }) => id))
  const records = (await Promise.all(gateways.map(({ admin }) => admin.records()))).flat()
  const spent = records
    .filter(({ key_id }) => ids.has(key_id ?? ''))
    .reduce((sum, { cost_nanousd }) => sum + (cost_nanousd ?? 0), 0)
  await waitFor('the counter to say what the records say', async () => {
    const counters = await gateways[0]?.admin.get<Counters>(`/limits?id=money&value=${user}`)
    return Math.round((counters?.items[0]?.used ?? 0) * 1e9) === spent
  })
  const passed = answers.filter(isWhole).length
  console.log(
    `${passed} of ${CALLS} passed, ${spent / 1e9} dollars spent, ${peak / 1e9} at the peak`,
  )
  const odd = answers.filter((one) => !isWhole(one) && !REFUSED.has(one.status))
  return { passed, spent, peak, odd }
}

/** So long a text is bounded by its bytes, twice its tokens: one fits at a time, and no third after two. */
const NEVER_ABOVE = {
  passed: expect.toSatisfy((passed: number) => passed === 1 || passed === 2),
  spent: expect.toSatisfy((spent: number) => spent > 0 && spent <= BUDGET_NANO),
  peak: expect.toSatisfy((peak: number) => peak > 0 && peak <= BUDGET_NANO),
  odd: [],
}

function isWhole({ status, whole }: CallAnswer): boolean {
  return status === 200 && whole
}

const SHAPES = [
  ['whole', false],
  ['streamed', true],
] as const

describe(`five calls of 300,000 input tokens at once, with ${BUDGET_USD} dollars left`, () => {
  afterEach(closeAll)
  afterAll(closeAll)

  it.each(SHAPES)('one gateway, %s: never above', async (_, stream) => {
    const one = await fleet(1, {})
    for (let round = 0; round < ROUNDS; round++) {
      expect(await race(one, `user-${round}`, stream)).toEqual(NEVER_ABOVE)
    }
    const verified = await one.gateways[0]?.cli('ledger', 'verify')
    expect(verified?.out).toContain(': 0 differences')
  })

  it.skipIf(!hasRedis()).each(SHAPES)(
    'two gateways with one Redis, %s: never above',
    async (_, stream) => {
      const redis = await startRedis()
      onClose(() => redis.stop())
      const both = await fleet(2, { backend: redis.url, timeout: '5s' })
      for (let round = 0; round < ROUNDS; round++) {
        expect(await race(both, `user-${round}`, stream)).toEqual(NEVER_ABOVE)
      }
    },
  )
})

import { Agent } from 'node:http'
import { afterAll, expect, it } from 'vitest'
import { call } from './harness/call.ts'
import { closeAll } from './harness/cleanup.ts'
import { startGateway } from './harness/gateway.ts'
import { startSandboxProcess } from './harness/sandbox.ts'

afterAll(closeAll)

const ROUNDS = 3
const BUDGET_USD = 0.45
/** One token each for the sandbox's counter. */
const INPUT_TOKENS = 300_000

it('five calls of 300,000 input tokens at once on a key with 0.45 dollars: never above 0.45', async () => {
  const sandbox = await startSandboxProcess()
  const target = { provider: 'local', model: 'words-3' }
  const gateway = await startGateway({
    config: {
      log: { level: 'warn' },
      providers: { local: sandbox.provider },
      models: {
        dear: {
          price: { input: 0.5, output: 1 },
          context: 400_000,
          max_output: 1000,
          targets: [target],
        },
      },
      policy: { default_provider: 'local' },
    },
  })
  const agent = new Agent({ keepAlive: true })
  const content = ' a'.repeat(INPUT_TOKENS)
  const body = { model: 'dear', max_tokens: 100, messages: [{ role: 'user', content }] }
  for (let round = 0; round < ROUNDS; round++) {
    const { key, id } = await gateway.admin.createKey({
      policy: {
        limits: [
          { id: 'money', scope: 'key', unit: 'usd', algorithm: 'lifetime', amount: BUDGET_USD },
        ],
      },
    })
    const peaks: number[] = []
    const watch = setInterval(() => {
      void gateway.admin
        .get<{ items: { used: number; reserved: number }[] }>(`/limits?id=money&value=${id}`)
        .then(({ items }) => peaks.push(...items.map(({ used, reserved }) => used + reserved)))
    }, 20)
    const answers = await Promise.all(
      Array.from({ length: 5 }, () =>
        call(`${gateway.proxyUrl}/v1/chat/completions`, { key, body, agent }),
      ),
    )
    clearInterval(watch)
    const passed = answers.filter(({ status }) => status === 200).length
    const spent = (await gateway.admin.records())
      .filter(({ key_id }) => key_id === id)
      .reduce((sum, { cost_nanousd }) => sum + (cost_nanousd ?? 0), 0)
    console.log(
      `${passed} of 5 passed, ${spent / 1e9} dollars spent, ${Math.max(0, ...peaks)} at the peak`,
    )
    // So long a text is bounded by its bytes, twice its tokens: one fits at a time, and no third after two.
    expect(passed).toBeGreaterThanOrEqual(1)
    expect(passed).toBeLessThanOrEqual(2)
    expect(spent).toBeLessThanOrEqual(BUDGET_USD * 1e9)
    expect(Math.max(0, ...peaks)).toBeLessThanOrEqual(BUDGET_USD)
    expect(
      answers.filter(({ status }) => status !== 200 && status !== 402 && status !== 429),
    ).toEqual([])
  }
  agent.destroy()
  expect((await gateway.cli('ledger', 'verify')).out).toContain(': 0 differences')
})

import OpenAI from 'openai'
import Anthropic from '@anthropic-ai/sdk'
import { afterAll, expect, it } from 'vitest'
import { closeAll } from './harness/cleanup.ts'
import { refusing, startFakeProvider } from './harness/fake-provider.ts'
import { startGateway } from './harness/gateway.ts'

afterAll(closeAll)

const CALLS = 25

it.each([
  ['answers 500', false],
  ['answers nothing', true],
])(
  'a provider that %s gets at most 1.2 attempts per call of official clients',
  async (_how, silent) => {
    const provider = await startFakeProvider(refusing(500))
    if (silent) provider.manner = (response) => void response.destroy()
    const gateway = await startGateway({
      config: {
        providers: {
          one: {
            protocol: ['openai-chat', 'anthropic-messages'],
            base_url: `${provider.url}/v1`,
            credential: 'none',
            allow_private: true,
          },
        },
        models: { m: { targets: [{ provider: 'one' }] } },
      },
    })
    const { key } = await gateway.admin.createKey()
    const openai = new OpenAI({ apiKey: key, baseURL: `${gateway.proxyUrl}/v1` })
    const anthropic = new Anthropic({ apiKey: key, baseURL: gateway.proxyUrl })
    const messages = [{ role: 'user' as const, content: 'hi' }]
    const outcomes = await Promise.allSettled(
      Array.from({ length: CALLS }, (_, index) =>
        index % 2 === 0
          ? openai.chat.completions.create({ model: 'm', messages })
          : anthropic.messages.create({ model: 'm', max_tokens: 9, messages }),
      ),
    )
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true)
    expect(provider.calls.length).toBeGreaterThanOrEqual(CALLS)
    expect(provider.calls.length / CALLS).toBeLessThanOrEqual(1.2)
  },
  60_000,
)

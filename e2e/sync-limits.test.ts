import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { call } from './harness/call.ts'
import { closeAll } from './harness/cleanup.ts'
import { type FakeProvider, fine, refusing, startFakeProvider } from './harness/fake-provider.ts'
import { type Gateway, startGateway } from './harness/gateway.ts'

let provider: FakeProvider
let gateway: Gateway

beforeAll(async () => {
  provider = await startFakeProvider((response, request) => {
    response.setHeader('x-ratelimit-limit-tokens', '1000')
    response.setHeader('x-ratelimit-remaining-tokens', '700')
    response.setHeader('x-ratelimit-reset-tokens', '1m40s')
    fine(response, request)
  })
  const openai = { base_url: `${provider.url}/v1`, credential: 'env:KEY', allow_private: true }
  gateway = await startGateway({
    config: {
      providers: { openai, tried: { ...openai, protocol: 'openai-chat', credential: 'env:TRIED' } },
    },
    env: { KEY: 'sk-real', TRIED: 'test-key' },
  })
})
afterAll(closeAll)

async function ask(method: string, path: string): Promise<readonly [number, unknown]> {
  const headers = { authorization: `Bearer ${gateway.adminToken}` }
  const { status, text } = await call(`${gateway.adminUrl}${path}`, { method, headers })
  return [status, JSON.parse(text)]
}

it.each(['GET', 'POST'])('brings the global bucket to what the vendor says: %s', async (method) => {
  const [status, body] = await ask(method, '/sync/openai-limits')
  expect([status, body]).toEqual([
    200,
    {
      success: true,
      message: expect.any(String),
      openai_headers: expect.objectContaining({ 'x-ratelimit-remaining-tokens': '700' }),
      global_bucket: { tokens: 700, capacity: 1000, refill_per_sec: 3 },
    },
  ])
  const [, shown] = await ask('GET', '/buckets/global')
  expect(shown).toMatchObject({
    scope: 'global',
    bucket: { capacity: 1000, refillPerSec: 3 },
  })
  const { tokens } = Object(Object(shown)['bucket'])
  expect(tokens).toBeGreaterThanOrEqual(700)
  expect(tokens).toBeLessThan(760)
})

it('skips credentials of tests, and says what went wrong', async () => {
  expect(await ask('GET', '/sync/openai-limits?provider=tried')).toEqual([
    200,
    { status: 'skipped', reason: 'test environment detected' },
  ])
  provider.manner = refusing(500)
  expect(await ask('POST', '/sync/openai-limits')).toEqual([
    500,
    { detail: 'The provider openai answered 500.' },
  ])
  provider.manner = fine
  expect(await ask('POST', '/sync/openai-limits')).toEqual([
    500,
    { detail: 'the provider says nothing of its limits on tokens' },
  ])
  const { status } = await call(`${gateway.adminUrl}/sync/openai-limits`)
  expect(status).toBe(401)
})

it('does the same in the background, also from a reload on', async () => {
  provider.manner = (response, request) => {
    response.setHeader('x-ratelimit-limit-tokens', '5000')
    response.setHeader('x-ratelimit-remaining-tokens', '5000')
    response.setHeader('x-ratelimit-reset-tokens', '0s')
    fine(response, request)
  }
  const openai = { base_url: `${provider.url}/v1`, credential: 'env:KEY', allow_private: true }
  const sync = { every: '1s', provider: 'openai', model: 'small' }
  gateway.configure({ providers: { openai }, routing: { sync } })
  await vi.waitFor(
    async () => {
      const [, shown] = await ask('GET', '/buckets/global')
      expect(shown).toMatchObject({ bucket: { capacity: 5000 } })
    },
    { timeout: 20_000, interval: 200 },
  )
})

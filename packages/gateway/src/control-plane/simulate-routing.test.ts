import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { adminClient, codeOf, pathOf, type Call } from './testing/admin-client.ts'
import { testControl, type TestControl } from './testing/test-control.ts'

const price = (input: number): object => ({ input, output: input })
const CONFIG = {
  providers: {
    acme: {},
    other: { protocol: 'anthropic-messages', base_url: 'https://other.test', credential: 'none' },
  },
  models: {
    pair: {
      strategy: 'weighted',
      targets: [
        {
          provider: 'acme',
          model: 'a',
          weight: 3,
          price: price(1),
          capabilities: { tools: false },
        },
        { provider: 'other', model: 'b', weight: 1, price: price(10), context: 5000 },
      ],
    },
    turns: {
      strategy: 'round_robin',
      targets: [
        { provider: 'acme', model: 'a', weight: 2 },
        { provider: 'other', model: 'b', weight: 1 },
      ],
    },
  },
  aliases: { trial: { variants: [{ model: 'pair' }, { model: 'turns' }], sticky: 'session' } },
  policies: { cheap: { routing: { max_cost: 0.005 } }, none: { models: { deny: ['pair'] } } },
}

let test: TestControl
let call: Call
beforeEach(async () => {
  test = await testControl(CONFIG)
  call = adminClient(test.control)
})
afterEach(() => test.remove())

async function simulate(body: object): Promise<Readonly<Record<string, unknown>>> {
  const answer = await call('POST', '/routing/simulate', body)
  expect(answer.status).toBe(200)
  return answer.body
}

async function firstOf(body: object): Promise<string> {
  const { order, error } = await simulate(body)
  const [first] = Array.isArray(order) ? order : []
  return first?.target ?? JSON.stringify(error)
}

describe('/routing/simulate', () => {
  it('draws by weight, and the same for the same seed', async () => {
    const body = { model: 'pair', seed: 's', count: 4000 }
    const { distribution, routing, order } = await simulate(body)
    expect(distribution).toMatchObject([
      { target: 'acme/a', model: 'pair' },
      { target: 'other/b', model: 'pair' },
    ])
    const [first] = Array.isArray(distribution) ? distribution : []
    // Three standard deviations of 4000 draws of 3/4.
    expect(Math.abs(first.share - 0.75)).toBeLessThan(3 * Math.sqrt((0.75 * 0.25) / 4000))
    expect(routing).toMatchObject({
      strategy: 'weighted',
      reason: 'model',
      candidates: [{ propensity: expect.any(Number) }, { propensity: expect.any(Number) }],
    })
    expect(await simulate(body)).toMatchObject({ order, distribution })
  })

  it('says why a target is left out', async () => {
    const big = await simulate({ model: 'pair', input_tokens: 4000, max_tokens: 2000 })
    expect(big['routing']).toMatchObject({
      candidates: [{ target: 'acme/a' }, { target: 'other/b', rejected: 'context_overflow' }],
    })
    const tools = await simulate({ model: 'pair', needs: { tools: true } })
    expect(tools['routing']).toMatchObject({
      candidates: [
        { target: 'other/b', rejected: null },
        { target: 'acme/a', rejected: 'capability', detail: 'needs tools' },
      ],
    })
  })

  it('tells the refusal when nothing is left', async () => {
    const both = { model: 'pair', needs: { tools: true }, input_tokens: 9000 }
    expect(await simulate(both)).toMatchObject({
      order: [],
      error: { code: 'context_length_exceeded', status: 400 },
      distribution: [{ target: null, count: 1, share: 1 }],
    })
    expect(await simulate({ model: 'gone' })).toMatchObject({
      routing: null,
      error: { code: 'model_not_found', status: 404 },
    })
  })

  it('reads a request as the protocol does', async () => {
    const request = {
      model: 'pair',
      messages: [{ role: 'user', content: 'hi' }],
      tools: [{ type: 'function', function: { name: 'f' } }],
    }
    expect(await firstOf({ request })).toBe('other/b')
    const bad = await call('POST', '/routing/simulate', { request: { ...request, messages: 1 } })
    expect(bad.body).toMatchObject({ error: { code: 'invalid_request' } })
    const contents = [{ role: 'user', parts: [{ text: 'hi' }] }]
    const gemini = { model: 'pair', protocol: 'gemini', request: { contents } }
    expect(await firstOf(gemini)).toMatch(/^(acme|other)/)
  })

  it('makes way for others, however large the request and however many the seeds', async () => {
    const content = 'many words '.repeat(40_000)
    const request = { model: 'pair', messages: [{ role: 'user', content }] }
    let others = 0
    const other = setInterval(() => (others += 1), 1)
    const { count, error } = await simulate({ request, count: 2000 })
    clearInterval(other)
    expect([count, error]).toEqual([2000, null])
    expect(others).toBeGreaterThanOrEqual(3)
  })

  it('takes turns among its own seeds, and leaves the real turn where it was', async () => {
    const body = { model: 'turns', count: 3 }
    for (let again = 0; again < 2; again++) {
      const { distribution, order } = await simulate(body)
      expect(distribution).toMatchObject([
        { target: 'acme/a', count: 2 },
        { target: 'other/b', count: 1 },
      ])
      expect(order).toMatchObject([{ target: 'acme/a' }, { target: 'other/b' }])
    }
  })

  it('goes by the policy that is named, written or of a key, and by hints', async () => {
    const key = await call('POST', '/keys', { name: 'k', policies: ['cheap'] })
    const small = { model: 'pair', input_tokens: 1000, max_tokens: 500 }
    const written = { routing: { max_cost: 0.005 } }
    for (const who of [{ policy: 'cheap' }, { policy: written }, { key: key.body['id'] }]) {
      expect(await simulate({ ...small, ...who })).toMatchObject({
        routing: { candidates: [{ target: 'acme/a' }, { rejected: 'over_max_cost' }] },
      })
    }
    expect(await firstOf({ ...small, hints: { mode: 'cheap' } })).toBe('acme/a')
    expect(await firstOf({ ...small, hints: { min_weight: 2 } })).toBe('acme/a')
    expect(await firstOf({ ...small, policy: 'none' })).toContain('model_not_allowed')
    expect(await firstOf({ ...small, hints: { mode: 'chea' } })).toContain('no mode')
  })

  it('keeps a session at its variant', async () => {
    const body = { model: 'trial', session: 'one', count: 50 }
    const { routing, distribution } = await simulate(body)
    expect(routing).toMatchObject({ alias: 'trial', reason: 'alias' })
    const models = new Set(
      (Array.isArray(distribution) ? distribution : []).map((one) => one.model),
    )
    expect(models.size).toBe(1)
  })

  it.each([
    [{}, 'model'],
    [{ model: 'pair', count: 0 }, 'count'],
    [{ model: 'pair', count: 1e9 }, 'count'],
    [{ model: 'pair', key: 'a', policy: 'cheap' }, 'policy'],
    [{ model: 'pair', protocol: 'smtp' }, 'protocol'],
    [{ model: 'pair', request: { model: 'turns' } }, 'model'],
    [{ model: 'pair', request: {}, input_tokens: 5 }, 'input_tokens'],
    [{ model: 'pair', hints: { max_cost: -1 } }, 'hints.max_cost'],
    [{ model: 'pair', need: {} }, 'need'],
  ])('refuses %j', async (body, path) => {
    const answer = await call('POST', '/routing/simulate', body)
    expect([answer.status, codeOf(answer), pathOf(answer)]).toEqual([400, 'invalid_request', path])
  })
})

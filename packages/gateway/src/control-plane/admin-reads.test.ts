import { beforeAll, describe, expect, it } from 'vitest'
import { ConfigError } from '../config/config-error.ts'
import { PlanError } from '../plan/plan-error.ts'
import { usageRecord } from '../testing/usage-record.ts'
import { codeOf, pathOf, type Answer } from './testing/admin-client.ts'
import { CREDENTIAL } from './testing/test-control.ts'
import { useControl } from './testing/use-control.ts'

const START = 1_750_000_000_000
const MINUTE = 60_000
const CONFIG = {
  providers: {
    acme: { headers: { 'x-hidden': 'header-secret' } },
    local: {
      protocol: 'openai-chat',
      base_url: 'http://127.0.0.1:9/v1',
      credential: 'none',
      allow_private: true,
    },
    regional: { params: { resource: 'r', region: 'eu' } },
  },
  models: {
    fast: {
      targets: [
        { provider: 'acme', model: 'acme-1' },
        { provider: 'local', model: 'l-1' },
      ],
      strategy: 'priority',
    },
    'org/own': {
      targets: [{ provider: 'local', model: 'own' }],
      price: { input: 1.5, output: 3 },
      context: 4096,
    },
  },
}

function itemsOf({ body }: Answer): readonly Readonly<Record<string, unknown>>[] {
  const { items } = body
  return Array.isArray(items) ? items : []
}

describe('usage', () => {
  const used = useControl('one', CONFIG)
  const { call } = used

  beforeAll(async () => {
    const records = Array.from({ length: 5 }, (_, i) =>
      usageRecord({
        startedAtMs: START + i * MINUTE,
        requestId: `req_${i}`,
        keyId: i === 4 ? 'key_b' : 'key_a',
        model: i === 3 ? 'other' : 'gpt-4o-mini',
        provider: i === 3 ? 'anthropic' : 'openai',
        project: i === 2 ? 'site' : null,
        status: i === 1 ? 429 : 200,
        errorClass: i === 1 ? 'rate_limit_exceeded' : null,
      }),
    )
    for (const record of records) await used.control().ledger.append(record)
  })

  it('shows every field of a record', async () => {
    const [item] = itemsOf(await call('GET', '/usage?request_id=req_0'))
    expect(item).toMatchObject({
      request_id: 'req_0',
      started_at: new Date(START).toISOString(),
      key_id: 'key_a',
      endpoint: 'chat',
      protocol: 'openai-chat',
      requested_model: 'gpt-4o-mini',
      target: 'openai/gpt-4o-mini',
      attempts: [
        { target: 'openai/gpt-4o-mini', status: 200, error_class: null, duration_ms: 410.5 },
      ],
      usage: { input: 100, output: 20, cache_read: 0, cache_write_5m: null, reasoning: null },
      cost_nanousd: 27_000,
      ttft_ms: null,
      project: null,
    })
  })

  it.each([
    ['', ['req_4', 'req_3', 'req_2', 'req_1', 'req_0']],
    ['key=key_b', ['req_4']],
    ['key=key_', []],
    ['model=other', ['req_3']],
    ['provider=anthropic', ['req_3']],
    ['project=site', ['req_2']],
    ['status=429', ['req_1']],
    ['status=4xx', ['req_1']],
    ['status=2xx&key=key_b', ['req_4']],
    [`since=${new Date(START + 3 * MINUTE).toISOString()}`, ['req_4', 'req_3']],
    [`until=${new Date(START + MINUTE).toISOString()}`, ['req_0']],
    ['since=1h', []],
  ])('filters by %s', async (query, expected) => {
    const answer = await call('GET', `/usage?${query}`)
    expect(itemsOf(answer).map((item) => item['request_id'])).toEqual(expected)
    expect(answer.body['total']).toBe(expected.length)
  })

  it('pages', async () => {
    const first = await call('GET', '/usage?limit=3')
    const second = await call('GET', `/usage?limit=3&cursor=${String(first.body['next'])}`)
    expect([first, second].map((page) => itemsOf(page).length)).toEqual([3, 2])
    expect(second.body).toMatchObject({ total: 5, next: null })
  })

  it('sums up', async () => {
    const { body } = await call('GET', '/usage/summary?key=key_a')
    expect(body).toMatchObject({
      since: null,
      until: null,
      requests: 4,
      errors: 1,
      usage: { input: 400, output: 80, cache_read: 0 },
      cost_nanousd: 4 * 27_000,
      saved_nanousd: 0,
      by_key: [{ name: 'key_a', requests: 4 }],
    })
    expect(body['by_model']).toHaveLength(2)
    expect(body['by_provider']).toHaveLength(2)
  })

  it.each([
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['limit=ten', 'limit'],
    ['limit=1.5', 'limit'],
    ['cursor=nonsense', 'cursor'],
    ['status=ok', 'status'],
    ['status=600', 'status'],
    ['since=yesterday', 'since'],
    ['until=2030-01-01', 'until'],
    ['keys=key_a', 'keys'],
    ['key=a&key=b', 'key'],
    ['key=', 'key'],
  ])('refuses %s', async (query, path) => {
    const answer = await call('GET', `/usage?${query}`)
    expect([answer.status, codeOf(answer), pathOf(answer)]).toEqual([400, 'invalid_request', path])
  })

  it('refuses paging of a summary', async () => {
    const answer = await call('GET', '/usage/summary?limit=5')
    expect([answer.status, pathOf(answer)]).toEqual([400, 'limit'])
  })
})

describe('what is configured', () => {
  const used = useControl('one', CONFIG)
  const { call, control } = used

  it('lists providers with the reference of their credential', async () => {
    const answer = await call('GET', '/providers')
    expect(itemsOf(answer)).toMatchObject([
      {
        name: 'acme',
        protocols: ['openai-chat'],
        base_url: 'https://api.acme.test/v1',
        auth: 'bearer',
        credential: 'env:ACME_KEY',
        credential_missing: false,
        timeouts: { connect: '5s', first_byte: '5m', idle: '5m', total: '10m' },
      },
      { name: 'local', credential: null, credential_missing: false, allow_private: true },
      { name: 'regional', auth: 'none', credential: null },
    ])
    expect(answer.text).not.toContain(CREDENTIAL)
    expect(answer.text).not.toContain('header-secret')
  })

  it('tests a provider', async () => {
    const answer = await call('POST', '/providers/acme/test')
    expect(answer.body).toEqual({
      provider: 'acme',
      ok: false,
      status: 401,
      latency_ms: 12.5,
      problem: 'the provider refused the credential',
    })
    expect((await call('POST', '/providers/nope/test')).status).toBe(404)
  })

  it('discovers what a provider lists', async () => {
    const answer = await call('POST', '/providers/local/discover')
    expect(answer.body).toMatchObject({ provider: 'local', ok: true, status: 200, problem: null })
    expect(itemsOf(answer)).toMatchObject([
      { model: 'l-1', name: 'local/l-1', declared: true, known: false, price: null },
      { model: 'new/one', name: 'local/new/one', declared: false, context: null, max_output: null },
      { model: 'own', declared: true, known: true, price: { input: 1.5 }, context: 4096 },
    ])
    expect((await call('POST', '/providers/nope/discover')).status).toBe(404)
  })

  it('lists models: the declared ones first, with prices per million tokens', async () => {
    const items = itemsOf(await call('GET', '/models'))
    expect(items.map(({ name, declared, priced }) => [name, declared, priced])).toEqual([
      ['fast', true, false],
      ['org/own', true, true],
      ['acme/acme-1', false, true],
    ])
    expect(items[0]).toMatchObject({
      context: 128_000,
      targets: [
        {
          id: 'acme/acme-1',
          priced: true,
          price: { input: 0.15, output: 0.6, cache_read: 0.075, reasoning: null, tiers: [] },
          max_output: 16_384,
        },
        { id: 'local/l-1', priced: false, price: null, context: null },
      ],
    })
    expect(items[1]).toMatchObject({ price: { input: 1.5, output: 3 }, context: 4096 })
  })

  it.each([
    ['declared=true', 2],
    ['declared=false', 1],
    ['provider=acme', 2],
    ['provider=nobody', 0],
    ['limit=1', 3],
  ])('filters models by %s', async (query, total) => {
    expect((await call('GET', `/models?${query}`)).body['total']).toBe(total)
  })

  it('shows the health of every configured target, and forgets it when asked', async () => {
    const { body } = await call('GET', '/health')
    expect(body).toMatchObject({
      status: 'ok',
      version: '9.9.9',
      serving: true,
      checks: { ledger: 'ok' },
    })
    expect(body['targets']).toContainEqual({
      target: 'acme/acme-1',
      provider: 'acme',
      model: 'acme-1',
      state: 'healthy',
      circuit: 'closed',
      set_aside_until: null,
      consecutive_failures: 0,
      failure_share: 0,
      latency_ms: null,
      in_flight: 0,
    })
    expect(body['targets']).toHaveLength(3)
    const reset = await call('POST', `/health/${encodeURIComponent('acme/acme-1')}/reset`)
    expect([reset.status, reset.body]).toEqual([200, { reset: [] }])
    expect((await call('POST', '/health/reset', { target: 'acme/none' })).status).toBe(404)
    expect((await call('POST', '/health/reset', { targets: 1 })).status).toBe(400)
    expect((await call('POST', '/health/reset')).body).toEqual({ reset: [] })
  })

  it('shows stats as they are', async () => {
    expect((await call('GET', '/stats')).body).toEqual(control().stats())
  })

  it('shows the configuration without secrets', async () => {
    const answer = await call('GET', '/config')
    expect(answer.body).toMatchObject({
      file: null,
      revision: 1,
      from_env: [],
      missing_secrets: [],
    })
    expect(answer.text).toContain('org/own')
    expect(answer.text).not.toContain(CREDENTIAL)
    expect(answer.text).not.toContain('header-secret')
  })

  it('shows the schema of the file', async () => {
    const { body } = await call('GET', '/config/schema')
    expect(body).toMatchObject({ type: 'object' })
    expect(body['properties']).toHaveProperty('providers')
  })

  it('reloads, and keeps what runs when the file is wrong', async () => {
    const before = control().plan()
    const problem = { path: 'server.prot', line: 2, column: 3, message: 'unknown key "prot"' }
    used.place().nextConfig(new ConfigError('tollgate.yaml', [problem]))
    const wrong = await call('POST', '/config/reload')
    expect([wrong.status, codeOf(wrong), pathOf(wrong)]).toEqual([
      400,
      'invalid_config',
      'server.prot',
    ])
    expect(wrong.body).toMatchObject({ error: { problems: [{ path: 'server.prot', line: 2 }] } })
    used.place().nextConfig(new PlanError('models.x', 'cannot run'))
    const unfit = await call('POST', '/config/reload')
    expect([unfit.status, codeOf(unfit), pathOf(unfit)]).toEqual([
      400,
      'invalid_config',
      'models.x',
    ])
    expect(control().plan()).toBe(before)
    used.place().nextConfig({ ...CONFIG, policy: { max_output_tokens: 7 } })
    const done = await call('POST', '/config/reload')
    expect(done.body).toEqual({ reloaded: true, revision: 2 })
    expect(control().plan().policies.global).toEqual({ max_output_tokens: 7 })
  })
})

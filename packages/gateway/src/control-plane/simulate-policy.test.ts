import { describe, expect, it } from 'vitest'
import type { Demand } from '../contracts/limit.ts'
import { compileKey } from '../plan/compile-key.ts'
import { codeOf, pathOf } from './testing/admin-client.ts'
import { useControl } from './testing/use-control.ts'

const CONFIG = {
  providers: {
    acme: {},
    far: { protocol: 'anthropic-messages', base_url: 'http://far.test/v1', credential: 'none' },
  },
  models: {
    both: {
      targets: [
        { provider: 'acme', model: 'acme-1' },
        { provider: 'far', model: 'm', price: { input: 1, output: 2 } },
      ],
      max_output: 1000,
    },
    turns: {
      targets: [
        { provider: 'acme', model: 'acme-1', id: 'one', max_output: 100 },
        { provider: 'acme', model: 'acme-2', id: 'two', max_output: 100 },
      ],
      strategy: 'round_robin',
    },
  },
  policy: {
    limits: [
      { id: 'day', scope: 'key', unit: 'usd', algorithm: 'fixed', amount: 5, window: '24h' },
      { id: 'tokens', scope: 'user', unit: 'tokens', algorithm: 'lifetime', amount: 1000 },
      { id: 'team', scope: 'team', unit: 'requests', algorithm: 'lifetime', amount: 1 },
    ],
  },
}
const ASK = { model: 'both', input_tokens: 100, max_tokens: 200 }
const DEMAND: Demand = {
  inputTokens: 0,
  outputTokens: 0,
  fixedCostPicoUsd: 0,
  outputPicoUsd: 0,
}

describe('POST /policies/simulate', () => {
  const used = useControl('each', CONFIG)

  async function newKey(body: object = {}): Promise<string> {
    const made = await used.call('POST', '/keys', { name: 'k', subject: { user: 'ada' }, ...body })
    return String(made.body['id'])
  }

  const simulate = (body: object) => used.call('POST', '/policies/simulate', body)

  const refusal = async (body: object): Promise<unknown> =>
    (await simulate({ ...ASK, ...body })).body['refusal']

  /** Reserves and, with `settle`, uses so many input tokens of the key. */
  async function spend(id: string, inputTokens: number, settle = true): Promise<void> {
    const control = used.control()
    const record = await control.store.keys.get(id)
    if (record === null) throw new Error('no such key')
    const { charges } = compileKey(record, control.plan().policies)
    const result = await control.gate.reserve(charges, { ...DEMAND, inputTokens })
    if (!result.ok) throw new Error('refused')
    const actual = { inputTokens, outputTokens: 0, costNanoUsd: 0 }
    if (settle) control.gate.settle(result.reservation, actual)
  }

  it('tells target, order, cap, what is reserved, and every limit with its origin', async () => {
    const key = await newKey()
    const { status, body } = await simulate({ key, ...ASK })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      admitted: true,
      refusal: null,
      key: { id: key, name: 'k' },
      endpoint: 'chat',
      protocol: 'openai-chat',
      model: 'both',
      target: 'acme/acme-1',
      targets: ['acme/acme-1', 'far/m'],
      decision: { strategy: 'priority', reason: 'model' },
      output_cap: null,
      reserved: { input_tokens: 100, output_tokens: 200, cost_usd: 0.0005 },
      limits: [
        { id: 'day', value: key, outcome: 'passes', needs: 0.0005, held: 0.0005, from: ['policy'] },
        { id: 'tokens', value: 'ada', used: 0, amount: 1000, needs: 300, outcome: 'passes' },
        { id: 'team', value: null, outcome: 'not_applied', held: null },
      ],
      changes: { model: 'acme-1', max_output_tokens: null, prompts: 0, protocol: null },
      explain: { layers: ['policy', 'key'], model: { name: 'both', allowed: true } },
    })
  })

  it('leaves no trace: counters, turns, records and events stay', async () => {
    const key = await newKey()
    await spend(key, 100)
    const before = await used.control().gate.list()
    const events = used.seen().length
    const ask = { key, model: 'turns', input_tokens: 1, max_tokens: 1 }
    const first = await simulate(ask)
    const second = await simulate(ask)
    expect(second.body['target']).toBe(first.body['target'])
    await simulate({ key, ...ASK, max_tokens: 5000 })
    expect(await used.control().gate.list()).toEqual(before)
    expect(used.control().gate.openReservations()).toBe(0)
    expect(used.seen()).toHaveLength(events)
    expect((await used.call('GET', '/usage')).body['total']).toBe(0)
  })

  it('meets the present counters, and a candidate takes the place of the own policy', async () => {
    const key = await newKey()
    await spend(key, 600)
    expect((await simulate({ key, ...ASK })).body).toMatchObject({ admitted: true })
    const limit = { id: 'tight', scope: 'user', unit: 'tokens', algorithm: 'lifetime', amount: 10 }
    const refused = await simulate({ key, ...ASK, policy: { limits: [limit] } })
    expect(refused.body).toMatchObject({
      admitted: false,
      target: null,
      refusal: {
        status: 400,
        code: 'request_exceeds_limit',
        limit: { id: 'tight', used: 0, amount: 10 },
        retry_after_ms: null,
        would_wait: false,
      },
    })
    const candidate = { limits: [{ ...limit, id: 'tokens', amount: 700 }] }
    const shrunk = await simulate({ key, ...ASK, max_tokens: 700, policy: candidate })
    expect(shrunk.body).toMatchObject({
      admitted: false,
      refusal: { status: 429, code: 'budget_exceeded', limit: { id: 'tokens', used: 600 } },
    })
    const cut = { limits: [{ ...limit, id: 'tokens', amount: 999 }] }
    const fits = await simulate({ key, ...ASK, max_tokens: 900, policy: cut })
    expect(fits.body).toMatchObject({
      admitted: true,
      output_cap: 299,
      reserved: { output_tokens: 299 },
      limits: expect.arrayContaining([
        expect.objectContaining({ id: 'tokens', used: 600, outcome: 'shrinks', held: 399 }),
      ]),
    })
  })

  it('says when only calls in flight stand in the way, and does not wait for them', async () => {
    const key = await newKey()
    await spend(key, 900, false)
    const { body } = await simulate({ key, ...ASK })
    expect(body).toMatchObject({
      admitted: false,
      refusal: { code: 'budget_exceeded', would_wait: true },
      limits: expect.arrayContaining([
        expect.objectContaining({ id: 'tokens', reserved: 900, outcome: 'refused', held: null }),
      ]),
    })
  })

  it('looks ahead: a window that has ended by then is empty', async () => {
    const policy = {
      limits: [
        { id: 'h', scope: 'key', unit: 'tokens', algorithm: 'fixed', amount: 300, window: '1h' },
      ],
    }
    const key = await newKey({ subject: {}, policy })
    await spend(key, 250)
    expect((await simulate({ key, ...ASK })).body).toMatchObject({
      refusal: { code: 'rate_limit_exceeded', retry_after_ms: expect.any(Number) },
    })
    const later = new Date(Date.now() + 3_600_000).toISOString()
    expect((await simulate({ key, ...ASK, at: later })).body).toMatchObject({
      admitted: true,
      at: later,
    })
  })

  it('tells keys that are refused, and why', async () => {
    const expired = await newKey({ expires: '1h' })
    const at = new Date(Date.now() + 7_200_000).toISOString()
    expect((await simulate({ key: expired, ...ASK, at })).body).toMatchObject({
      admitted: false,
      refusal: { status: 401, code: 'invalid_api_key', detail: 'the key is expired' },
      limits: expect.arrayContaining([expect.objectContaining({ outcome: 'not_reached' })]),
    })
    const off = await newKey({ enabled: false })
    expect((await simulate({ key: off, ...ASK })).body).toMatchObject({
      refusal: { detail: 'the key is disabled' },
    })
    expect((await simulate({ key: expired, ...ASK })).body).toMatchObject({ admitted: true })
  })

  it('asks scopes, addresses, models and endpoints as a request would be asked', async () => {
    expect(await refusal({ scopes: ['embeddings'] })).toMatchObject({
      status: 403,
      code: 'endpoint_not_allowed',
    })
    const inside = { ip_allow: ['10.0.0.0/8'] }
    expect(await refusal({ policy: inside })).toMatchObject({ code: 'ip_not_allowed' })
    expect(await refusal({ policy: inside, ip: '10.1.2.3' })).toBeNull()
    expect(await refusal({ policy: { models: { allow: ['turns'] } } })).toMatchObject({
      code: 'model_not_allowed',
    })
    expect(await refusal({ model: 'unknown' })).toMatchObject({ status: 404 })
    expect(await refusal({ policy: { max_input_tokens: 50 } })).toMatchObject({
      code: 'request_exceeds_limit',
    })
  })

  it('reads a body in the words of its endpoint, and says what would be changed in it', async () => {
    const policy = { prompts: [{ role: 'system', content: 'Be brief.' }], max_output_tokens: 50 }
    const body = { model: 'far/m', messages: [{ role: 'user', content: 'hello' }], logit_bias: {} }
    const { body: answer } = await simulate({ policy, body })
    expect(answer).toMatchObject({
      admitted: false,
      refusal: { code: 'model_unpriced' },
    })
    const both = await simulate({
      endpoint: '/v1/messages',
      policy,
      body: { model: 'both', max_tokens: 500, messages: body.messages },
    })
    expect(both.body).toMatchObject({
      admitted: true,
      endpoint: 'messages',
      protocol: 'anthropic-messages',
      output_cap: 50,
      changes: { model: 'acme-1', max_output_tokens: 50, prompts: 1, protocol: 'openai-chat' },
    })
    const strict = { ...policy, strict_translation: true }
    const losing = { model: 'both', max_tokens: 500, messages: body.messages, top_k: 5 }
    expect(
      (await simulate({ endpoint: '/v1/messages', policy: strict, body: losing })).body,
    ).toMatchObject({ admitted: true, target: 'far/m' })
  })

  it('reads the headers of the request: who asks, and what it asks of the choice', async () => {
    const team = { policy: { trust_scope_headers: true }, headers: { 'X-Team-Id': 'blue' } }
    expect((await simulate({ ...ASK, ...team })).body).toMatchObject({
      limits: expect.arrayContaining([
        expect.objectContaining({ id: 'team', value: 'blue', needs: 1, held: 1 }),
      ]),
    })
    const hints = {
      policy: { routing: { directives: true } },
      headers: { 'x-tollgate-mode': 'cheap' },
    }
    expect((await simulate({ ...ASK, ...hints })).body).toMatchObject({
      decision: { strategy: 'score', mode: 'cheap' },
    })
    const wrong = { ...hints, headers: { 'x-tollgate-mode': 'unknown' } }
    expect((await simulate({ ...ASK, ...wrong })).body).toMatchObject({
      refusal: { status: 400, code: 'invalid_request' },
    })
  })

  it('merges a patch when it is asked to', async () => {
    const key = await newKey({ policy: { max_output_tokens: 70, max_input_tokens: 90 } })
    const patch = { max_input_tokens: null }
    expect((await simulate({ key, ...ASK, policy: patch, merge: true })).body).toMatchObject({
      admitted: true,
      output_cap: 70,
    })
    expect((await simulate({ key, ...ASK, policy: {} })).body).toMatchObject({ output_cap: null })
    expect((await simulate({ key, ...ASK })).body).toMatchObject({ admitted: false })
  })

  it.each([
    [{}, 'model'],
    [{ model: 'both', endpoint: '/v1/chatt' }, 'endpoint'],
    [{ model: 'both', at: 'soon' }, 'at'],
    [{ model: 'both', at: '2020-01-01T00:00:00Z' }, 'at'],
    [{ model: 'both', merge: true }, 'merge'],
    [{ model: 'both', headers: { 'a b': 'x' } }, 'headers["a b"]'],
    [{ model: 'both', headers: { a: 'x\r\ny: z' } }, 'headers.a'],
    [{ model: 'both', ip: 'here' }, 'ip'],
    [{ model: 'both', body: { model: 'turns' } }, 'model'],
    [{ body: { model: 'both' }, max_tokens: 5 }, 'max_tokens'],
    [{ model: 'both', input_tokens: -1 }, 'input_tokens'],
    [{ model: 'both', other: 1 }, 'other'],
  ])('refuses what it cannot mean: %j', async (body, path) => {
    const answer = await simulate(body)
    expect(answer.status).toBe(400)
    expect(codeOf(answer)).toBe('invalid_request')
    expect(pathOf(answer)).toBe(path)
  })

  it('refuses policies that are none, names that nobody has, and keys that are not there', async () => {
    const bad = await simulate({ ...ASK, policy: { limits: [{ id: 'x' }] } })
    expect([bad.status, codeOf(bad)]).toEqual([400, 'invalid_policy'])
    expect(String(pathOf(bad))).toMatch(/^policy\.limits\[0\]/)
    const unnamed = await simulate({ ...ASK, policies: ['nobody'] })
    expect([unnamed.status, codeOf(unnamed)]).toEqual([400, 'invalid_policy'])
    expect((await simulate({ ...ASK, key: 'key_none' })).status).toBe(404)
  })
})

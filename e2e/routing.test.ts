import Anthropic from '@anthropic-ai/sdk'
import { GoogleGenAI } from '@google/genai'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type {
  HealthView,
  UsageRecordView,
} from '../packages/gateway/src/control-plane/admin-api.ts'
import type {
  AliasView,
  RouteSimulation,
} from '../packages/gateway/src/control-plane/routing-api.ts'
import { call, type CallAnswer } from './harness/call.ts'
import { closeAll } from './harness/cleanup.ts'
import { type Gateway, startGateway } from './harness/gateway.ts'
import { type SandboxProcess, startSandboxProcess } from './harness/sandbox.ts'

const price = (usd: number): object => ({ input: usd, output: usd })

let gateway: Gateway
let one: SandboxProcess
let two: SandboxProcess
let secret = ''

beforeAll(async () => {
  one = await startSandboxProcess()
  two = await startSandboxProcess()
  gateway = await startGateway({ config: config(), env: { OWN_KEY: 'own-credential' } })
  secret = (await gateway.admin.createKey()).key
})
afterAll(closeAll)

function config(): object {
  const dear = { provider: 'one', model: 'words-2', price: price(10), weight: 9 }
  const cheap = { provider: 'two', model: 'words-3', price: price(1), weight: 1 }
  return {
    providers: {
      one: one.provider,
      two: two.provider,
      keyed: { ...two.provider, credential: 'none', auth: { kind: 'bearer' } },
    },
    models: {
      both: { targets: [dear, cheap] },
      scored: { strategy: 'score', targets: [dear, cheap] },
      turns: { strategy: 'round_robin', targets: [dear, cheap] },
      limited: {
        targets: [
          { ...dear, id: 'no-tools', capabilities: { tools: false, vision: false } },
          { ...cheap, id: 'small', context: 2000 },
        ],
      },
      narrow: { targets: [{ ...dear, id: 'narrow', context: 100 }] },
      broken: { targets: [{ provider: 'one', model: 'error-500' }] },
      off: { targets: [{ ...dear, id: 'off', enabled: false }] },
      shy: {
        targets: [
          { provider: 'one', model: 'error-429', id: 'shy-one' },
          { provider: 'two', model: 'error-429', id: 'shy-two' },
        ],
      },
      quick: {
        strategy: 'latency',
        targets: [
          { provider: 'one', model: 'slow-first-byte-150', id: 'late' },
          { provider: 'two', model: 'words-2', id: 'early' },
        ],
      },
      spread: {
        strategy: 'least_busy',
        targets: [
          { provider: 'one', model: 'slow-first-byte-1500' },
          { provider: 'two', model: 'slow-first-byte-1500' },
        ],
      },
      owned: {
        strategy: 'round_robin',
        targets: [
          { provider: 'keyed', model: 'words-2', id: 'first', credential: 'env:OWN_KEY' },
          { provider: 'keyed', model: 'words-2', id: 'second', credential: 'env:GONE_KEY' },
        ],
      },
    },
    aliases: {
      halves: {
        variants: [
          { model: 'both', weight: 1 },
          { model: 'scored', weight: 1 },
        ],
        sticky: 'session',
      },
    },
    routing: { wildcard: ['scored'], modes: { frugal: { cost: 1 } } },
    policies: {
      frugal: { routing: { mode: 'frugal' } },
      poor: { routing: { max_cost: 0.001 } },
      careful: { retry: { fallbacks: ['scored'] } },
    },
  }
}

const LONG = 'word '.repeat(500)
const ASKED: Anthropic.MessageParam[] = [{ role: 'user', content: LONG }]

type Chat = Readonly<Record<string, unknown>>

function chat(more: Chat, headers: Readonly<Record<string, string>> = {}): Promise<CallAnswer> {
  const body = { max_tokens: 20, messages: [{ role: 'user', content: 'hello' }], ...more }
  return call(`${gateway.proxyUrl}/v1/chat/completions`, { key: secret, headers, body })
}

async function keyWith(policies: readonly string[]): Promise<string> {
  return (await gateway.admin.createKey({ policies })).key
}

function asKey(key: string, more: Chat): Promise<CallAnswer> {
  const body = { max_tokens: 20, messages: [{ role: 'user', content: 'hello' }], ...more }
  return call(`${gateway.proxyUrl}/v1/chat/completions`, { key, body })
}

function recordOf({ requestId }: CallAnswer): Promise<UsageRecordView> {
  return gateway.admin.record(requestId)
}

function errorOf({ text }: CallAnswer): Readonly<Record<string, unknown>> {
  const { error }: { error: Record<string, unknown> } = JSON.parse(text)
  return error
}

describe('the choice of a target', () => {
  it('is written order by default, and the record says so', async () => {
    const answer = await chat({ model: 'both' })
    expect(answer.status).toBe(200)
    expect(answer.headers).toMatchObject({
      'x-tollgate-routing-reason': 'model',
      'x-tollgate-provider': 'one',
    })
    expect((await recordOf(answer)).routing).toMatchObject({
      strategy: 'priority',
      reason: 'model',
      candidates: [
        { target: 'one/words-2', rejected: null },
        { target: 'two/words-3', rejected: null },
      ],
    })
  })

  it('goes by the score, and by the mode of the policy', async () => {
    const answer = await chat({ model: 'scored' })
    const { routing } = await recordOf(answer)
    expect(routing).toMatchObject({ strategy: 'score', mode: 'normal' })
    expect(routing?.candidates.every(({ score }) => score !== undefined)).toBe(true)
    const key = await keyWith(['frugal'])
    const frugal = await asKey(key, { model: 'both' })
    expect(frugal.headers['x-tollgate-provider']).toBe('two')
    expect((await recordOf(frugal)).routing).toMatchObject({ strategy: 'score', mode: 'frugal' })
  })

  it('takes turns by weight, streamed and whole alike, and a reload does not start anew', async () => {
    const providers: unknown[] = []
    for (let i = 0; i < 10; i++) {
      const answer = await chat({ model: 'turns', stream: i % 2 === 0 })
      providers.push(answer.headers['x-tollgate-provider'])
      if (i === 4) await gateway.admin.send('POST', '/config/reload')
    }
    expect(providers.filter((name) => name === 'two')).toHaveLength(1)
  })

  it('leaves out what cannot do what is asked', async () => {
    const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }]
    const answer = await chat({ model: 'limited', tools })
    expect(answer.headers['x-tollgate-provider']).toBe('two')
    expect((await recordOf(answer)).routing?.candidates).toMatchObject([
      { target: 'small', rejected: null },
      { target: 'no-tools', rejected: 'capability', detail: 'needs tools' },
    ])
    const image = { type: 'image_url', image_url: { url: 'https://pictures.test/a.png' } }
    const seen = await chat({ model: 'limited', messages: [{ role: 'user', content: [image] }] })
    expect(seen.headers['x-tollgate-provider']).toBe('two')
    const words = 'an image_url and an input_audio file'
    const said = await chat({ model: 'limited', messages: [{ role: 'user', content: words }] })
    expect(said.headers['x-tollgate-provider']).toBe('one')
  })

  it('refuses what fits nowhere, with every candidate and its reason', async () => {
    const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }]
    const long = [{ role: 'user', content: 'word '.repeat(3000) }]
    const answer = await chat({ model: 'limited', tools, messages: long })
    expect(answer.status).toBe(400)
    expect(errorOf(answer)).toMatchObject({
      code: 'context_length_exceeded',
      type: 'invalid_request_error',
      candidates: [
        { target: 'no-tools', reason: 'capability' },
        { target: 'small', reason: 'context_overflow' },
      ],
    })
    expect((await recordOf(answer)).routing?.candidates).toHaveLength(2)
  })

  it.each([
    ['openai', 'Responses', () => openai().responses.create({ model: 'narrow', input: LONG })],
    [
      'anthropic',
      'Messages',
      () => anthropic().messages.create({ model: 'narrow', max_tokens: 9, messages: ASKED }),
    ],
    [
      'google',
      'Gemini',
      () => google().models.generateContent({ model: 'narrow', contents: LONG }),
    ],
  ] as const)('is refused in the shape of %s: %s', async (_, _protocol, send) => {
    await expect(send()).rejects.toMatchObject({
      status: 400,
      message: expect.stringContaining('narrow: context_overflow'),
    })
  })

  it.each([
    ['/v1/responses', { model: 'narrow', input: LONG }],
    ['/v1/messages', { model: 'narrow', max_tokens: 9, messages: ASKED }],
    ['/v1beta/models/narrow:generateContent', { contents: [{ parts: [{ text: LONG }] }] }],
  ])('names the candidates on %s', async (path, body) => {
    const answer = await call(`${gateway.proxyUrl}${path}`, { key: secret, body })
    expect(errorOf(answer)).toMatchObject({
      candidates: [{ target: 'narrow', reason: 'context_overflow' }],
    })
  })

  it('never tries what is switched off', async () => {
    const answer = await chat({ model: 'off' })
    expect(answer.status).toBe(404)
    expect(errorOf(answer)).toMatchObject({ candidates: [{ target: 'off', reason: 'disabled' }] })
  })

  it('sends each target with its own credential, and skips one that has none', async () => {
    await two.forget()
    for (let i = 0; i < 4; i++) expect((await chat({ model: 'owned' })).status).toBe(200)
    const sent = (await two.requests()).map(({ headers }) => headers['authorization'])
    expect(sent).toEqual(Array.from({ length: 4 }, () => 'Bearer own-credential'))
    const printed = JSON.stringify(await gateway.admin.get('/config'))
    expect(printed).toContain('env:OWN_KEY')
    expect(printed).not.toContain('own-credential')
  })

  it('keeps to the dearest that a policy allows', async () => {
    const key = await keyWith(['poor'])
    const answer = await asKey(key, { model: 'both', max_tokens: 120 })
    expect(answer.headers['x-tollgate-provider']).toBe('two')
    const dear = await asKey(key, { model: 'both', max_tokens: 5000 })
    expect(dear.status).toBe(400)
    expect(errorOf(dear)).toMatchObject({ code: 'no_target_fits' })
  })

  it('says when a fallback answered', async () => {
    const key = await keyWith(['careful'])
    const answer = await asKey(key, { model: 'broken' })
    expect(answer.status).toBe(200)
    expect(answer.headers).toMatchObject({
      'x-tollgate-model': 'scored',
      'x-tollgate-routing-reason': 'fallback',
    })
    expect(await recordOf(answer)).toMatchObject({
      requested_model: 'broken',
      model: 'scored',
      routing: { reason: 'fallback', candidates: [{ target: 'one/error-500' }, {}, {}] },
    })
  })
})

const openai = (): OpenAI =>
  new OpenAI({ apiKey: secret, baseURL: `${gateway.proxyUrl}/v1`, maxRetries: 0 })
const anthropic = (): Anthropic =>
  new Anthropic({ apiKey: secret, baseURL: gateway.proxyUrl, maxRetries: 0 })
const google = (): GoogleGenAI =>
  new GoogleGenAI({ apiKey: secret, httpOptions: { baseUrl: gateway.proxyUrl } })

describe('what targets have shown', () => {
  it('turns requests away from those that are set aside, and says for how long', async () => {
    const first = await chat({ model: 'shy' })
    expect([first.status, first.headers['x-tollgate-attempts']]).toEqual([429, '2'])
    const second = await chat({ model: 'shy' })
    expect([second.status, second.headers['x-tollgate-attempts']]).toEqual([429, '0'])
    expect(Number(second.headers['retry-after'])).toBeLessThanOrEqual(2)
    expect(errorOf(second)).toMatchObject({
      code: 'targets_set_aside',
      candidates: [
        { target: 'shy-one', reason: 'cooldown' },
        { target: 'shy-two', reason: 'cooldown' },
      ],
    })
  })

  it('sends requests to the quicker one', async () => {
    for (let i = 0; i < 2; i++) await chat({ model: 'quick' })
    for (let i = 0; i < 5; i++) {
      const answer = await chat({ model: 'quick', stream: i % 2 === 0 })
      expect(answer.headers['x-tollgate-provider']).toBe('two')
    }
    const { routing } = await recordOf(await chat({ model: 'quick' }))
    const [early, late] = routing?.candidates ?? []
    expect([early?.target, late?.target]).toEqual(['early', 'late'])
    expect(late?.latency_ms).toBeGreaterThan(early?.latency_ms ?? Infinity)
  })

  it('spreads calls over those that have the fewest', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => chat({ model: 'spread' })))
    const atOne = answers.filter((answer) => answer.headers['x-tollgate-provider'] === 'one')
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    expect(atOne.length).toBe(5)
  })
})

describe('any model', () => {
  it.each(['*', 'auto'])('is asked for by %s', async (model) => {
    const answer = await chat({ model })
    expect(answer.headers).toMatchObject({
      'x-tollgate-model': 'scored',
      'x-tollgate-routing-reason': 'wildcard',
    })
    expect(await recordOf(answer)).toMatchObject({
      requested_model: model,
      model: 'scored',
      routing: { reason: 'wildcard', strategy: 'score' },
    })
  })

  it('is what /v1/chat takes without one, and the envelope says why', async () => {
    const messages = [{ role: 'user', content: 'hello' }]
    const answer = await call(`${gateway.proxyUrl}/v1/chat`, {
      key: secret,
      body: { request: { messages, max_tokens: 9 } },
    })
    expect(JSON.parse(answer.text)).toMatchObject({
      routing_reason: expect.stringMatching(/^routed-weight-[19]$/),
      response: { object: 'chat.completion' },
    })
  })

  it('is only what the key may use', async () => {
    const { key } = await gateway.admin.createKey({ policy: { models: { deny: ['scored'] } } })
    const answer = await asKey(key, { model: '*' })
    expect([answer.status, errorOf(answer)['code']]).toEqual([403, 'model_not_allowed'])
  })

  it('is none for an embedding', async () => {
    const answer = await call(`${gateway.proxyUrl}/v1/embeddings`, {
      key: secret,
      body: { model: '*', input: 'text' },
    })
    expect(answer.status).toBe(404)
  })
})

describe('an alias', () => {
  it('keeps each session at its variant, and halves them', async () => {
    const counts: Record<string, number> = {}
    for (let i = 0; i < 30; i++) {
      const headers = { 'x-session-id': `session-${i}` }
      const [first, second] = [
        await chat({ model: 'halves' }, headers),
        await chat({ model: 'halves' }, headers),
      ]
      const model = String(first.headers['x-tollgate-model'])
      expect(second.headers['x-tollgate-model']).toBe(model)
      expect(first.headers['x-tollgate-alias']).toBe('halves')
      counts[model] = (counts[model] ?? 0) + 1
    }
    expect(Math.min(counts['both'] ?? 0, counts['scored'] ?? 0)).toBeGreaterThanOrEqual(5)
  })

  it('is told in the record, and counts for limits as its variant', async () => {
    const limit = {
      id: 'both-only',
      scope: 'key',
      unit: 'requests',
      algorithm: 'lifetime',
      amount: 1,
      match: { models: 'both' },
    }
    await gateway.admin.send('PUT', '/aliases/lone', { variants: [{ model: 'both' }] })
    const { key } = await gateway.admin.createKey({ policy: { limits: [limit] } })
    const answer = await asKey(key, { model: 'lone' })
    expect(await recordOf(answer)).toMatchObject({
      requested_model: 'lone',
      model: 'both',
      limits: ['both-only'],
      routing: { alias: 'lone', variant: 'both', reason: 'alias' },
    })
    expect((await asKey(key, { model: 'lone' })).status).toBe(429)
  })

  it('is set by the command line, listed for clients, and gone when it is deleted', async () => {
    const set = await gateway.cli('alias', 'set', 'made', 'both=3', 'one/words-2', '--json')
    expect(JSON.parse(set.out)).toMatchObject({ name: 'made', valid: true })
    const listed = await openai().models.list()
    expect(listed.data.map(({ id }) => id)).toContain('made')
    expect((await chat({ model: 'made' })).headers['x-tollgate-alias']).toBe('made')
    const rows = await gateway.cli('alias', 'list')
    expect(rows.out).toContain('both=3 one/words-2=1')
    await gateway.cli('alias', 'delete', 'made')
    expect((await chat({ model: 'made' })).status).toBe(404)
    const wrong = await gateway.cli('alias', 'set', 'made', 'nobody-serves-this')
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining('no configured provider')])
  })

  it('outlives the process, without a server too', async () => {
    await gateway.cli('alias', 'set', 'kept', 'both')
    const { folder } = gateway
    const stopped = await startGateway({ config: config(), env: { OWN_KEY: 'x' } })
    await stopped.cli('alias', 'set', 'kept', 'scored=2')
    await stopped.child.stop()
    const offline = await stopped.cli('alias', 'list', '--json')
    const { items }: { items: readonly AliasView[] } = JSON.parse(offline.out)
    expect(items.find(({ name }) => name === 'kept')?.variants).toEqual([
      { model: 'scored', weight: 2 },
    ])
    const explained = await stopped.cli('route', 'explain', 'kept', '--json')
    expect(JSON.parse(explained.out)).toMatchObject({ routing: { variant: 'scored' } })
    expect(folder).not.toBe(stopped.folder)
  })
})

/** Without what only time changes. */
async function healthStates(): Promise<readonly unknown[]> {
  const { targets } = await gateway.admin.get<HealthView>('/health')
  return targets.map(({ target, circuit, consecutive_failures: failures }) => {
    return [target, circuit, failures]
  })
}

describe('what-if', () => {
  it('is what a request of that id gets', async () => {
    const headers = { 'x-session-id': 'a-session' }
    const answer = await chat({ model: 'halves' }, headers)
    const body = { model: 'halves', session: 'a-session', max_tokens: 20 }
    const simulated = await gateway.admin.send<RouteSimulation>('POST', '/routing/simulate', body)
    expect(simulated.order[0]?.model).toBe(answer.headers['x-tollgate-model'])
    const { routing } = await recordOf(answer)
    expect(simulated.routing?.variant).toBe(routing?.variant)
  })

  it('leaves no trace', async () => {
    const before = await healthStates()
    const turns = { model: 'turns', count: 1000 }
    await gateway.admin.send('POST', '/routing/simulate', turns)
    await gateway.admin.send('POST', '/routing/simulate', { ...turns, model: 'shy' })
    expect(await healthStates()).toEqual(before)
    const [first, second] = await Promise.all(
      [1, 2].map(() => gateway.admin.send<RouteSimulation>('POST', '/routing/simulate', turns)),
    )
    expect(second?.order).toEqual(first?.order)
    expect(second?.distribution).toEqual(first?.distribution)
  })

  it('explains on the command line', async () => {
    const { out } = await gateway.cli(
      'route',
      'explain',
      'limited',
      '--needs',
      'tools',
      '--input-tokens',
      '100',
    )
    expect(out).toMatch(/order +small\n/)
    expect(out).toMatch(/no-tools +capability +needs tools/)
    const shares = await gateway.cli('route', 'explain', 'turns', '--count', '10')
    expect(shares.out).toMatch(/one\/words-2 +turns +9 +90\.0%/)
    const json = await gateway.cli('route', 'explain', 'gone', '--json')
    expect(JSON.parse(json.out)).toMatchObject({ error: { code: 'model_not_found' } })
  })
})

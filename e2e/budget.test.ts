import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KeyWithSecret } from '../packages/gateway/src/control-plane/admin-api.ts'
import { type Ask, askOf, type CallAnswer, call } from './harness/call.ts'
import { closeAll } from './harness/cleanup.ts'
import { type Gateway, startGateway } from './harness/gateway.ts'
import { nothingOpen } from './harness/nothing-open.ts'
import { type SandboxProcess, startSandboxProcess } from './harness/sandbox.ts'
import { waitFor } from './harness/wait-for.ts'

const BUDGET = 2000
const EACH = 1000
const PARALLEL = 20
const LEAST_USED = 1800

let gateway: Gateway
let sandbox: SandboxProcess

beforeAll(async () => {
  sandbox = await startSandboxProcess()
  gateway = await startGateway({
    config: {
      log: { level: 'warn' },
      providers: { local: sandbox.provider },
      models: {
        priced: {
          price: { input: 1, output: 2 },
          targets: [{ provider: 'local', model: 'words-1000' }],
        },
      },
      policy: {
        default_provider: 'local',
        limits: ['global', 'team', 'rolegroup', 'role', 'user', 'key', 'provider', 'target', 'ip']
          .concat('tag:project')
          .map((scope) => ({
            id: `all-${scope.replace(':', '-')}`,
            scope,
            unit: 'output_tokens',
            algorithm: 'lifetime',
            amount: 1e9,
          })),
      },
    },
  })
})
afterAll(closeAll)

const keyWith = (limit: object): Promise<KeyWithSecret> =>
  gateway.admin.createKey({ policy: { limits: [{ scope: 'key', ...limit }] } })

function ask(secret: string, one: Partial<Ask> = {}): Promise<CallAnswer> {
  const { path, body } = askOf({ model: 'words-5', maxTokens: 10, ...one })
  return call(`${gateway.proxyUrl}${path}`, { key: secret, body })
}

function errorOf(answer: CallAnswer): Record<string, unknown> {
  const parsed: { error?: Record<string, unknown> } = JSON.parse(answer.text)
  return parsed.error ?? {}
}

let unique = 0
const newId = (name: string): string => `${name}-${(unique += 1)}`

/** 20 calls at once that would each produce 1,000 tokens; what they were charged for. */
async function stampede(
  limit: { readonly id: string },
  one: Partial<Ask>,
): Promise<{ readonly used: number; readonly passed: number; readonly produced: number }> {
  const { key, id } = await keyWith(limit)
  const answers = await Promise.all(
    Array.from({ length: PARALLEL }, () => ask(key, { model: `words-${EACH}`, ...one })),
  )
  await nothingOpen(gateway.admin)
  const passed = answers.filter(({ status }) => status === 200)
  const refused = answers.filter(({ status }) => status !== 200)
  expect(passed.every(({ whole }) => whole)).toBe(true)
  expect(new Set(refused.map(({ status }) => status))).toEqual(new Set([429]))
  const mine = (await gateway.admin.records()).filter(({ key_id }) => key_id === id)
  expect(mine).toHaveLength(PARALLEL)
  const produced = mine.reduce(
    (sum, { usage }) => sum + (usage.input ?? 0) + (usage.output ?? 0),
    0,
  )
  const { used, reserved } = await gateway.admin.limit(limit.id)
  expect(reserved).toBe(0)
  const bill = (await sandbox.bill()).items
  const ids = new Set(mine.map(({ request_id }) => request_id))
  const billed = bill
    .filter(({ gatewayRequestId }) => ids.has(gatewayRequestId ?? ''))
    .reduce((sum, { inputTokens, outputTokens }) => sum + inputTokens + outputTokens, 0)
  expect(billed).toBe(produced)
  return { used, passed: passed.length, produced }
}

const ALGORITHMS: readonly (readonly [string, object])[] = [
  ['lifetime', { algorithm: 'lifetime', amount: BUDGET }],
  ['fixed', { algorithm: 'fixed', amount: BUDGET, window: '24h' }],
  ['sliding', { algorithm: 'sliding', amount: BUDGET, window: '24h' }],
  ['bucket', { algorithm: 'bucket', capacity: BUDGET, refill_per_sec: 0 }],
]

describe(`a budget of ${BUDGET} tokens, ${PARALLEL} parallel calls of ${EACH}`, () => {
  const capped = ALGORITHMS.flatMap(([name, algorithm]) =>
    (['openai', 'anthropic'] as const).flatMap((protocol) =>
      [false, true].map((stream) => ({ name, algorithm, protocol, stream })),
    ),
  )

  it.each(capped)(
    'with max_tokens: $name, $protocol, stream $stream',
    async ({ name, algorithm, protocol, stream }) => {
      const limit = { id: newId(name), unit: 'tokens', ...algorithm }
      const { used, produced, passed } = await stampede(limit, {
        protocol,
        stream,
        maxTokens: EACH,
      })
      console.log(`capped ${name} ${protocol} stream=${stream}: ${used} used by ${passed}`)
      expect(used).toBe(produced)
      expect(used).toBeLessThanOrEqual(BUDGET)
      expect(used).toBeGreaterThanOrEqual(LEAST_USED)
    },
  )

  it.each(
    ALGORITHMS.flatMap(([name, algorithm]) =>
      [false, true].map((stream) => ({ name, algorithm, stream })),
    ),
  )('without a cap: $name, stream $stream', async ({ name, algorithm, stream }) => {
    const limit = { id: newId(`open-${name}`), unit: 'tokens', ...algorithm }
    const { used, produced, passed } = await stampede(limit, { stream, maxTokens: null })
    console.log(`uncapped ${name} stream=${stream}: ${used} used by ${passed} of ${PARALLEL}`)
    expect(used).toBe(produced)
    expect(used).toBeLessThanOrEqual(BUDGET)
    // The first call holds all that is left until it ends; the others wait for what it gives back.
    expect(used).toBeGreaterThanOrEqual(LEAST_USED)
  })

  it('a budget in dollars', async () => {
    const id = newId('usd')
    const { key } = await keyWith({ id, unit: 'usd', algorithm: 'lifetime', amount: 0.004 })
    await Promise.all(
      Array.from({ length: PARALLEL }, () => ask(key, { model: 'priced', maxTokens: EACH })),
    )
    await nothingOpen(gateway.admin)
    const { used } = await gateway.admin.limit(id)
    console.log(`dollars: ${used} of 0.004`)
    expect(used).toBeLessThanOrEqual(0.004)
    expect(used).toBeGreaterThanOrEqual(0.0036)
  })

  it('dollars cannot be limited where there is no price', async () => {
    const { key } = await keyWith({
      id: newId('usd'),
      unit: 'usd',
      algorithm: 'lifetime',
      amount: 1,
    })
    const answer = await ask(key)
    expect([answer.status, errorOf(answer)['code']]).toEqual([403, 'model_unpriced'])
  })
})

describe('rates', () => {
  const limits = [
    ['sliding', { unit: 'requests', algorithm: 'sliding', amount: 2, window: '2s' }],
    [
      'fixed',
      { unit: 'requests', algorithm: 'fixed', amount: 2, window: '2s', align: 'first_use' },
    ],
    ['bucket', { unit: 'requests', algorithm: 'bucket', capacity: 2, refill_per_sec: 1 }],
  ] as const

  it.each(limits)('%s: Retry-After is exact', async (name, algorithm) => {
    const { key } = await keyWith({ id: newId(name), ...algorithm })
    const first = [await ask(key), await ask(key)]
    expect(first.map(({ status }) => status)).toEqual([200, 200])
    const refused = await ask(key)
    expect(refused.status).toBe(429)
    const waitMs = Number(refused.headers['retry-after-ms'])
    expect(waitMs).toBeGreaterThan(100)
    expect(refused.headers['retry-after']).toBe(String(Math.ceil(waitMs / 1000)))
    // The time was stated a moment before it came here: until then it must not pass, and then it must.
    const heardAtMs = performance.now()
    const early = waitMs - refused.ms - 40
    if (early > 0) await sleep(early)
    const tooSoon = await ask(key)
    expect(tooSoon.status).toBe(429)
    await sleep(Math.max(0, waitMs - (performance.now() - heardAtMs)))
    expect((await ask(key)).status).toBe(200)
  })

  it('concurrency: what is in flight, and no more', async () => {
    const { key } = await keyWith({
      id: newId('par'),
      unit: 'concurrent',
      algorithm: 'concurrent',
      amount: 3,
    })
    const slow = { model: 'words-20+delay-20', maxTokens: 20 }
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) => ask(key, { ...slow, stream: i % 2 === 0 })),
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(3)
    const refused = answers.filter(({ status }) => status === 429)
    expect(refused).toHaveLength(7)
    expect(refused.map(errorOf)[0]?.['limit']).toMatchObject({
      scope: 'key',
      unit: 'concurrent',
      used: 3,
      amount: 3,
    })
    expect((await ask(key)).status).toBe(200)
  })

  it('a client that leaves gives its place back', async () => {
    const { key } = await keyWith({
      id: newId('par'),
      unit: 'concurrent',
      algorithm: 'concurrent',
      amount: 1,
    })
    const { path, body } = askOf({ model: 'words-2000+delay-10', stream: true })
    const left = await call(`${gateway.proxyUrl}${path}`, { key, body, abortAfterBytes: 500 })
    expect(left.aborted).toBe(true)
    await waitFor('the place', async () => (await ask(key)).status === 200, 2000)
  })

  it('says what is left, in the fields of the draft and of each vendor', async () => {
    const { key } = await gateway.admin.createKey({
      policy: {
        limits: [
          {
            id: 'h-req',
            scope: 'key',
            unit: 'requests',
            algorithm: 'fixed',
            amount: 50,
            window: '1h',
          },
          {
            id: 'h-tok',
            scope: 'key',
            unit: 'tokens',
            algorithm: 'sliding',
            amount: 9000,
            window: '1m',
          },
        ],
      },
    })
    const openai = await ask(key)
    expect(openai.headers['ratelimit-policy']).toMatch(/"h-req";q=50;w=3600/)
    expect(openai.headers['ratelimit-policy']).toMatch(/"h-tok";q=9000;w=60;qu="tokens"/)
    expect(openai.headers['ratelimit']).toMatch(/"h-req";r=49;t=\d+/)
    expect(openai.headers).toMatchObject({
      'x-ratelimit-limit-requests': '50',
      'x-ratelimit-remaining-requests': '49',
      'x-ratelimit-limit-tokens': '9000',
    })
    const anthropic = await ask(key, { protocol: 'anthropic', stream: true })
    expect(anthropic.headers).toMatchObject({
      'anthropic-ratelimit-requests-limit': '50',
      'anthropic-ratelimit-requests-remaining': '48',
      'anthropic-ratelimit-tokens-limit': '9000',
    })
  })
})

describe('scopes', () => {
  it('all that the key names are charged, and the caller cannot name others', async () => {
    const subject = { team: 'red', rolegroup: 'staff', role: 'dev', user: 'ada' }
    const { key } = await gateway.admin.createKey({ subject, metadata: { project: 'p1' } })
    const before = (await gateway.admin.limit('all-global')).used
    const { path, body } = askOf({ model: 'words-21' })
    const headers = { 'x-team-id': 'blue', 'x-user-id': 'eve' }
    await call(`${gateway.proxyUrl}${path}`, { key, body, headers })
    const { items } = await gateway.admin.get<{
      items: { id: string; value: string; used: number }[]
    }>('/limits?limit=500')
    const used = (id: string, value: string): number | undefined =>
      items.find((one) => one.id === id && one.value === value)?.used
    expect(used('all-team', 'red')).toBe(21)
    expect(used('all-rolegroup', 'staff')).toBe(21)
    expect(used('all-role', 'dev')).toBe(21)
    expect(used('all-user', 'ada')).toBe(21)
    expect(used('all-tag-project', 'p1')).toBe(21)
    expect(used('all-target', 'local/words-21')).toBe(21)
    expect((await gateway.admin.limit('all-global')).used - before).toBe(21)
    expect(used('all-team', 'blue')).toBeUndefined()
    expect(used('all-user', 'eve')).toBeUndefined()
    const ids = new Set(items.map(({ id }) => id))
    for (const scope of ['provider', 'ip', 'key']) expect(ids).toContain(`all-${scope}`)
  })

  it('a refusal takes nothing anywhere', async () => {
    const { key } = await keyWith({
      id: newId('none'),
      unit: 'requests',
      algorithm: 'lifetime',
      amount: 1,
    })
    await ask(key)
    const before = (await gateway.admin.limit('all-global')).used
    const refused = await Promise.all([ask(key), ask(key), ask(key)])
    expect(refused.map(({ status }) => status)).toEqual([429, 429, 429])
    expect((await gateway.admin.limit('all-global')).used).toBe(before)
  })
})

describe('a change counts on the very next request', () => {
  it('of a policy, by CLI and by API', async () => {
    const { key, id } = await gateway.admin.createKey()
    expect((await ask(key)).status).toBe(200)
    const update = ['key', 'update', '--id', id, '--policy']
    await gateway.cli(...update, '{"models":["other"]}')
    expect((await ask(key)).status).toBe(403)
    await gateway.admin.send('PATCH', `/keys/${id}`, { policy: { models: null } })
    expect((await ask(key)).status).toBe(200)
    const limit = { id: 'now', scope: 'key', unit: 'requests', algorithm: 'lifetime', amount: 1 }
    await gateway.admin.send('PATCH', `/keys/${id}`, { policy: { limits: [limit] } })
    expect([(await ask(key)).status, (await ask(key)).status]).toEqual([200, 429])
    const more = { ...limit, amount: 2 }
    await gateway.cli(...update, JSON.stringify({ limits: [more] }))
    // What was counted stays counted.
    expect([(await ask(key)).status, (await ask(key)).status]).toEqual([200, 429])
    await gateway.cli('limit', 'grant', 'now', '--value', id, '--amount', '1')
    expect([(await ask(key)).status, (await ask(key)).status]).toEqual([200, 429])
    await gateway.cli('limit', 'reset', 'now', '--value', id)
    expect((await ask(key)).status).toBe(200)
  })

  it('disable, enable, revoke', async () => {
    const { key, id } = await gateway.admin.createKey()
    await gateway.cli('key', 'disable', '--id', id)
    expect((await ask(key)).status).toBe(401)
    await gateway.cli('key', 'enable', '--id', id)
    expect((await ask(key)).status).toBe(200)
    await gateway.admin.send('DELETE', `/keys/${id}`)
    expect((await ask(key)).status).toBe(401)
  })

  it('rotate, with and without grace', async () => {
    const { key: old, id } = await gateway.admin.createKey()
    const rotated = await gateway.admin.send<KeyWithSecret>('POST', `/keys/${id}/rotate`, {
      grace: '1s',
    })
    expect([(await ask(old)).status, (await ask(rotated.key)).status]).toEqual([200, 200])
    await waitFor('the end of the grace', async () => (await ask(old)).status === 401, 5000)
    const { out } = await gateway.cli('key', 'rotate', '--id', id, '--json')
    const { key: third }: KeyWithSecret = JSON.parse(out)
    expect([(await ask(rotated.key)).status, (await ask(third)).status]).toEqual([401, 200])
  })

  it('expiry', async () => {
    const expires = new Date(Date.now() + 1500).toISOString()
    const { key } = await gateway.admin.createKey({ expires })
    expect((await ask(key)).status).toBe(200)
    await waitFor('the expiry', async () => (await ask(key)).status === 401, 5000)
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(expires))
  })
})

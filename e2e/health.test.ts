import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import type { HealthView, TargetHealth } from '../packages/gateway/src/control-plane/admin-api.ts'
import { call, type CallAnswer } from './harness/call.ts'
import { closeAll } from './harness/cleanup.ts'
import {
  type FakeProvider,
  fine,
  refusing,
  stalling,
  startFakeProvider,
} from './harness/fake-provider.ts'
import { type Gateway, startGateway } from './harness/gateway.ts'
import { waitFor } from './harness/wait-for.ts'

afterAll(closeAll)

let one: FakeProvider
let two: FakeProvider
let gateway: Gateway
let key: string

const entry = (url: string): object => ({
  protocol: 'openai-chat',
  base_url: `${url}/v1`,
  credential: 'none',
  allow_private: true,
  timeouts: { connect: '500ms', first_byte: '400ms', idle: '400ms', total: '3s' },
})

function config(routing: object = {}): Readonly<Record<string, unknown>> {
  return {
    providers: { one: entry(one.url), two: entry(two.url) },
    models: {
      m: { targets: [{ provider: 'one' }, { provider: 'two' }] },
      sibling: { targets: [{ provider: 'one' }] },
      alone: { targets: [{ provider: 'one' }] },
      nowhere: { targets: [{ provider: 'gone' }, { provider: 'two' }] },
    },
    routing,
  }
}

async function start(routing: object = {}): Promise<void> {
  one = await startFakeProvider()
  two = await startFakeProvider()
  const own = config(routing)
  const gone = { ...entry('http://no-such-host.invalid'), allow_private: false }
  gateway = await startGateway({
    config: { ...own, providers: { ...Object(own['providers']), gone } },
  })
  ;({ key } = await gateway.admin.createKey())
}

function chat(model = 'm', headers: Readonly<Record<string, string>> = {}): Promise<CallAnswer> {
  const body = { model, messages: [{ role: 'user', content: 'hi' }] }
  return call(`${gateway.proxyUrl}/v1/chat/completions`, { key, body, headers })
}

async function health(target: string): Promise<TargetHealth> {
  const { targets } = await gateway.admin.get<HealthView>('/health')
  const found = targets.find((seen) => seen.target === target)
  if (found === undefined) throw new Error(`no target ${target}`)
  return found
}

async function attempts(answer: CallAnswer): Promise<readonly (readonly unknown[])[]> {
  const record = await gateway.admin.record(answer.requestId)
  return record.attempts.map(({ target, status, error_class: failure }) => [
    target,
    status,
    failure,
  ])
}

/** Types of the events that tell of a target, in their order. */
async function events(target: string): Promise<readonly string[]> {
  const leave = new AbortController()
  const response = await fetch(`${gateway.adminUrl}/admin/v1/events?last_event_id=0`, {
    headers: { authorization: `Bearer ${gateway.adminToken}` },
    signal: leave.signal,
  })
  let text = ''
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString()
    if (text.includes('event: target.recovered')) break
  }
  leave.abort()
  return text
    .split('\n\n')
    .filter((frame) => frame.includes(`"target":"${target}"`) && !frame.includes('request.'))
    .map((frame) => /event: (\S+)/.exec(frame)?.[1] ?? '')
}

const provider = (answer: CallAnswer): unknown => answer.headers['x-tollgate-provider']

describe('a first target that fails', () => {
  beforeEach(() => start())

  it.each([
    ['is killed', async () => await one.down(), [null, 'upstream_unreachable']],
    ['stalls', () => void (one.manner = stalling), [null, 'upstream_timeout']],
    ['is overloaded', () => void (one.manner = refusing(529)), [529, 'overloaded']],
    ['breaks', () => void (one.manner = refusing(500)), [500, 'transient']],
    [
      'has no money',
      () => void (one.manner = refusing(429, {}, { code: 'insufficient_quota' })),
      [429, 'quota'],
    ],
    ['refuses the credential', () => void (one.manner = refusing(401)), [401, 'upstream_auth']],
  ])('that %s: the second answers, and the record tells both', async (_how, fail, first) => {
    await fail()
    const answer = await chat()
    expect([answer.status, provider(answer)]).toEqual([200, 'two'])
    expect(answer.ms).toBeLessThan(2000)
    expect(await attempts(answer)).toEqual([
      ['one/m', ...first],
      ['two/m', 200, null],
    ])
  })

  it('of a name that does not resolve: the second answers', async () => {
    const answer = await chat('nowhere')
    expect([answer.status, provider(answer)]).toEqual([200, 'two'])
    expect(await attempts(answer)).toEqual([
      ['gone/nowhere', null, 'upstream_unreachable'],
      ['two/nowhere', 200, null],
    ])
  })

  it('with 429 and Retry-After 2 is set aside for exactly that long', async () => {
    one.manner = refusing(429, { 'retry-after': '2' })
    const first = await chat()
    expect(await attempts(first)).toEqual([
      ['one/m', 429, 'rate_limited'],
      ['two/m', 200, null],
    ])
    const refusedAtMs = one.calls[0] ?? 0
    const { set_aside_until: until, circuit } = await health('one/m')
    expect([typeof until, circuit]).toEqual(['string', 'closed'])
    one.manner = fine
    await waitFor('the first target again', async () => provider(await chat()) === 'one')
    const backAfterMs = (one.calls[1] ?? 0) - refusedAtMs
    expect(backAfterMs).toBeGreaterThanOrEqual(2000)
    expect(backAfterMs).toBeLessThan(2600)
  })
})

describe('one target alone', () => {
  beforeEach(() => start())

  it('that asks for patience: the next call is told to the millisecond when it may come again', async () => {
    one.manner = refusing(429, { 'retry-after-ms': '1500' })
    const [first, second] = [await chat('alone'), await chat('alone')]
    expect([first.status, first.text]).toEqual([429, '{"error":{"message":"no 429"}}'])
    expect([second.status, one.calls.length]).toEqual([429, 1])
    expect(second.headers['x-tollgate-error']).toBe('targets_set_aside')
    const leftMs = Number(second.headers['retry-after-ms'])
    expect(leftMs).toBeGreaterThan(500)
    expect(leftMs).toBeLessThanOrEqual(1500)
    expect(second.headers['retry-after']).toBe(String(Math.ceil(leftMs / 1000)))
  })

  it('whose vendor says what is left never gets more than that', async () => {
    one.manner = (response, request) => {
      response.setHeader('x-ratelimit-remaining-requests', '2')
      response.setHeader('x-ratelimit-reset-requests', '1m30.951s')
      fine(response, request)
    }
    await chat('alone')
    one.manner = (response) => setTimeout(() => fine(response, Object(null)), 200)
    const answers = await Promise.all([1, 2, 3, 4, 5].map(() => chat('alone')))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(2)
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(3)
    expect(one.calls).toHaveLength(3)
  })

  it('without money stays set aside over a restart, until the operator says otherwise', async () => {
    one.manner = refusing(429, {}, { code: 'insufficient_quota' })
    await chat('alone')
    await waitFor('the note', async () => (await health('one/alone')).set_aside_until)
    await gateway.child.stop()
    gateway = await startGateway({ folder: gateway.folder })
    one.manner = fine
    expect((await chat('alone')).status).toBe(429)
    const path = `/health/${encodeURIComponent('one/alone')}/reset`
    expect(await gateway.admin.send('POST', path)).toEqual({ reset: ['one/alone'] })
    expect((await chat('alone')).status).toBe(200)
  })
})

describe('a hedged call', () => {
  it('is answered by the second target; both are in the record, and the loser is paid', async () => {
    await start()
    one.manner = (response) => setTimeout(() => fine(response, Object(null)), 350)
    const policy = { routing: { hedge: { after: '50ms' } } }
    ;({ key } = await gateway.admin.createKey({ policy }))
    const answer = await chat()
    expect([answer.status, provider(answer)]).toEqual([200, 'two'])
    expect(await attempts(answer)).toEqual([
      ['one/m', null, 'cancelled'],
      ['two/m', 200, null],
    ])
    const { usage, estimated } = await gateway.admin.record(answer.requestId)
    expect([estimated, (usage.input ?? 0) > 5]).toEqual([true, true])
    expect(await health('one/m')).toMatchObject({ state: 'healthy', in_flight: 0 })
  })
})

describe('what is nobody’s fault', () => {
  it('changes no target: 100 malformed and 100 cancelled requests', async () => {
    await start()
    one.manner = refusing(400)
    for (let i = 0; i < 100; i++) expect((await chat()).status).toBe(400)
    one.manner = stalling
    const url = `${gateway.proxyUrl}/v1/chat/completions`
    const body = { model: 'm', messages: [{ role: 'user', content: 'hi' }] }
    for (let i = 0; i < 10; i++) {
      await Promise.all(
        Array.from({ length: 10 }, () => call(url, { key, body, abortAfterMs: 30 })),
      )
    }
    await waitFor('the end of all calls', async () => (await health('one/m')).in_flight === 0)
    for (const target of ['one/m', 'two/m']) {
      expect(await health(target)).toMatchObject({
        state: 'healthy',
        circuit: 'closed',
        set_aside_until: null,
        consecutive_failures: 0,
        failure_share: 0,
      })
    }
    expect(two.calls).toHaveLength(0)
  })
})

describe('a circuit', () => {
  it('opens, spares the target, leaves its siblings alone, and notices that it is back', async () => {
    // So long that only a probe can have noticed.
    await start({ breaker: { open_for: '1m', max_open_for: '1m' }, probes: { interval: '200ms' } })
    await one.down()
    for (let i = 0; i < 8; i++) expect((await chat()).status).toBe(200)
    expect(await health('one/m')).toMatchObject({ state: 'down', circuit: 'open' })
    expect(await health('one/sibling')).toMatchObject({ state: 'healthy', circuit: 'closed' })
    expect((await gateway.cli('provider', 'list')).out).toMatch(/one .* down /)
    expect((await gateway.cli('status')).out).toMatch(/targets +[1-9]\d* healthy, 1 down/)
    const metrics = await gateway.admin.metrics()
    expect(metrics.sum('tollgate_circuit_state', { target: 'one/m' })).toBe(2)
    await one.up()
    const backAtMs = performance.now()
    await waitFor('a probe', () => one.probes() > 0)
    await waitFor('the trial', async () => (await health('one/m')).circuit === 'half_open')
    expect(one.calls).toHaveLength(0)
    const answer = await chat()
    expect(provider(answer)).toBe('one')
    expect(performance.now() - backAtMs).toBeLessThan(10_000)
    expect(await health('one/m')).toMatchObject({ state: 'healthy', circuit: 'closed' })
    const told = await events('one/m')
    expect(told.filter((type) => type.startsWith('circuit.'))).toEqual([
      'circuit.opened',
      'circuit.half_open',
      'circuit.closed',
    ])
    expect(told.filter((type) => type.startsWith('target.'))).toEqual([
      'target.health_changed',
      'target.degraded',
      'target.health_changed',
      'target.down',
      'target.health_changed',
      'target.degraded',
      'target.health_changed',
      'target.recovered',
    ])
  })

  it('lets exactly one call try', async () => {
    await start({
      breaker: { open_for: '300ms', when_all_open: 'refuse' },
      probes: { enabled: false },
    })
    one.manner = refusing(500)
    for (let i = 0; i < 5; i++) expect((await chat('alone')).status).toBe(500)
    const refused = await chat('alone')
    expect([refused.status, refused.headers['x-tollgate-error']]).toEqual([
      503,
      'no_target_available',
    ])
    expect(Number(refused.headers['retry-after-ms'])).toBeLessThanOrEqual(300)
    expect(one.calls).toHaveLength(5)
    one.manner = (response) => setTimeout(() => fine(response, Object(null)), 300)
    await waitFor('its time', async () => (await health('one/alone')).circuit === 'half_open')
    const answers = await Promise.all(Array.from({ length: 20 }, () => chat('alone')))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(one.calls).toHaveLength(6)
    expect((await chat('alone')).status).toBe(200)
  })

  it('forgets what it knew of a provider that moved, and keeps the rest over a reload', async () => {
    await start()
    one.manner = refusing(500)
    for (let i = 0; i < 3; i++) await chat()
    await gateway.admin.send('POST', '/config/reload')
    expect((await health('one/m')).consecutive_failures).toBe(3)
    gateway.configure({
      ...config(),
      providers: { one: entry(two.url), two: entry(two.url), gone: entry(two.url) },
    })
    await gateway.admin.send('POST', '/config/reload')
    expect((await health('one/m')).consecutive_failures).toBe(0)
  })
})

import assert from 'node:assert/strict'
import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  ask,
  type Config,
  type Harness,
  type HarnessOptions,
  leftovers,
  NOTHING_LEFT,
  openRaw,
  rawPost,
  startHarness,
} from '../../testing/data-plane-harness.ts'
import {
  type Exchange,
  type ScriptedUpstream,
  startScriptedUpstream,
  wholeAnswer,
} from '../../testing/scripted-upstream.ts'
import { UpstreamPools } from '../upstream/pools.ts'
import { fixture } from '../../testing/tap-replay.ts'

const PROTOCOLS = new URL('../../protocols/', import.meta.url)
const OK = wholeAnswer(200, fixture(new URL('openai-chat/', PROTOCOLS), 'whole.json'))
const CHAT = '{"model":"m","messages":[{"role":"user","content":"hi"}]}'
const EMBED = '{"model":"m","input":"hi"}'
const WAIT = { timeout: 5000, interval: 2 }

let upstream: ScriptedUpstream
let harness: Harness
afterEach(async () => {
  await vi.waitFor(() => assert.deepEqual(leftovers(harness), NOTHING_LEFT), WAIT)
  await harness.close()
  await upstream.close()
})

/** Answers by number; the last one goes on for ever. */
async function start(
  answers: readonly (string | Buffer)[],
  keyPolicy: Config,
  options: Partial<HarnessOptions> = {},
): Promise<void> {
  let asked = 0
  const play = ({ socket }: Exchange): void => {
    socket.write(answers[Math.min(asked++, answers.length - 1)] ?? '')
  }
  upstream = await startScriptedUpstream(play)
  harness = await startHarness({ upstreamUrl: upstream.url, keyPolicy, ...options })
}

function failing(status: number, headers = ''): string {
  const body = `{"error":{"message":"no ${status}"}}`
  return `HTTP/1.1 ${status} No\r\ncontent-type: application/json\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`
}

function models(): readonly unknown[] {
  return upstream.exchanges.map(({ received }): unknown => {
    const body: unknown = JSON.parse(received.body.toString())
    return typeof body === 'object' && body !== null && 'model' in body ? body.model : null
  })
}

async function statuses(count: number): Promise<readonly number[]> {
  const seen: number[] = []
  for (let i = 0; i < count; i++) seen.push((await ask(harness, { body: CHAT })).status)
  return seen
}

const EMPTY_ACCOUNT = wholeAnswer(
  429,
  '{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}',
)

describe('max_retries', () => {
  it('asks the same target again, and records every attempt', async () => {
    await start([failing(500), failing(429, 'retry-after-ms: 600\r\n'), OK], {
      retry: { max_retries: 2 },
    })
    const answer = await ask(harness, { body: CHAT })
    expect([answer.status, answer.headers['x-tollgate-attempts']]).toEqual([200, '3'])
    expect(harness.records[0]?.attempts.map(({ status }) => status)).toEqual([500, 429, 200])
    // Pauses are no work of the gateway.
    expect(harness.records[0]?.overheadMs).toBeLessThan(600)
  })

  it('passes on the last refusal when it is used up', async () => {
    await start([failing(503, 'retry-after: 0\r\n')], { retry: { max_retries: 2 } })
    const answer = await ask(harness, { body: CHAT })
    expect([answer.status, answer.body.toString()]).toEqual([503, '{"error":{"message":"no 503"}}'])
    expect(upstream.exchanges).toHaveLength(3)
  })

  it.each([
    ['the request is at fault', failing(400), 400],
    [
      'the provider asks for more patience than a client has',
      failing(429, 'retry-after: 60\r\n'),
      429,
    ],
    ["the gateway's own credential is refused", failing(401), 502],
    ['the account is empty, which no wait cures', EMPTY_ACCOUNT, 429],
  ])('asks no more when %s', async (_why, refusal, status) => {
    await start([refusal, OK], { retry: { max_retries: 5 } })
    expect(await statuses(1)).toEqual([status])
    expect(upstream.exchanges).toHaveLength(1)
  })

  it('ends with the client', async () => {
    await start([failing(429, 'retry-after: 8\r\n'), OK], { retry: { max_retries: 1 } })
    const client = await openRaw(harness.port)
    client.socket.write(rawPost(harness, CHAT))
    await vi.waitFor(() => expect(upstream.exchanges).toHaveLength(1), WAIT)
    client.socket.destroy()
    await vi.waitFor(() => expect(harness.records).toHaveLength(1), WAIT)
    expect(harness.records[0]?.errorClass).toBe('cancelled')
    expect(upstream.exchanges).toHaveLength(1)
  })
})

describe('retry_on', () => {
  it('says after which statuses the request goes on', async () => {
    await start([failing(409), OK, failing(500), OK], {
      retry: { max_retries: 1, retry_on: [409] },
    })
    expect(await statuses(2)).toEqual([200, 500])
    expect(upstream.exchanges).toHaveLength(3)
  })

  it('holds for the next target too', async () => {
    const retry = { fallbacks: ['other'], retry_on: [429] }
    await start([failing(503), failing(429), OK], { retry })
    expect(await statuses(2)).toEqual([503, 200])
    expect(models()).toEqual(['m', 'm', 'other'])
  })
})

function requestsOf(model: string, amount: number): Config {
  const limit = { scope: 'key', unit: 'requests', algorithm: 'lifetime', amount }
  return { id: `on-${model}`, ...limit, match: { models: model } }
}

describe('fallbacks', () => {
  it('stand in for the model, and say so', async () => {
    await start([failing(500), failing(500), OK], { retry: { fallbacks: ['a', 'b'] } })
    const answer = await ask(harness, { body: CHAT })
    expect([answer.status, answer.headers['x-tollgate-model']]).toEqual([200, 'b'])
    expect(models()).toEqual(['m', 'a', 'b'])
    expect(harness.records[0]).toMatchObject({ requestedModel: 'm', model: 'b', target: 'up/b' })
  })

  it('are only those that the key may use', async () => {
    const policy = {
      models: { allow: ['m', 'b'], deny: ['up/c'] },
      retry: { fallbacks: ['a', 'b', 'c'] },
    }
    await start([failing(500)], policy)
    expect(await statuses(1)).toEqual([500])
    expect(models()).toEqual(['m', 'b'])
  })

  it('charge the limits on their own model, and only them', async () => {
    await start([failing(500), OK, failing(500), failing(500)], {
      retry: { fallbacks: ['b'] },
      limits: [requestsOf('m', 5), requestsOf('b', 1)],
    })
    expect(await statuses(3)).toEqual([200, 500, 500])
    expect(models()).toEqual(['m', 'b', 'm', 'm'])
    const used = Object.fromEntries((await harness.gate.list()).map((one) => [one.id, one.used]))
    expect(used).toMatchObject({ 'on-b': 1 })
    expect(used['on-m'] ?? 0).toBe(0)
  })

  it('have the prompts of their own provider entry', async () => {
    await start([failing(500), OK], {
      retry: { fallbacks: ['b'] },
      providers: [
        { match: { models: 'b' }, provider: 'up', prompts: [{ role: 'system', content: 'B' }] },
      ],
    })
    const body = '{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'
    await ask(harness, { body })
    expect(upstream.exchanges.map(({ received }) => received.body.toString())).toEqual([
      body,
      '{"model":"b","max_tokens":9,"messages":[{"role":"system","content":"B"},{"role":"user","content":"hi"}]}',
    ])
  })
})

describe('prompts', () => {
  const prompts = [{ role: 'system', content: 'x'.repeat(2000) }]

  it('are counted where the input is limited', async () => {
    await start([OK], { prompts, max_input_tokens: 500 })
    const refused = await ask(harness, { body: CHAT })
    expect([refused.status, JSON.parse(refused.body.toString())]).toMatchObject([
      400,
      { error: { code: 'request_exceeds_limit' } },
    ])
    const embedding = await ask(harness, { path: '/v1/embeddings', body: EMBED })
    expect([embedding.status === 400, upstream.exchanges.length]).toEqual([false, 1])
    expect(upstream.exchanges[0]?.received.body.toString()).toBe(EMBED)
  })

  it('are counted in the rough bound that distant limits take', async () => {
    const reserved: number[] = []
    await start([OK], { prompts })
    const { gate } = harness
    vi.spyOn(gate, 'reserve').mockImplementationOnce((charges, demand) => {
      reserved.push(demand.inputTokens)
      throw new Error(`stop ${charges.length}`)
    })
    await ask(harness, { body: CHAT })
    harness.errors.length = 0
    expect(reserved[0]).toBeGreaterThan(CHAT.length + 2000)
  })
})

describe('timeout', () => {
  it('ends an attempt sooner than the provider would', async () => {
    await start([''], { timeout: { first_byte: '150ms' } })
    const before = performance.now()
    expect(await statuses(1)).toEqual([504])
    expect(performance.now() - before).toBeLessThan(2000)
  })
})

describe('upstream_url', () => {
  const open = { enabled: true, allow_private: true }

  it('is dialled with the credential of the policy and nothing of the provider', async () => {
    const elsewhere = await startScriptedUpstream(({ socket }) => void socket.write(OK))
    await start(
      [OK],
      { upstream_url: `${elsewhere.url}/proxy/v1`, credential: 'env:LOCAL_KEY' },
      {
        provider: { headers: { 'x-secret': 'ours' }, query: { token: 'ours' } },
        config: {
          custom_upstreams: { ...open, ports: [elsewhere.port] },
          credentials: { allowed: ['env:LOCAL_KEY'] },
        },
      },
    )
    expect(await statuses(1)).toEqual([200])
    expect(upstream.exchanges).toHaveLength(0)
    const head = elsewhere.exchanges[0]?.received.head ?? ''
    expect(head.startsWith('POST /proxy/v1/chat/completions HTTP/1.1')).toBe(true)
    expect(head).toContain('Bearer local-secret')
    expect(head).not.toContain('ours')
    await elsewhere.close()
  })

  it('that stands for a private address is refused when it is dialled', async () => {
    const pools = new UpstreamPools((_name, _options, callback) =>
      callback(null, [{ address: '10.0.0.1', family: 4 }]),
    )
    const policy = { upstream_url: 'http://rebound.test/v1' }
    await start([OK], policy, { pools, config: { custom_upstreams: { enabled: true } } })
    const answer = await ask(harness, { body: CHAT })
    expect([answer.status, JSON.parse(answer.body.toString())]).toMatchObject([
      502,
      { error: { code: 'upstream_refused_by_guard' } },
    ])
  })
})

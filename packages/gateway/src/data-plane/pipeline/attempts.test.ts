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
import { NO_USAGE, totalInputTokens } from '../../contracts/usage.ts'
import {
  type Exchange,
  type ScriptedUpstream,
  startScriptedUpstream,
  streamAnswer,
  wholeAnswer,
} from '../../testing/scripted-upstream.ts'
import { fixture } from '../../testing/tap-replay.ts'

const PROTOCOLS = new URL('../../protocols/', import.meta.url)
const OK = wholeAnswer(200, fixture(new URL('openai-chat/', PROTOCOLS), 'whole.json'))
const STREAM = streamAnswer([fixture(new URL('openai-chat/', PROTOCOLS), 'text.sse')])
const WAIT = { timeout: 5000, interval: 2 }
const MESSAGES = [{ role: 'user', content: 'hi' }]
const AGAIN = { 'x-stainless-retry-count': '1' }

let upstream: ScriptedUpstream
let harness: Harness
afterEach(async () => {
  await vi.waitFor(() => assert.deepEqual(leftovers(harness), NOTHING_LEFT), WAIT)
  await harness.close()
  await upstream.close()
})

type Answers = (model: string, asked: number) => string | Buffer | null

/** `answers`: by model and number of its call; null closes the connection. */
async function start(
  answers: Answers,
  keyPolicy: Config = {},
  options: Partial<HarnessOptions> = {},
): Promise<void> {
  const asked = new Map<string, number>()
  const play = ({ socket, received }: Exchange): void => {
    const { model } = bodyOf(received.body)
    const count = (asked.get(String(model)) ?? 0) + 1
    asked.set(String(model), count)
    const answer = answers(String(model), count)
    if (answer === null) socket.destroy()
    else socket.write(answer)
  }
  upstream = await startScriptedUpstream(play)
  harness = await startHarness({ upstreamUrl: upstream.url, keyPolicy, health: true, ...options })
}

function bodyOf(body: Buffer): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(body.toString())
  return Object(value)
}

function refusal(status: number, error: object, headers: readonly string[] = []): string {
  const body = JSON.stringify({ error })
  return wholeAnswer(status, body, ['content-type: application/json', ...headers]).toString()
}

const BROKEN = refusal(500, { message: 'no' })
const TOO_LONG = refusal(400, { message: 'too long', code: 'context_length_exceeded' })
const FILTERED = refusal(400, { message: 'no', code: 'content_filter' })

function chat(model: string, more: object = {}, headers: Config = {}) {
  const body = JSON.stringify({ model, messages: MESSAGES, ...more })
  const texts = Object.entries(headers).map(([name, value]) => [name, String(value)])
  return ask(harness, { body, headers: Object.fromEntries(texts) })
}

const models = (): readonly unknown[] =>
  upstream.exchanges.map(({ received }) => bodyOf(received.body)['model'])
const lastRecord = () => harness.records.at(-1)

describe('retries of clients', () => {
  it('are cut to a share of the first attempts while the target fails, and told to stop', async () => {
    await start(() => BROKEN)
    const calls = 30
    let shed = 0
    for (let i = 0; i < calls; i++) {
      await chat('m')
      for (let again = 1; again <= 2; again++) {
        const { status, headers } = await chat('m', {}, { 'x-stainless-retry-count': again })
        if (headers['x-should-retry'] !== 'false') continue
        expect([status, headers['x-tollgate-error']]).toEqual([503, 'no_target_available'])
        shed += 1
      }
    }
    expect(upstream.exchanges.length / calls).toBeLessThanOrEqual(1.2)
    expect(upstream.exchanges.length + shed).toBe(calls * 3)
  })

  it('pass while the target is well', async () => {
    await start(() => OK)
    for (let i = 0; i < 10; i++) expect((await chat('m', {}, AGAIN)).status).toBe(200)
  })
})

describe('retries of the gateway', () => {
  it('stay within their budget', async () => {
    await start(
      () => BROKEN,
      { retry: { max_retries: 10 } },
      {
        config: { routing: { retry: { budget: 0.1, burst: 2 } } },
      },
    )
    await chat('m')
    expect(upstream.exchanges.length).toBeLessThanOrEqual(4)
    expect(upstream.exchanges.length).toBeGreaterThan(2)
  })

  it('are for all keys, where the configuration says so', async () => {
    await start(
      (_model, asked) => (asked === 1 ? BROKEN : OK),
      {},
      {
        config: { routing: { retry: { max_retries: 1 } } },
      },
    )
    expect((await chat('m')).status).toBe(200)
    expect(lastRecord()?.attempts.map(({ errorClass }) => errorClass)).toEqual(['transient', null])
  })

  it('open a connection anew that the provider had closed', async () => {
    await start((_model, asked) => (asked === 2 ? null : OK))
    expect([(await chat('m')).status, (await chat('m')).status]).toEqual([200, 200])
    expect(lastRecord()?.attempts.map(({ errorClass }) => errorClass)).toEqual([
      'upstream_unreachable',
      null,
    ])
  })

  it('end with the time of the request', async () => {
    await start(() => BROKEN, { retry: { max_retries: 10 }, timeout: { total: '300ms' } })
    const startedMs = performance.now()
    expect((await chat('m')).status).toBe(500)
    expect(performance.now() - startedMs).toBeLessThan(2000)
  })
})

const SIZES = {
  models: {
    small: { context: 4000, max_output: 500, targets: [{ provider: 'up' }] },
    middle: { context: 8000, max_output: 500, targets: [{ provider: 'up' }] },
    large: { context: 32_000, max_output: 500, targets: [{ provider: 'up' }] },
  },
}
const long = (words: number): object => ({
  messages: [{ role: 'user', content: 'word '.repeat(words) }],
})

describe('a context that is too small', () => {
  it('takes a smaller output, if that is all it needs', async () => {
    await start((_model, asked) => (asked === 1 ? TOO_LONG : OK), {}, { config: SIZES })
    const { status, headers } = await chat('small', { max_tokens: 3980 })
    expect(status).toBe(200)
    const caps = upstream.exchanges.map(({ received }) => bodyOf(received.body)['max_tokens'])
    expect(caps[0]).toBe(3980)
    expect(Number(caps[1])).toBeLessThan(3750)
    expect(headers['x-tollgate-output-cap']).toBe(String(caps[1]))
    expect(lastRecord()?.attempts.map(({ errorClass }) => errorClass)).toEqual([
      'context_overflow',
      null,
    ])
  })

  it('goes to the smallest larger model, where the policy says so', async () => {
    const routing = { escalate: true }
    await start((model) => (model === 'large' ? OK : TOO_LONG), { routing }, { config: SIZES })
    const { status, headers } = await chat('small')
    expect([status, headers['x-tollgate-model']]).toEqual([200, 'large'])
    expect(models()).toEqual(['small', 'middle', 'large'])
    expect(lastRecord()).toMatchObject({ model: 'large', routing: { reason: 'escalated' } })
    expect(harness.targets.signals('up/small', performance.now()).state).toBe('healthy')
  })

  it('stays with the model otherwise, and with those that the policy names', async () => {
    await start(() => TOO_LONG, { routing: { escalate: ['middle'] } }, { config: SIZES })
    expect((await chat('small')).status).toBe(400)
    expect(models()).toEqual(['small', 'middle'])
    expect((await chat('large')).status).toBe(400)
    expect(models()).toEqual(['small', 'middle', 'large'])
  })

  it('is seen before the call where the input is counted', async () => {
    const two = { context: 4000, targets: [{ provider: 'up' }, { provider: 'up', id: 'other' }] }
    const config = { models: { ...SIZES.models, small: two } }
    await start(() => OK, { routing: { escalate: ['large'] } }, { config })
    const { status, headers } = await chat('small', long(6000))
    expect([status, headers['x-tollgate-model']]).toEqual([200, 'large'])
    expect(models()).toEqual(['large'])
  })
})

describe('a content filter', () => {
  it('is the last word, unless the policy lists who stands in', async () => {
    const routing = { content_fallbacks: ['strict', 'calm'], fallbacks: ['never'] }
    await start((model) => (model === 'calm' ? OK : FILTERED), { routing })
    const { status, headers } = await chat('m')
    expect([status, headers['x-tollgate-model']]).toEqual([200, 'calm'])
    expect(models()).toEqual(['m', 'strict', 'calm'])
    expect(lastRecord()?.attempts.map(({ errorClass }) => errorClass)).toEqual([
      'content_filter',
      'content_filter',
      null,
    ])
  })

  it('passes as it came, to no other target', async () => {
    await start(() => FILTERED, { retry: { fallbacks: ['other'] } })
    const { status, body } = await chat('m')
    expect([status, JSON.parse(body.toString())]).toMatchObject([
      400,
      { error: { code: 'content_filter' } },
    ])
    expect(models()).toEqual(['m'])
  })
})

describe('an attempt that was given up after its answer had begun', () => {
  it('is paid for its input, beside the one that answered', async () => {
    const cut = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{'
    const price = { input: 1, output: 2 }
    const config = {
      models: { m: { price, targets: [{ provider: 'up' }, { provider: 'up', id: 'b' }] } },
    }
    await start(
      (_model, asked) => (asked === 1 ? cut : OK),
      {},
      {
        config,
        provider: { timeouts: { idle: '200ms' } },
      },
    )
    expect((await chat('m')).status).toBe(200)
    const [first, second] = [lastRecord(), (await chat('m'), lastRecord())]
    const paid = (first?.usage.inputTokens ?? 0) - (second?.usage.inputTokens ?? 0)
    expect(paid).toBeGreaterThan(0)
    expect((first?.costNanoUsd ?? 0) - (second?.costNanoUsd ?? 0)).toBe(paid * 1000)
    expect([first?.estimated, second?.estimated]).toEqual([true, false])
    expect(first?.attempts.map(({ errorClass }) => errorClass)).toEqual(['upstream_timeout', null])
    const used = (await harness.gate.list()).find(({ id }) => id === 'tokens')?.used
    const told = [first, second].map((record) => {
      const usage = record?.usage ?? NO_USAGE
      return totalInputTokens(usage) + (usage.outputTokens ?? 0)
    })
    expect(used).toBe((told[0] ?? 0) + (told[1] ?? 0))
  })
})

const TWO = {
  models: {
    m: {
      price: { input: 1, output: 2 },
      targets: [{ provider: 'up' }, { provider: 'up', model: 'other' }],
    },
  },
}
const HEDGED = { routing: { hedge: { after: '60ms' } } }
const later = (socket: Exchange['socket'], bytes: string | Buffer, ms: number): void => {
  setTimeout(() => socket.destroyed || socket.write(bytes), ms)
}

describe('a second attempt at the same time', () => {
  const answers = { m: { bytes: OK, ms: 0 }, other: { bytes: OK, ms: 0 } }

  async function hedge(m: number, other: number, streamed = false): Promise<void> {
    const bytes = streamed ? STREAM : OK
    Object.assign(answers, { m: { bytes, ms: m }, other: { bytes, ms: other } })
    await start(() => '', HEDGED, { config: TWO })
    upstream.play = ({ socket, received }) => {
      const one = bodyOf(received.body)['model'] === 'other' ? answers.other : answers.m
      later(socket, one.bytes, one.ms)
    }
  }

  it.each([false, true])(
    'answers when the first is slow, which is ended and paid: streamed %s',
    async (stream) => {
      await hedge(5000, 0, stream)
      const answer = await chat('m', { stream })
      expect([answer.status, answer.aborted]).toEqual([200, false])
      await vi.waitFor(() => expect(harness.records).toHaveLength(1), WAIT)
      expect(upstream.exchanges[0]?.closedAtMs).not.toBeNull()
      expect(lastRecord()).toMatchObject({ target: 'up/other', complete: true, estimated: true })
      // Of the other one the input had to be estimated; this stream says nothing of its usage either.
      expect(harness.noUsage).toHaveLength(stream ? 1 : 0)
      expect(lastRecord()?.attempts.map(({ target, errorClass }) => [target, errorClass])).toEqual([
        ['up/m', 'cancelled'],
        ['up/other', null],
      ])
      const { usage, costNanoUsd } = lastRecord() ?? {}
      expect(costNanoUsd).toBeGreaterThan((usage?.outputTokens ?? 0) * 2000)
      expect(harness.targets.signals('up/m', performance.now())).toMatchObject({
        consecutiveFailures: 0,
        inFlight: 0,
      })
    },
  )

  it('changes nothing when the first is quick, or wins all the same', async () => {
    await hedge(0, 0)
    expect((await chat('m')).headers['x-tollgate-attempts']).toBe('1')
    expect(lastRecord()).toMatchObject({ target: 'up/m', estimated: false })
    Object.assign(answers, { m: { bytes: OK, ms: 150 }, other: { bytes: OK, ms: 5000 } })
    expect((await chat('m')).headers['x-tollgate-attempts']).toBe('2')
    expect(lastRecord()?.attempts.map(({ target, errorClass }) => [target, errorClass])).toEqual([
      ['up/other', 'cancelled'],
      ['up/m', null],
    ])
  })

  it('ends with its client, both of it', async () => {
    await hedge(5000, 5000)
    const client = await openRaw(harness.port)
    client.socket.write(rawPost(harness, JSON.stringify({ model: 'm', messages: MESSAGES })))
    await vi.waitFor(() => expect(upstream.exchanges).toHaveLength(2), WAIT)
    client.socket.destroy()
    await vi.waitFor(() => expect(harness.records).toHaveLength(1), WAIT)
    expect(lastRecord()?.errorClass).toBe('cancelled')
    await vi.waitFor(
      () => expect(upstream.exchanges.map(({ closedAtMs }) => closedAtMs)).not.toContain(null),
      WAIT,
    )
  })

  it('fails as the second does, when both fail', async () => {
    await hedge(150, 0)
    Object.assign(answers, {
      m: { bytes: BROKEN, ms: 150 },
      other: { bytes: refusal(503, { message: 'busy' }), ms: 150 },
    })
    expect((await chat('m')).status).toBe(503)
    expect(lastRecord()?.attempts.map(({ status }) => status)).toEqual([500, 503])
  })
})

describe('stated waits', () => {
  it.each([
    [['retry-after-ms: 700'], {}, 700],
    [['retry-after: 3'], {}, 3000],
    [['x-ratelimit-remaining-requests: 0', 'x-ratelimit-reset-requests: 1m30.951s'], {}, 90_951],
    [
      [],
      {
        code: 429,
        details: [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '34.5s' }],
      },
      34_500,
    ],
    [['retry-after: 999999999'], {}, 86_400_000],
  ])('%j %j', async (headers, more, ms) => {
    await start(() => refusal(429, { message: 'slow', ...more }, headers))
    const beforeMs = performance.now()
    await chat('m')
    const { setAsideUntilMs } = harness.targets.signals('up/m', performance.now())
    expect(setAsideUntilMs).toBeGreaterThanOrEqual(beforeMs + ms)
    expect(setAsideUntilMs).toBeLessThan(beforeMs + ms + 2000)
  })

  it('that cannot be read are none', async () => {
    await start(() => refusal(429, { message: 'slow' }, ['retry-after: soon']))
    await chat('m')
    expect(harness.targets.signals('up/m', performance.now())).toMatchObject({
      setAsideUntilMs: null,
      consecutiveFailures: 1,
    })
  })
})

describe('an error inside a success', () => {
  it('counts for the target as what it says', async () => {
    const inside = wholeAnswer(200, '{"error":{"message":"no","code":"insufficient_quota"}}', [
      'content-type: application/json',
    ])
    await start(() => inside)
    expect((await chat('m')).status).toBe(502)
    expect(harness.targets.blocked('up/m', performance.now())).toMatchObject({ failure: 'quota' })
  })
})

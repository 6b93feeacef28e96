import type { Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  type Answered,
  ask,
  type Config,
  type Harness,
  leftovers,
  NOTHING_LEFT,
  openRaw,
  type RawClient,
  rawPost,
  startHarness,
} from '../../testing/data-plane-harness.ts'
import {
  chunk,
  type Exchange,
  LAST_CHUNK,
  type ScriptedUpstream,
  startScriptedUpstream,
  STREAM_HEAD,
  wholeAnswer,
} from '../../testing/scripted-upstream.ts'

const WAIT = { timeout: 5000, interval: 2 }
const ANSWER = JSON.stringify({
  id: 'one',
  model: 'm-1',
  choices: [
    { index: 0, message: { role: 'assistant', content: 'hello é' }, finish_reason: 'stop' },
  ],
  usage: { prompt_tokens: 3, completion_tokens: 2 },
})
const FRAMES = [
  'data: {"choices":[{"index":0,"delta":{"content":"one"}}]}\n\n',
  'data: {"choices":[{"index":0,"delta":{"content":" two"}}]}\n\n',
  'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n',
  'data: [DONE]\n\n',
]

let upstream: ScriptedUpstream
let harness: Harness

async function begin(config: Config = {}, provider: Config = {}): Promise<void> {
  upstream = await startScriptedUpstream()
  harness = await startHarness({ upstreamUrl: upstream.url, config, provider })
}

beforeEach(() => begin())
afterEach(async () => {
  await harness.close()
  await upstream.close()
})

async function restart(config: Config, provider: Config = {}): Promise<void> {
  await harness.close()
  await upstream.close()
  await begin(config, provider)
}

function bodyOf(more: Config = {}): string {
  return JSON.stringify({ model: 'up/m', messages: [{ role: 'user', content: 'hi' }], ...more })
}

function send(key: string, more: Config = {}, headers: Readonly<Record<string, string>> = {}) {
  return ask(harness, { body: bodyOf(more), headers: { 'idempotency-key': key, ...headers } })
}

/** The call number `count` at the upstream. */
async function called(count: number): Promise<Exchange> {
  await vi.waitFor(() => expect(upstream.exchanges).toHaveLength(count), WAIT)
  const exchange = upstream.exchanges[count - 1]
  if (exchange === undefined) throw new Error('no such call')
  return exchange
}

async function inFlight(count: number): Promise<void> {
  await vi.waitFor(() => expect(harness.dataPlane.load.inFlight).toBe(count), WAIT)
}

async function settled(): Promise<void> {
  await vi.waitFor(() => expect(leftovers(harness)).toEqual(NOTHING_LEFT), WAIT)
}

async function post(stream: boolean): Promise<RawClient> {
  const client = await openRaw(harness.port)
  const head = rawPost(harness, bodyOf({ stream }))
  client.socket.write(head.replace('\r\n', '\r\nidempotency-key: key-1\r\n'))
  return client
}

/** The head and the first event of a stream, as far as one was asked for, until a client has them. */
async function beginAnswer(socket: Socket, stream: boolean, client: RawClient): Promise<void> {
  if (!stream) return
  socket.write(STREAM_HEAD)
  socket.write(chunk(FRAMES[0] ?? ''))
  await vi.waitUntil(() => client.text().includes('one'), WAIT)
}

function endAnswer(socket: Socket, stream: boolean): void {
  if (!stream) return void socket.write(wholeAnswer(200, ANSWER))
  for (const frame of FRAMES.slice(1)) socket.write(chunk(frame))
  socket.write(LAST_CHUNK)
}

function formOf(boundary: string, text: string): Buffer {
  const field = `--${boundary}\r\ncontent-disposition: form-data; name=`
  return Buffer.from(
    `${field}"model"\r\n\r\nup/m\r\n${field}"file"; filename="a.wav"\r\n\r\n${text}\r\n--${boundary}--\r\n`,
  )
}

function postForm(boundary: string, text: string): Promise<Answered> {
  return ask(harness, {
    path: '/v1/audio/transcriptions',
    headers: {
      'idempotency-key': 'key-1',
      'content-type': `multipart/form-data; boundary=${boundary}`,
    },
    body: formOf(boundary, text),
  })
}

const isReplay = ({ headers }: Answered): boolean => headers['idempotency-replay'] === 'true'

describe('a whole answer', () => {
  it('50 callers at once: one call, the same bytes, one cost', async () => {
    const asked = Array.from({ length: 50 }, () => send('key-1'))
    const { socket } = await called(1)
    await inFlight(50)
    socket.write(wholeAnswer(200, ANSWER))
    const answers = await Promise.all(asked)
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    expect(answers.every(({ body }) => body.toString() === ANSWER)).toBe(true)
    expect(answers.filter(isReplay)).toHaveLength(49)
    await settled()
    expect(upstream.exchanges).toHaveLength(1)
    const first = harness.records.filter(({ cache }) => cache === null)
    const replays = harness.records.filter(({ cache }) => cache === 'idempotent')
    expect([first.length, replays.length]).toEqual([1, 49])
    expect(first[0]?.usage.outputTokens).toBe(2)
    for (const record of replays) {
      expect(record).toMatchObject({
        costNanoUsd: 0,
        complete: true,
        status: 200,
        attempts: [],
        limits: [],
        requestedModel: 'up/m',
        servedModel: 'm-1',
        provider: 'up',
        errorClass: null,
      })
    }
  })

  it('is given again later, with ids of its own and the id of the call', async () => {
    const first = send('key-1')
    ;(await called(1)).socket.write(
      wholeAnswer(200, ANSWER, ['content-type: application/json', 'openai-version: 7']),
    )
    const one = await first
    const two = await send('key-1')
    expect(two.body).toEqual(one.body)
    expect(two.status).toBe(200)
    expect(upstream.exchanges).toHaveLength(1)
    expect(one.headers['idempotency-replay']).toBeUndefined()
    expect(two.headers['x-tollgate-replay-of']).toBe(one.headers['x-request-id'])
    expect(two.headers['x-request-id']).not.toBe(one.headers['x-request-id'])
    expect(two.headers['openai-version']).toBe('7')
    expect(two.headers['x-tollgate-attempts']).toBe('0')
    expect(two.headers['x-ratelimit-remaining-requests']).toBeUndefined()
    const last = harness.records.at(-1)
    expect(last?.requestId).toBe(two.headers['x-request-id'])
    expect(last?.cache).toBe('idempotent')
  })

  it('the other name of the header is the same header', async () => {
    const first = send('key-1')
    ;(await called(1)).socket.write(wholeAnswer(200, ANSWER))
    await first
    const body = bodyOf()
    expect(isReplay(await ask(harness, { body, headers: { 'x-idempotency-key': 'key-1' } }))).toBe(
      true,
    )
    expect(isReplay(await send('key-1', {}, { 'x-idempotency-key': 'key-1' }))).toBe(true)
    expect((await send('key-1', {}, { 'x-idempotency-key': 'key-2' })).status).toBe(400)
    expect(upstream.exchanges).toHaveLength(1)
  })

  it('without a key every request is a call', async () => {
    upstream.play = ({ socket }) => void socket.write(wholeAnswer(200, ANSWER))
    await ask(harness, { body: bodyOf() })
    await ask(harness, { body: bodyOf() })
    expect(upstream.exchanges).toHaveLength(2)
    expect(harness.answers.kept.size).toBe(0)
  })

  it('means nothing where it is switched off', async () => {
    await restart({ idempotency: { enabled: false } })
    upstream.play = ({ socket }) => void socket.write(wholeAnswer(200, ANSWER))
    await send('key-1')
    expect(isReplay(await send('key-1'))).toBe(false)
    expect((await send('', { n: 1 })).status).toBe(200)
    expect(upstream.exchanges).toHaveLength(3)
  })
})

describe('a stream', () => {
  it('50 callers at once, some of them in its middle: one call, the same bytes', async () => {
    const early = Array.from({ length: 25 }, () => send('key-1', { stream: true }))
    const { socket } = await called(1)
    socket.write(STREAM_HEAD)
    socket.write(chunk(FRAMES[0] ?? ''))
    await inFlight(25)
    const late = Array.from({ length: 25 }, () => send('key-1', { stream: true }))
    await inFlight(50)
    for (const frame of FRAMES.slice(1)) socket.write(chunk(frame))
    socket.write(LAST_CHUNK)
    const answers = await Promise.all([...early, ...late])
    const again = await send('key-1', { stream: true })
    for (const { body, headers, aborted } of [...answers, again]) {
      expect(body.toString()).toBe(FRAMES.join(''))
      expect(headers['content-type']).toBe('text/event-stream')
      expect(headers['content-length']).toBeUndefined()
      expect(aborted).toBe(false)
    }
    expect(answers.filter(isReplay)).toHaveLength(49)
    expect(isReplay(again)).toBe(true)
    await settled()
    expect(upstream.exchanges).toHaveLength(1)
    expect(harness.records.filter(({ cache }) => cache === 'idempotent')).toHaveLength(50)
    expect(harness.records.every(({ stream, complete }) => stream && complete)).toBe(true)
  })

  it('is followed while it runs', async () => {
    void send('key-1', { stream: true })
    const { socket } = await called(1)
    const client = await post(true)
    socket.write(STREAM_HEAD)
    socket.write(chunk(FRAMES[0] ?? ''))
    await vi.waitFor(() => expect(client.text()).toContain('"one"'), WAIT)
    expect(client.text()).toContain('idempotency-replay: true')
    expect(client.text()).not.toContain('"stop"')
    for (const frame of FRAMES.slice(1)) socket.write(chunk(frame))
    socket.write(LAST_CHUNK)
    await vi.waitFor(() => expect(client.text()).toContain('[DONE]'), WAIT)
    client.socket.destroy()
    await settled()
  })

  it('that was cut is cut for all, and not given again', async () => {
    const asked = [1, 2, 3].map(() => send('key-1', { stream: true }))
    const { socket } = await called(1)
    await inFlight(3)
    socket.write(STREAM_HEAD)
    socket.write(chunk(FRAMES[0] ?? ''))
    socket.end()
    const answers = await Promise.all(asked)
    for (const { body } of answers) {
      expect(body.toString()).toContain('upstream_truncated')
      expect(body).toEqual(answers[0]?.body)
    }
    await settled()
    expect(harness.records.map(({ complete, errorClass }) => [complete, errorClass])).toEqual(
      answers.map(() => [false, 'upstream_truncated']),
    )
    expect(harness.records.filter(({ cache }) => cache === 'idempotent')).toHaveLength(2)
    expect(harness.answers.kept.size + harness.answers.claims.size).toBe(0)
    const again = send('key-1', { stream: true })
    ;(await called(2)).socket.end(
      Buffer.concat([
        Buffer.from(STREAM_HEAD),
        ...FRAMES.map((frame) => chunk(frame)),
        Buffer.from(LAST_CHUNK),
      ]),
    )
    expect(isReplay(await again)).toBe(false)
  })
})

describe('another request under the same key', () => {
  const MESSAGES = JSON.stringify({
    model: 'up/m',
    max_tokens: 5,
    messages: [{ role: 'user', content: 'x' }],
  })

  it('is refused with 422 while the first runs and when it is over, and makes no call', async () => {
    const first = send('key-1')
    const { socket } = await called(1)
    const early = await send('key-1', { temperature: 1 })
    socket.write(wholeAnswer(200, ANSWER))
    await first
    const late = await send('key-1', { temperature: 1 })
    for (const { status, body } of [early, late]) {
      expect(status).toBe(422)
      expect(JSON.parse(body.toString())).toMatchObject({ error: { code: 'idempotency_mismatch' } })
    }
    expect(upstream.exchanges).toHaveLength(1)
    expect((await send('key-1')).body.toString()).toBe(ANSWER)
  })

  it('is told in the protocol of its path, where the key is another one', async () => {
    const headers = { 'idempotency-key': 'key-1' }
    const path = '/v1/messages'
    upstream.play = ({ socket }) =>
      void socket.write(
        wholeAnswer(
          200,
          '{"type":"message","content":[],"usage":{"input_tokens":1,"output_tokens":1}}',
        ),
      )
    await ask(harness, { path, headers, body: MESSAGES })
    expect(isReplay(await send('key-1'))).toBe(false)
    const refused = await ask(harness, { path, headers, body: MESSAGES.replace('x', 'y') })
    expect(refused.status).toBe(422)
    expect(refused.headers['x-tollgate-error']).toBe('idempotency_mismatch')
    expect(JSON.parse(refused.body.toString())).toMatchObject({
      type: 'error',
      error: { type: 'invalid_request_error' },
    })
  })

  it('a query that changes what is asked is another request', async () => {
    upstream.play = ({ socket }) => void socket.write(wholeAnswer(200, ANSWER))
    const headers = { 'idempotency-key': 'key-1' }
    await ask(harness, { path: '/v1/chat/completions?a=1', headers, body: bodyOf() })
    const other = await ask(harness, { path: '/v1/chat/completions?a=2', headers, body: bodyOf() })
    expect(other.status).toBe(422)
  })
})

it('is another key for another address, where no virtual key is required', async () => {
  const trusted = { trusted_proxies: ['127.0.0.1'] }
  await restart({ keys: { required: false }, server: trusted })
  upstream.play = ({ socket }) => void socket.write(wholeAnswer(200, ANSWER))
  const from = (address: string): Promise<Answered> =>
    send('key-1', {}, { authorization: '', 'x-forwarded-for': address })
  expect(isReplay(await from('10.0.0.1'))).toBe(false)
  expect(isReplay(await from('10.0.0.2'))).toBe(false)
  expect(isReplay(await from('10.0.0.1'))).toBe(true)
  expect(isReplay(await send('key-1'))).toBe(false)
})

describe('a key that is no key', () => {
  it.each([
    ['empty', ''],
    ['too long', 'k'.repeat(256)],
    ['with a space', 'a b'],
    ['not ASCII', 'k\u00e9y'],
  ])('%s: 400, and no call', async (_, key) => {
    const { status, body } = await send(key)
    expect(status).toBe(400)
    expect(JSON.parse(body.toString())).toMatchObject({
      error: { code: 'invalid_request', param: 'Idempotency-Key' },
    })
    expect(upstream.exchanges).toHaveLength(0)
  })

  it('255 characters are one', async () => {
    upstream.play = ({ socket }) => void socket.write(wholeAnswer(200, ANSWER))
    expect((await send('~'.repeat(255))).status).toBe(200)
  })
})

describe('what is no answer is not kept', () => {
  it.each([400, 429, 500])(
    'an upstream that says %i: the next request is a new call',
    async (status) => {
      upstream.play = ({ socket }) =>
        void socket.write(wholeAnswer(status, '{"error":{"message":"no"}}'))
      const refused = await send('key-1')
      expect(refused.status).toBe(status)
      await settled()
      expect(harness.answers.kept.size + harness.answers.claims.size).toBe(0)
      upstream.play = ({ socket }) => void socket.write(wholeAnswer(200, ANSWER))
      const answer = await send('key-1')
      expect([answer.status, isReplay(answer)]).toEqual([200, false])
    },
  )

  it('a refusal of the gateway: the same key serves for the corrected request', async () => {
    expect((await send('key-1', { messages: 5 })).status).toBe(400)
    upstream.play = ({ socket }) => void socket.write(wholeAnswer(200, ANSWER))
    expect((await send('key-1')).status).toBe(200)
  })

  it('who waits for a call that is refused gets the same refusal', async () => {
    const asked = [1, 2, 3].map(() => send('key-1'))
    const { socket } = await called(1)
    await inFlight(3)
    socket.write(wholeAnswer(503, '{"error":{"message":"no"}}'))
    const answers = await Promise.all(asked)
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 503])
    await settled()
    expect(upstream.exchanges).toHaveLength(1)
    expect(
      harness.records.every(({ costNanoUsd, complete }) => costNanoUsd === 0 && !complete),
    ).toBe(true)
  })

  it('an answer that could not be recorded', async () => {
    const first = send('key-1')
    const { socket } = await called(1)
    harness.setHealthy(false)
    socket.write(wholeAnswer(200, ANSWER))
    expect((await first).status).toBe(503)
    harness.setHealthy(true)
    await settled()
    expect(harness.answers.kept.size + harness.answers.claims.size).toBe(0)
  })

  it('a stream that could not be recorded', async () => {
    const first = send('key-1', { stream: true })
    const { socket } = await called(1)
    harness.setHealthy(false)
    socket.write(
      Buffer.concat([
        Buffer.from(STREAM_HEAD),
        ...FRAMES.map((frame) => chunk(frame)),
        Buffer.from(LAST_CHUNK),
      ]),
    )
    expect((await first).body.toString()).toContain('ledger_unavailable')
    harness.setHealthy(true)
    await settled()
    expect(harness.answers.kept.size + harness.answers.claims.size).toBe(0)
  })
})

describe('callers that leave', () => {
  it.each([false, true])(
    'the first: the call goes on for the others (stream: %s)',
    async (stream) => {
      const leaving = await post(stream)
      const { socket } = await called(1)
      const waiting = send('key-1', { stream })
      await inFlight(2)
      await beginAnswer(socket, stream, leaving)
      leaving.socket.destroy()
      await inFlight(1)
      endAnswer(socket, stream)
      const answer = await waiting
      expect(answer.body.toString()).toBe(stream ? FRAMES.join('') : ANSWER)
      await settled()
      expect(upstream.exchanges).toHaveLength(1)
      expect(harness.answers.kept.size).toBe(1)
      expect(
        harness.records.map(({ cache }) => String(cache)).toSorted((a, b) => a.localeCompare(b)),
      ).toEqual(['idempotent', 'null'])
    },
  )

  it('a follower: it is recorded as gone, and costs nothing', async () => {
    const first = send('key-1', { stream: false })
    const { socket } = await called(1)
    const leaving = await post(false)
    await inFlight(2)
    leaving.socket.destroy()
    await inFlight(1)
    socket.write(wholeAnswer(200, ANSWER))
    expect((await first).status).toBe(200)
    await settled()
    const gone = harness.records.find(({ cache }) => cache === 'idempotent')
    expect(gone).toMatchObject({
      status: 499,
      errorClass: 'cancelled',
      complete: false,
      costNanoUsd: 0,
    })
  })

  it.each([false, true])(
    'all of them: the call ends, and the next is a new one (stream: %s)',
    async (stream) => {
      const [one, last] = [await post(stream), await post(stream)]
      const exchange = await called(1)
      await inFlight(2)
      await beginAnswer(exchange.socket, stream, last)
      one.socket.destroy()
      last.socket.destroy()
      await vi.waitFor(() => expect(exchange.closedAtMs).not.toBeNull(), WAIT)
      await settled()
      expect(harness.answers.kept.size + harness.answers.claims.size).toBe(0)
      upstream.play = ({ socket }) => void socket.write(wholeAnswer(200, ANSWER))
      const next = await send('key-1')
      expect([next.status, isReplay(next)]).toEqual([200, false])
      expect(upstream.exchanges).toHaveLength(2)
    },
  )

  it.each([false, true])(
    'where the provider is read on, the answer is kept (stream: %s)',
    async (stream) => {
      await restart({}, { on_client_abort: 'drain' })
      const leaving = await post(stream)
      const { socket } = await called(1)
      await beginAnswer(socket, stream, leaving)
      leaving.socket.destroy()
      await inFlight(0)
      const back = send('key-1', { stream })
      await inFlight(1)
      endAnswer(socket, stream)
      expect((await back).body.toString()).toBe(stream ? FRAMES.join('') : ANSWER)
      await settled()
      expect((await send('key-1', { stream })).body.toString()).toBe(
        stream ? FRAMES.join('') : ANSWER,
      )
      expect(upstream.exchanges).toHaveLength(1)
    },
  )

  it('one that reads nothing does not keep the others waiting, and is not lost bytes', async () => {
    const frame = `data: {"choices":[{"index":0,"delta":{"content":"${'x'.repeat(60_000)}"}}]}\n\n`
    const slow = await post(true)
    slow.socket.pause()
    const { socket } = await called(1)
    const quick = send('key-1', { stream: true })
    await inFlight(2)
    socket.write(STREAM_HEAD)
    for (let i = 0; i < 100; i++) socket.write(chunk(frame))
    for (const last of FRAMES.slice(2)) socket.write(chunk(last))
    socket.write(LAST_CHUNK)
    const whole = frame.repeat(100) + FRAMES.slice(2).join('')
    expect((await quick).body.toString() === whole).toBe(true)
    slow.socket.resume()
    await vi.waitFor(() => expect(slow.text()).toContain('[DONE]'), WAIT)
    const text = slow.text()
    expect(text.split('x'.repeat(60_000))).toHaveLength(101)
    slow.socket.destroy()
    await settled()
  })
})

describe('an answer that is too large to be kept', () => {
  beforeEach(() => restart({ idempotency: { max_answer: '1kB' } }))

  it.each([false, true])(
    'is given once; then 409, and no second call (stream: %s)',
    async (stream) => {
      const long = 'y'.repeat(3000)
      const first = send('key-1', { stream })
      const { socket } = await called(1)
      if (stream) {
        socket.write(STREAM_HEAD)
        socket.write(chunk(FRAMES[0] ?? ''))
        socket.write(chunk(`data: {"choices":[{"index":0,"delta":{"content":"${long}"}}]}\n\n`))
        for (const last of FRAMES.slice(2)) socket.write(chunk(last))
        socket.write(LAST_CHUNK)
      } else socket.write(wholeAnswer(200, ANSWER.replace('hello', long)))
      const answer = await first
      expect(answer.status).toBe(200)
      expect(answer.body.toString()).toContain(long)
      await settled()
      const again = await send('key-1', { stream })
      expect(again.status).toBe(409)
      expect(again.headers['x-should-retry']).toBe('false')
      expect(JSON.parse(again.body.toString())).toMatchObject({
        error: { code: 'idempotency_too_large' },
      })
      expect(upstream.exchanges).toHaveLength(1)
    },
  )

  it('who follows it gets all of it, and who comes too late none', async () => {
    const long = 'y'.repeat(3000)
    const asked = [1, 2].map(() => send('key-1', { stream: true }))
    const { socket } = await called(1)
    await inFlight(2)
    socket.write(STREAM_HEAD)
    socket.write(chunk(`data: {"choices":[{"index":0,"delta":{"content":"${long}"}}]}\n\n`))
    await vi.waitFor(async () => {
      expect((await send('key-1', { stream: true })).status).toBe(409)
    }, WAIT)
    for (const last of FRAMES.slice(2)) socket.write(chunk(last))
    socket.write(LAST_CHUNK)
    const [one, two] = await Promise.all(asked)
    expect(one?.body.toString()).toContain('[DONE]')
    expect(two?.body).toEqual(one?.body)
    await settled()
  })
})

describe('the store', () => {
  it('that does not answer: nothing is sent twice, so nothing is sent', async () => {
    harness.answers.failure = new Error('away')
    const asked = await Promise.all([send('key-1'), send('key-1')])
    for (const { status, headers, body } of asked) {
      expect(status).toBe(503)
      expect(headers['retry-after']).toBe('1')
      expect(JSON.parse(body.toString())).toMatchObject({
        error: { code: 'idempotency_unavailable' },
      })
    }
    expect(upstream.exchanges).toHaveLength(0)
    harness.answers.failure = null
    upstream.play = ({ socket }) => void socket.write(wholeAnswer(200, ANSWER))
    expect((await send('key-1')).status).toBe(200)
  })

  it('that takes no answer: it is given all the same', async () => {
    const first = send('key-1')
    const { socket } = await called(1)
    harness.answers.failure = new Error('full')
    socket.write(wholeAnswer(200, ANSWER))
    expect((await first).body.toString()).toBe(ANSWER)
    await vi.waitFor(() => expect(harness.errors).toHaveLength(1), WAIT)
  })

  it('has its claim renewed while the call runs, and no longer', async () => {
    Object.assign(harness.answers, { leaseMs: 9 })
    const renew = vi.spyOn(harness.answers, 'renew')
    const first = send('key-1')
    const { socket } = await called(1)
    await vi.waitFor(() => expect(renew.mock.calls.length).toBeGreaterThan(2), WAIT)
    const [claim] = harness.answers.claims.values()
    expect(renew.mock.calls.every(([call]) => call.owner === claim?.owner)).toBe(true)
    socket.write(wholeAnswer(200, ANSWER))
    await first
    await settled()
    const calls = renew.mock.calls.length
    // A request later, as many as before.
    await send('key-1')
    expect(renew.mock.calls.length).toBeLessThanOrEqual(calls + 1)
  })

  it('another process makes the call: its answer is waited for', async () => {
    const first = send('key-1')
    ;(await called(1)).socket.write(wholeAnswer(200, ANSWER))
    await first
    const { kept, claims } = harness.answers
    const [[id, entry] = []] = kept
    if (id === undefined || entry === undefined) throw new Error('nothing is kept')
    kept.delete(id)
    claims.set(id, { id, fingerprint: entry.fingerprint, owner: 'another' })
    const waiting = [send('key-1'), send('key-1')]
    await inFlight(2)
    expect((await send('key-1', { n: 1 })).status).toBe(422)
    claims.delete(id)
    kept.set(id, entry)
    const answers = await Promise.all(waiting)
    expect(answers.every((one) => isReplay(one) && one.body.toString() === ANSWER)).toBe(true)
    expect(upstream.exchanges).toHaveLength(1)
  })

  it('another process gives the call up: it is made here', async () => {
    const first = send('key-1')
    ;(await called(1)).socket.write(wholeAnswer(200, ANSWER))
    await first
    const { kept, claims } = harness.answers
    const [[id, entry] = []] = kept
    if (id === undefined || entry === undefined) throw new Error('nothing is kept')
    kept.delete(id)
    claims.set(id, { id, fingerprint: entry.fingerprint, owner: 'another' })
    const waiting = send('key-1')
    await inFlight(1)
    claims.delete(id)
    ;(await called(2)).socket.write(wholeAnswer(200, ANSWER))
    expect(isReplay(await waiting)).toBe(false)
  })

  it('callers that leave while another process makes the call are recorded, and nothing is left', async () => {
    const claim = vi.spyOn(harness.answers, 'claim').mockResolvedValue({ kind: 'running' })
    const client = await openRaw(harness.port)
    client.socket.write(
      rawPost(harness, bodyOf()).replace('\r\n', '\r\nidempotency-key: key-1\r\n'),
    )
    await inFlight(1)
    await vi.waitFor(() => expect(claim).toHaveBeenCalled(), WAIT)
    client.socket.destroy()
    await settled()
    expect(harness.records).toMatchObject([
      { status: 499, errorClass: 'cancelled', costNanoUsd: 0 },
    ])
    claim.mockRestore()
    upstream.play = ({ socket }) => void socket.write(wholeAnswer(200, ANSWER))
    expect((await send('key-1')).status).toBe(200)
  })
})

describe('forms', () => {
  it('are the same whatever their boundary is', async () => {
    upstream.play = ({ socket }) => void socket.write(wholeAnswer(200, '{"text":"heard"}'))
    expect((await postForm('one', 'sound')).status).toBe(200)
    const again = await postForm('another', 'sound')
    expect([again.status, isReplay(again)]).toEqual([200, true])
    expect((await postForm('third', 'noise')).status).toBe(422)
    expect(upstream.exchanges).toHaveLength(1)
  })
})

it.each([1, 2, 3, 4])(
  'callers that come, leave and send other requests at random (seed %i)',
  async (seed) => {
    let state = seed
    const random = (most: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
      return Math.floor((state / 4_294_967_296) * most)
    }
    await restart({}, { on_client_abort: seed % 2 === 0 ? 'drain' : 'abort' })
    upstream.play = async ({ socket, received }) => {
      const isStream = received.body.includes('"stream":true')
      if (!isStream) return void setTimeout(() => socket.write(wholeAnswer(200, ANSWER)), random(5))
      socket.write(STREAM_HEAD)
      for (const frame of FRAMES) {
        await new Promise((resolve) => setTimeout(resolve, random(4)))
        socket.write(chunk(frame))
      }
      socket.write(LAST_CHUNK)
    }
    const wrong: string[] = []
    const one = async (): Promise<void> => {
      const stream = random(2) === 0
      const key = `key-${random(4)}`
      if (random(3) > 0) {
        const { status, body } = await send(key, { stream })
        const text = body.toString()
        const isRight = status === 200 && text === (stream ? FRAMES.join('') : ANSWER)
        if (!isRight && status !== 422) wrong.push(`${status} ${text}`)
        return
      }
      const client = await openRaw(harness.port)
      const head = rawPost(harness, bodyOf({ stream }))
      client.socket.write(head.replace('\r\n', `\r\nidempotency-key: ${key}\r\n`))
      await new Promise((resolve) => setTimeout(resolve, random(8)))
      client.socket.destroy()
    }
    for (let round = 0; round < 10; round++) await Promise.all(Array.from({ length: 12 }, one))
    await vi.waitFor(() => expect(leftovers(harness)).toEqual(NOTHING_LEFT), WAIT)
    await vi.waitFor(() => expect(harness.answers.claims.size).toBe(0), WAIT)
    expect(wrong).toEqual([])
    // Each call that was charged has one record, and nobody else paid.
    const paid = harness.records.filter(({ attempts }) => attempts.length > 0)
    expect(paid.length).toBe(upstream.exchanges.length)
    expect(
      harness.records
        .filter(({ cache }) => cache !== null)
        .every(({ costNanoUsd }) => costNanoUsd === 0),
    ).toBe(true)
  },
)

import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  ask,
  type Asked,
  type Harness,
  type HarnessOptions,
  leftovers,
  NOTHING_LEFT,
  openRaw,
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
  streamAnswer,
  wholeAnswer,
} from '../../testing/scripted-upstream.ts'
import { fixture } from '../../testing/tap-replay.ts'

const PROTOCOLS = new URL('../../protocols/', import.meta.url)
const chatFixture = (name: string) => fixture(new URL('openai-chat/', PROTOCOLS), name)
const messagesFixture = (name: string) => fixture(new URL('anthropic-messages/', PROTOCOLS), name)

const WAIT = { timeout: 5000, interval: 2 }
const TIMEOUTS = { connect: '300ms', first_byte: '250ms', idle: '250ms', total: '800ms' }
const CHAT: Asked = { body: '{"model":"m","messages":[{"role":"user","content":"hi"}]}' }
const STREAM: Asked = {
  body: '{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}',
}
const MESSAGES_STREAM: Asked = {
  path: '/v1/messages',
  body: '{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}',
}
const LAST = Buffer.from(LAST_CHUNK)
const OK = wholeAnswer(200, chatFixture('whole.json'))

let upstream: ScriptedUpstream
let harness: Harness
afterEach(async () => {
  await harness.close()
  await upstream.close()
})

type Play = (exchange: Exchange) => void | Promise<void>

async function start(play: Play, options: Partial<HarnessOptions> = {}): Promise<void> {
  upstream = await startScriptedUpstream(play)
  harness = await startHarness({
    upstreamUrl: upstream.url,
    ...options,
    provider: { timeouts: TIMEOUTS, ...options.provider },
  })
}

/** The request is over: nothing is held any more, and it left one record. */
async function oneRecord(count = 1): Promise<void> {
  await vi.waitFor(() => {
    expect(harness.records.length).toBe(count)
    expect(leftovers(harness)).toEqual(NOTHING_LEFT)
  }, WAIT)
}

const errorOf = (body: Buffer): unknown => JSON.parse(body.toString())
const coded = (code: string) =>
  expect.objectContaining({ error: expect.objectContaining({ code }) })

describe('an upstream that fails before its answer', () => {
  it.each<[string, Play, number, string]>([
    ['closes at once', ({ socket }) => void socket.end(), 502, 'upstream_unreachable'],
    ['resets', ({ socket }) => void socket.resetAndDestroy(), 502, 'upstream_unreachable'],
    ['never answers', () => {}, 504, 'upstream_timeout'],
    [
      'speaks no HTTP',
      ({ socket }) => void socket.end('SSH-2.0-x\r\n'),
      502,
      'upstream_unreachable',
    ],
    [
      'redirects',
      ({ socket }) =>
        void socket.write(
          'HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n',
        ),
      502,
      'upstream_redirect',
    ],
    [
      'compresses',
      ({ socket }) =>
        void socket.write(
          wholeAnswer(200, 'x', ['content-type: application/json', 'content-encoding: gzip']),
        ),
      502,
      'upstream_invalid',
    ],
    [
      'compresses its error',
      ({ socket }) => void socket.write(wholeAnswer(429, 'x', ['content-encoding: gzip'])),
      502,
      'upstream_invalid',
    ],
    [
      'answers HTML',
      ({ socket }) => void socket.write(wholeAnswer(200, '<html>')),
      502,
      'upstream_invalid',
    ],
    [
      'answers nothing',
      ({ socket }) => void socket.write(wholeAnswer(204, '')),
      502,
      'upstream_invalid',
    ],
    [
      'answers an error with 200',
      ({ socket }) => void socket.write(wholeAnswer(200, '{"error":{"message":"x"}}')),
      502,
      'upstream_failed',
    ],
    [
      'refuses our credential',
      ({ socket }) => void socket.write(wholeAnswer(401, '{"error":{"message":"sk-secret"}}')),
      502,
      'upstream_auth',
    ],
    [
      'cuts its body',
      ({ socket }) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{"choices"'),
      502,
      'upstream_truncated',
    ],
    [
      'stalls in its body',
      ({ socket }) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{"choices"'),
      504,
      'upstream_timeout',
    ],
    [
      'sends too many header bytes',
      ({ socket }) => void socket.write(wholeAnswer(200, '{}', [`x-a: ${'a'.repeat(70_000)}`])),
      502,
      'upstream_invalid',
    ],
  ])('that %s', async (what, play, status, code) => {
    await start(play)
    const answer = await ask(harness, CHAT)
    expect(answer.status).toBe(status)
    expect(errorOf(answer.body)).toEqual(coded(code))
    expect(answer.body.toString()).not.toContain('sk-secret')
    await oneRecord()
    expect(harness.records[0]).toMatchObject({
      status,
      errorClass: code,
      complete: false,
      // An answer that had begun was paid for: its input counts, at the price that this model lacks.
      ...(what.endsWith('in its body') || what.startsWith('cuts')
        ? { costNanoUsd: null, estimated: true }
        : { costNanoUsd: 0, estimated: false }),
    })
    expect(harness.records[0]?.attempts).toMatchObject([{ errorClass: code }])
  })

  it('that refuses the connection', async () => {
    await start(() => {})
    await upstream.close()
    const answer = await ask(harness, CHAT)
    expect(errorOf(answer.body)).toEqual(coded('upstream_unreachable'))
    await oneRecord()
  })

  it('that trickles past the total time', async () => {
    await start(({ socket }) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n')
      const trickle = setInterval(() => socket.write('x'), 40)
      socket.on('close', () => clearInterval(trickle))
    })
    const answer = await ask(harness, CHAT)
    expect(errorOf(answer.body)).toEqual(coded('upstream_timeout'))
    await oneRecord()
  })

  it.each([
    ['no event stream', wholeAnswer(200, '{"choices":[]}'), 'upstream_invalid'],
    ['an empty one', streamAnswer([]), 'upstream_truncated'],
    ['only comments', streamAnswer([': a\n\n', ': b\n\n']), 'upstream_truncated'],
    ['half an event', streamAnswer(['data: {"choices"']), 'upstream_truncated'],
    ['an error event first', streamAnswer([chatFixture('error-first.sse')]), 'upstream_failed'],
    [
      'comments, then an error',
      streamAnswer([': a\n\n', chatFixture('error-first.sse')]),
      'upstream_failed',
    ],
  ])('that answers a stream with %s keeps its status open', async (_what, bytes, code) => {
    await start(({ socket }) => void socket.write(bytes))
    const answer = await ask(harness, STREAM)
    expect(answer.status).toBe(502)
    expect(errorOf(answer.body)).toEqual(coded(code))
    await oneRecord()
  })
})

type Cut = readonly [protocol: string, asked: Asked, whole: Buffer, mark: string]
const CUTS: readonly Cut[] = [
  ...['text', 'usage-asked', 'tools', 'azure', 'reasoning', 'crlf'].map(
    (name): Cut => [`chat ${name}`, STREAM, chatFixture(`${name}.sse`), '[DONE]'],
  ),
  ...['text', 'tools', 'thinking', 'cached', 'crlf'].map(
    (name): Cut => [
      `messages ${name}`,
      MESSAGES_STREAM,
      messagesFixture(`${name}.sse`),
      'event: message_stop',
    ],
  ),
]

/** Offsets behind each frame. */
function frameEnds(bytes: Buffer): readonly number[] {
  const ends: number[] = []
  for (const { index, 0: blank } of bytes.toString('latin1').matchAll(/\n\n|\r\n\r\n/g)) {
    ends.push(index + blank.length)
  }
  return ends
}

describe('an upstream cut in the middle of a stream', () => {
  it.each(CUTS)('%s: never ends cleanly, at whichever event', async (_name, asked, whole, mark) => {
    let cutAt = 0
    let how: 'end' | 'reset' | 'drop' = 'end'
    await start(({ socket }) => {
      socket.write(STREAM_HEAD)
      if (cutAt > 0) socket.write(chunk(whole.subarray(0, cutAt)))
      if (how === 'end') socket.end(LAST_CHUNK)
      else if (how === 'drop') socket.end()
      else setTimeout(() => socket.resetAndDestroy(), 15)
    })
    const ends = frameEnds(whole).slice(0, -1)
    let asks = 0
    for (how of ['end', 'drop', 'reset'] as const) {
      for (const end of ends) {
        // At the event's end, and in the middle of the next one.
        for (cutAt of how === 'end' ? [end, end + 9] : [end]) {
          const answer = await ask(harness, asked)
          const text = answer.body.toString('latin1')
          expect(answer.status).toBe(200)
          expect(answer.aborted).toBe(false)
          expect(text).not.toContain(`\n${mark}\n`)
          expect(text).not.toContain('data: [DONE]\n\n')
          expect(text).toMatch(
            /(?:event: error\n)?data: \{[^\n]*"(?:upstream_truncated|api_error)"[^\n]*\}\n\n$/,
          )
          asks++
        }
      }
    }
    await oneRecord(asks)
    for (const record of harness.records) {
      expect(record).toMatchObject({
        complete: false,
        errorClass: 'upstream_truncated',
        status: 200,
      })
    }
  })

  it('stalls: the client is told, and what it got is counted', async () => {
    await start(({ socket }) => {
      socket.write(STREAM_HEAD)
      socket.write(
        chunk(chatFixture('text.sse').subarray(0, frameEnds(chatFixture('text.sse'))[2])),
      )
    })
    const answer = await ask(harness, STREAM)
    expect(answer.body.toString()).toMatch(/"code":"upstream_timeout"\}\}\n\n$/)
    await oneRecord()
    expect(harness.records[0]).toMatchObject({ errorClass: 'upstream_timeout', estimated: true })
    expect(harness.records[0]?.usage.outputTokens).toBeGreaterThan(0)
    await vi.waitFor(() => expect(upstream.exchanges[0]?.closedAtMs).not.toBe(null), WAIT)
  })

  it.each([
    ['chat', STREAM, chatFixture('error-inside.sse')],
    ['messages', MESSAGES_STREAM, messagesFixture('error-inside.sse')],
  ])(
    '%s: an error event inside passes as it is, and nothing follows',
    async (_name, asked, bytes) => {
      await start(({ socket }) => void socket.write(streamAnswer([bytes])))
      const answer = await ask(harness, asked)
      expect(answer.body.equals(bytes)).toBe(true)
      await oneRecord()
      expect(harness.records[0]).toMatchObject({ errorClass: 'upstream_failed', complete: false })
    },
  )

  it('an error event whose connection stays open does not keep the client waiting', async () => {
    const bytes = chatFixture('error-inside.sse')
    await start(
      ({ socket }) => void socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), chunk(bytes)])),
      {
        provider: { timeouts: { ...TIMEOUTS, idle: '1m', total: '1m' } },
      },
    )
    const answer = await ask(harness, STREAM)
    expect(answer.body.equals(bytes)).toBe(true)
    await oneRecord()
  })

  it.each(['stays open', 'is reset'])(
    'a whole answer is whole although the connection %s',
    async (how) => {
      const bytes = chatFixture('text.sse')
      await start(
        ({ socket }) => {
          socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), chunk(bytes)]))
          if (how === 'is reset') setTimeout(() => socket.resetAndDestroy(), 20)
        },
        { provider: { timeouts: { ...TIMEOUTS, idle: '1m', total: '1m' } } },
      )
      const answer = await ask(harness, STREAM)
      expect(answer.body.equals(bytes)).toBe(true)
      await oneRecord()
      expect(harness.records[0]).toMatchObject({ errorClass: null, complete: true })
    },
  )

  it('an event beyond the cap is an error, not memory', async () => {
    await start(
      ({ socket }) => {
        const piece = chunk(Buffer.alloc(1 << 20, 'x'))
        socket.write(STREAM_HEAD)
        socket.write(
          chunk(chatFixture('text.sse').subarray(0, frameEnds(chatFixture('text.sse'))[0])),
        )
        socket.write(chunk('data: '))
        const more = (): void => {
          while (!socket.destroyed && socket.write(piece)) continue
          if (!socket.destroyed) socket.once('drain', more)
        }
        more()
      },
      { provider: { timeouts: { ...TIMEOUTS, total: '30s' } } },
    )
    const answer = await ask(harness, STREAM)
    expect(answer.body.toString('latin1')).toMatch(/"code":"upstream_invalid"\}\}\n\n$/)
    expect(answer.body.length).toBeLessThan(10_000)
    await oneRecord()
  })

  it('a line of 2 MB passes', async () => {
    const big = Buffer.from(`data: {"choices":[],"x":"${'y'.repeat(2 << 20)}"}\n\n`)
    const bytes = Buffer.concat([big, chatFixture('text.sse')])
    await start(({ socket }) => void socket.write(streamAnswer([bytes])), {
      provider: { timeouts: { ...TIMEOUTS, total: '30s' } },
    })
    expect((await ask(harness, STREAM)).body.equals(bytes)).toBe(true)
    await oneRecord()
  })
})

/** Sends a request and leaves when told. */
async function leave(
  asked: Asked,
  when: (received: () => string) => Promise<unknown>,
): Promise<number> {
  const client = await openRaw(harness.port)
  client.socket.write(rawPost(harness, String(asked.body), asked.path))
  await when(client.text)
  client.socket.destroy()
  return performance.now()
}

const oneExchange = () => vi.waitFor(() => expect(upstream.exchanges.length).toBe(1), WAIT)
const closedAt = () =>
  vi.waitFor(() => {
    const at = upstream.exchanges[0]?.closedAtMs ?? null
    expect(at).not.toBe(null)
    return at ?? Infinity
  }, WAIT)
const LONG = { provider: { timeouts: { first_byte: '1m', idle: '1m', total: '1m' } } }
/** Far below what a call takes that nobody ends, and what a busy machine needs. */
const AT_ONCE_MS = 2000

describe('a client that leaves', () => {
  it.each<[string, Asked, string]>([
    ['before the head of a stream', STREAM, ''],
    ['before the head of a whole answer', CHAT, ''],
    [
      'in the middle of a whole answer',
      CHAT,
      'HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{"choices"',
    ],
    ['in the middle of a refusal', CHAT, 'HTTP/1.1 429 X\r\ncontent-length: 900\r\n\r\n{"error"'],
    ['before the first event', STREAM, STREAM_HEAD],
  ])('%s takes the upstream along', async (_when, asked, bytes) => {
    await start(({ socket }) => void (bytes !== '' && socket.write(bytes)), LONG)
    const leftAtMs = await leave(asked, async () => {
      await oneExchange()
      await vi.waitFor(() => expect(upstream.exchanges[0]?.socket.writableLength).toBe(0), WAIT)
    })
    expect((await closedAt()) - leftAtMs).toBeLessThan(AT_ONCE_MS)
    await oneRecord()
    expect(harness.records[0]).toMatchObject({
      errorClass: 'cancelled',
      status: 499,
      complete: false,
    })
  })

  it('in the middle of a stream pays for what it got', async () => {
    const bytes = chatFixture('text.sse')
    const first = bytes.subarray(0, frameEnds(bytes)[2])
    await start(
      ({ socket }) => void socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), chunk(first)])),
      LONG,
    )
    const leftAtMs = await leave(STREAM, (text) =>
      vi.waitFor(() => expect(text()).toContain('Hello'), WAIT),
    )
    expect((await closedAt()) - leftAtMs).toBeLessThan(AT_ONCE_MS)
    await oneRecord()
    expect(harness.records[0]).toMatchObject({
      errorClass: 'cancelled',
      estimated: true,
      complete: false,
    })
    expect(harness.records[0]?.usage.outputTokens).toBeGreaterThan(1)
  })

  it('with drain: the stream is read on to its usage, and settled once', async () => {
    const bytes = chatFixture('usage-asked.sse')
    const at = frameEnds(bytes)[1] ?? 0
    await start(
      ({ socket }) => {
        socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), chunk(bytes.subarray(0, at))]))
      },
      { provider: { on_client_abort: 'drain', drain_cap: '5s', timeouts: LONG.provider.timeouts } },
    )
    await leave(STREAM, (text) => vi.waitFor(() => expect(text()).toContain('Hello'), WAIT))
    await vi.waitFor(() => expect(harness.dataPlane.load.inFlight).toBe(0), WAIT)
    expect(upstream.exchanges[0]?.closedAtMs).toBe(null)
    upstream.exchanges[0]?.socket.write(
      Buffer.concat([chunk(bytes.subarray(at)), Buffer.from(LAST_CHUNK)]),
    )
    await oneRecord()
    expect(harness.records[0]).toMatchObject({
      errorClass: 'cancelled',
      estimated: false,
      complete: false,
      usage: { outputTokens: 10 },
    })
  })

  it('with drain: no longer than its cap', async () => {
    const bytes = chatFixture('usage-asked.sse')
    await start(
      ({ socket }) => {
        socket.write(
          Buffer.concat([Buffer.from(STREAM_HEAD), chunk(bytes.subarray(0, frameEnds(bytes)[1]))]),
        )
      },
      {
        provider: {
          on_client_abort: 'drain',
          drain_cap: '100ms',
          timeouts: LONG.provider.timeouts,
        },
      },
    )
    await leave(STREAM, (text) => vi.waitFor(() => expect(text()).toContain('Hello'), WAIT))
    await oneRecord()
    expect(harness.records[0]).toMatchObject({ errorClass: 'cancelled', estimated: true })
  })

  describe('with drain, before anything has come', () => {
    const sse = chatFixture('usage-asked.sse')

    it.each([
      ['a stream', STREAM, Buffer.concat([Buffer.from(STREAM_HEAD), chunk(sse), LAST])],
      ['a whole answer', CHAT, OK],
    ])('%s is read to its usage', async (_what, asked, bytes) => {
      await start(() => {}, drained('5s'))
      await leave(asked, oneExchange)
      await vi.waitFor(() => expect(harness.dataPlane.load.inFlight).toBe(0), WAIT)
      upstream.exchanges[0]?.socket.write(bytes)
      await oneRecord()
      expect(harness.records[0]).toMatchObject({
        errorClass: 'cancelled',
        estimated: false,
        complete: false,
        usage: { outputTokens: expect.toSatisfy((tokens: number) => tokens > 0) },
      })
    })

    it.each([
      ['a stream', STREAM],
      ['a whole answer', CHAT],
    ])('%s is waited for no longer than the cap', async (_what, asked) => {
      await start(() => {}, drained('100ms'))
      await leave(asked, oneExchange)
      await closedAt()
      await oneRecord()
      expect(harness.records[0]).toMatchObject({ errorClass: 'cancelled', estimated: true })
    })
  })

  it('while its pipelined request waits behind another answer', async () => {
    await start(() => {}, LONG)
    const client = await openRaw(harness.port)
    client.socket.write(rawPost(harness, String(CHAT.body)) + rawPost(harness, String(STREAM.body)))
    await vi.waitFor(() => expect(upstream.exchanges.length).toBe(2), WAIT)
    client.socket.destroy()
    await oneRecord(2)
    expect(harness.records.map(({ errorClass }) => errorClass)).toEqual(['cancelled', 'cancelled'])
  })

  it('before its body is whole', async () => {
    await start(() => {})
    const client = await openRaw(harness.port)
    client.socket.write(rawPost(harness, String(CHAT.body)).slice(0, -3))
    await vi.waitFor(() => expect(harness.dataPlane.load.inFlight).toBe(1), WAIT)
    client.socket.destroy()
    await oneRecord()
    expect(upstream.connections()).toBe(0)
    expect(harness.records[0]).toMatchObject({
      status: 499,
      errorClass: 'cancelled',
      costNanoUsd: 0,
    })
  })
})

describe('a slow reader', () => {
  it('pauses the upstream, is held in little memory, and is cut in the end', async () => {
    let sentBytes = 0
    const frame = chunk(`data: {"choices":[{"delta":{"content":"${'x'.repeat(16_000)}"}}]}\n\n`)
    await start(
      ({ socket }) => {
        socket.write(STREAM_HEAD)
        const more = (): void => {
          for (;;) {
            if (socket.destroyed) return
            sentBytes += frame.length
            if (!socket.write(frame)) break
          }
          socket.once('drain', more)
        }
        more()
      },
      { ...LONG, silence: { keepAliveMs: 60_000, stalledReaderMs: 600 } },
    )
    const client = await openRaw(harness.port)
    client.socket.pause()
    client.socket.write(rawPost(harness, String(STREAM.body)))
    let seen = -1
    await vi.waitFor(
      () => {
        const before = seen
        seen = sentBytes
        expect(before).toBe(sentBytes)
        expect(sentBytes).toBeGreaterThan(100_000)
      },
      { timeout: 5000, interval: 150 },
    )
    // What the kernel's buffers took on both sides; far from what an unpaused upstream would have sent.
    expect(sentBytes).toBeLessThan(32 << 20)
    await oneRecord()
    expect(harness.records[0]).toMatchObject({ errorClass: 'cancelled' })
    client.socket.destroy()
  })

  it('is cut too when all of its answer is there', async () => {
    const body = JSON.stringify({ choices: [], x: 'y'.repeat(20 << 20) })
    await start(({ socket }) => void socket.write(wholeAnswer(200, body)), {
      ...LONG,
      silence: { keepAliveMs: 60_000, stalledReaderMs: 300 },
    })
    const client = await openRaw(harness.port)
    client.socket.pause()
    client.socket.write(rawPost(harness, String(CHAT.body)))
    await oneRecord()
    expect(harness.records[0]).toMatchObject({ status: 200, errorClass: null })
    client.socket.destroy()
  })
})

describe('keep-alives', () => {
  it.each([
    ['chat', STREAM, chatFixture('text.sse'), ': keep-alive\n\n'],
    [
      'messages',
      MESSAGES_STREAM,
      messagesFixture('text.sse'),
      'event: ping\ndata: {"type":"ping"}\n\n',
    ],
  ])('%s: fill a gap, never inside a frame', async (_name, asked, bytes, ping) => {
    const at = frameEnds(bytes)[1] ?? 0
    await start(
      ({ socket }) => {
        socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), chunk(bytes.subarray(0, at + 11))]))
      },
      { ...LONG, silence: { keepAliveMs: 60, stalledReaderMs: 60_000 } },
    )
    const client = await openRaw(harness.port)
    client.socket.write(rawPost(harness, String(asked.body), asked.path))
    await vi.waitFor(() => expect(client.text().split(ping).length).toBeGreaterThan(3), WAIT)
    upstream.exchanges[0]?.socket.write(
      Buffer.concat([chunk(bytes.subarray(at + 11)), Buffer.from(LAST_CHUNK)]),
    )
    await vi.waitFor(() => expect(client.text().endsWith('\r\n0\r\n\r\n')).toBe(true), WAIT)
    await oneRecord()
    client.socket.destroy()
    const sent = unchunk(client.bytes()).toString('latin1')
    expect(sent.split(ping).join('')).toBe(bytes.toString('latin1').split(ping).join(''))
  })

  it('let comments through after a while although no event came', async () => {
    await start(
      ({ socket }) => {
        socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), chunk(': busy\n\n')]))
      },
      { ...LONG, silence: { keepAliveMs: 60, stalledReaderMs: 60_000 } },
    )
    const client = await openRaw(harness.port)
    client.socket.write(rawPost(harness, String(STREAM.body)))
    await vi.waitFor(() => expect(client.text()).toContain(': busy'), WAIT)
    client.socket.destroy()
    await oneRecord()
  })
})

/** The body of a chunked answer. */
function unchunk(bytes: Buffer): Buffer {
  const parts: Buffer[] = []
  let at = bytes.indexOf('\r\n\r\n') + 4
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    if (!(size > 0)) return Buffer.concat(parts)
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size))
    at = lineEnd + 2 + size + 2
  }
}

const twoProviders = (first: string, second: string) => ({
  providers: {
    one: {
      protocol: 'openai-chat',
      base_url: `${first}/one`,
      credential: 'none',
      allow_private: true,
    },
    two: {
      protocol: 'openai-chat',
      base_url: `${second}/two`,
      credential: 'none',
      allow_private: true,
    },
  },
  policy: {},
  models: { m: { targets: [{ provider: 'one' }, { provider: 'two' }] } },
})

async function startTwo(first: Buffer | string | null, second: Buffer | string): Promise<void> {
  upstream = await startScriptedUpstream(({ received, socket }) => {
    if (received.head.includes(' /one/')) {
      if (first === null) socket.resetAndDestroy()
      else socket.write(first)
    } else if (second === '') socket.resetAndDestroy()
    else socket.write(second)
  })
  harness = await startHarness({
    upstreamUrl: upstream.url,
    config: twoProviders(upstream.url, upstream.url),
  })
}

describe('two targets', () => {
  it.each<[string, Buffer | string | null, string, number | null]>([
    ['429', wholeAnswer(429, '{"error":1}'), 'rate_limited', 429],
    ['500', wholeAnswer(500, 'x'), 'transient', 500],
    ['503', wholeAnswer(503, 'x'), 'overloaded', 503],
    ['401', wholeAnswer(401, 'x'), 'upstream_auth', 401],
    ['a reset', null, 'upstream_unreachable', null],
    ['an error in 200', wholeAnswer(200, '{"error":{}}'), 'upstream_failed', 200],
  ])('after %s the next one answers', async (_what, first, errorClass, status) => {
    await startTwo(first, OK)
    const answer = await ask(harness, CHAT)
    expect(answer.status).toBe(200)
    expect(answer.headers).toMatchObject({
      'x-tollgate-provider': 'two',
      'x-tollgate-attempts': '2',
    })
    await oneRecord()
    expect(harness.records[0]).toMatchObject({
      errorClass: null,
      errorSource: null,
      complete: true,
      provider: 'two',
      attempts: [
        { target: 'one/m', status, errorClass },
        { target: 'two/m', status: 200, errorClass: null },
      ],
    })
  })

  it('an error event before any other: the next one streams', async () => {
    const bytes = chatFixture('text.sse')
    await startTwo(streamAnswer([chatFixture('error-first.sse')]), streamAnswer([bytes]))
    const answer = await ask(harness, STREAM)
    expect(answer.body.equals(bytes)).toBe(true)
    await oneRecord()
    expect(harness.records[0]?.attempts).toMatchObject([
      { errorClass: 'upstream_failed' },
      { errorClass: null },
    ])
  })

  it('a refusal of the request itself ends it', async () => {
    const body = '{"error":{"message":"context too long","code":"context_length_exceeded"}}'
    await startTwo(wholeAnswer(400, body), OK)
    const answer = await ask(harness, CHAT)
    expect(answer.status).toBe(400)
    expect(answer.body.toString()).toBe(body)
    await oneRecord()
    expect(harness.records[0]).toMatchObject({
      errorSource: 'provider',
      errorClass: 'context_overflow',
    })
    expect(harness.records[0]?.attempts.length).toBe(1)
  })

  it('when all fail, the last refusal passes byte for byte', async () => {
    await startTwo(
      wholeAnswer(500, 'first'),
      wholeAnswer(429, '{ "second" : 1}', ['retry-after: 7']),
    )
    const answer = await ask(harness, CHAT)
    expect(answer.status).toBe(429)
    expect(answer.headers).toMatchObject({ 'retry-after': '7', 'x-tollgate-provider': 'two' })
    expect(answer.body.toString()).toBe('{ "second" : 1}')
    await oneRecord()
    expect(harness.records[0]).toMatchObject({
      errorClass: 'rate_limited',
      errorSource: 'provider',
    })
  })

  it('when the last one cannot be reached, the refusal before it passes, under its own name', async () => {
    await startTwo(wholeAnswer(429, '{"first":1}'), '')
    const answer = await ask(harness, CHAT)
    expect(answer.status).toBe(429)
    expect(answer.headers['x-tollgate-provider']).toBe('one')
    expect(answer.body.toString()).toBe('{"first":1}')
    await oneRecord()
    expect(harness.records[0]).toMatchObject({
      provider: 'one',
      errorClass: 'rate_limited',
      attempts: [{ errorClass: 'rate_limited' }, { errorClass: 'upstream_unreachable' }],
    })
  })
})

describe('usage that never came', () => {
  it.each([
    ['chat', CHAT, '{"choices":[{"message":{"content":"one two three four"}}]}'],
    [
      'messages',
      {
        path: '/v1/messages',
        body: '{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}',
      },
      '{"content":[{"type":"text","text":"one two three four"}]}',
    ],
  ])('%s: a whole answer is counted', async (_name, asked, body) => {
    await start(({ socket }) => void socket.write(wholeAnswer(200, body)))
    expect((await ask(harness, asked)).status).toBe(200)
    await oneRecord()
    expect(harness.records[0]).toMatchObject({ estimated: true, usage: { outputTokens: 4 } })
    expect(harness.records[0]?.usage.inputTokens).toBeGreaterThan(0)
    expect(harness.noUsage).toEqual([{ provider: 'up', model: 'm', target: 'up/m' }])
  })

  it.each([
    ['below zero', '{"prompt_tokens":5,"completion_tokens":-3}'],
    ['above a billion', '{"prompt_tokens":5,"completion_tokens":99999999999}'],
    ['no whole number', '{"prompt_tokens":5,"completion_tokens":1.5}'],
  ])('%s is counted here, and told', async (_what, usage) => {
    const answer = `{"choices":[{"message":{"content":"one two three four"}}],"usage":${usage}}`
    await start(({ socket }) => void socket.write(wholeAnswer(200, answer)))
    await ask(harness, CHAT)
    await oneRecord()
    expect(harness.records[0]).toMatchObject({ estimated: true, usage: { outputTokens: 4 } })
    expect(harness.noUsage).toHaveLength(1)
  })

  it('zero is zero', async () => {
    const usage = '{"prompt_tokens":0,"completion_tokens":0}'
    await start(
      ({ socket }) => void socket.write(wholeAnswer(200, `{"choices":[],"usage":${usage}}`)),
    )
    await ask(harness, CHAT)
    await oneRecord()
    expect(harness.records[0]).toMatchObject({
      estimated: false,
      usage: { inputTokens: 0, outputTokens: 0 },
    })
    expect(harness.noUsage).toEqual([])
  })
})

describe('a ledger that cannot be written', () => {
  it('refuses before anything is spent', async () => {
    await start(({ socket }) => void socket.write(OK))
    harness.setHealthy(false)
    const answer = await ask(harness, CHAT)
    expect(answer.status).toBe(503)
    expect(errorOf(answer.body)).toEqual(coded('ledger_unavailable'))
    expect(upstream.exchanges.length).toBe(0)
    await oneRecord(0)
  })

  it('failing in the middle of a stream: the client gets no clean end', async () => {
    const bytes = chatFixture('text.sse')
    const at = frameEnds(bytes)[1] ?? 0
    await start(({ socket }) => {
      socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), chunk(bytes.subarray(0, at))]))
    })
    const client = await openRaw(harness.port)
    client.socket.write(rawPost(harness, String(STREAM.body)))
    await vi.waitFor(() => expect(client.text()).toContain('Hello'), WAIT)
    harness.setHealthy(false)
    upstream.exchanges[0]?.socket.write(
      Buffer.concat([chunk(bytes.subarray(at)), Buffer.from(LAST_CHUNK)]),
    )
    await vi.waitFor(() => expect(client.text()).toContain('"code":"ledger_unavailable"'), WAIT)
    expect(unchunk(client.bytes()).toString()).not.toContain('data: [DONE]\n\n')
    client.socket.destroy()
    await oneRecord(0)
  })
})

function drained(cap: string): Partial<HarnessOptions> {
  return {
    provider: { on_client_abort: 'drain', drain_cap: cap, timeouts: LONG.provider.timeouts },
  }
}

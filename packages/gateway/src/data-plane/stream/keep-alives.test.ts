import assert from 'node:assert/strict'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { CLIENT_CALLS, type ClientId, frameEnds, ROUTES } from '../../testing/client-calls.ts'
import {
  ask,
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
} from '../../testing/scripted-upstream.ts'

const WAIT = { timeout: 5000, interval: 2 }
const LONG = { connect: '1s', first_byte: '1m', idle: '1m', total: '1m' }
const SHORT = { connect: '1s', first_byte: '250ms', idle: '250ms', total: '5s' }
const NO_PINGS = { keepAliveMs: 60_000, stalledReaderMs: 60_000 }

/** What each protocol's clients pass over. Blank lines only for Google's, which takes others for JSON. */
const KEEP_ALIVE: Readonly<Record<ClientId, string>> = {
  'openai-chat': ': keep-alive\n\n',
  'openai-responses': ': keep-alive\n\n',
  'anthropic-messages': 'event: ping\ndata: {"type":"ping"}\n\n',
  gemini: '\n\n',
}

/** What providers send to keep a connection open. */
const PINGS: readonly (readonly [ClientId, string])[] = [
  ['openai-chat', ': OPENROUTER PROCESSING\n\n'],
  ['openai-responses', ': wait\n\n'],
  ['openai-responses', 'event: keepalive\ndata: {"type":"keepalive","sequence_number":3}\n\n'],
  ['anthropic-messages', 'event: ping\ndata: {"type": "ping"}\n\n'],
  ['gemini', ': wait\n\n'],
]

let upstream: ScriptedUpstream
let harness: Harness
afterEach(async () => {
  await vi.waitFor(() => assert.deepEqual(leftovers(harness), NOTHING_LEFT), WAIT)
  await harness.close()
  await upstream.close()
})

async function start(
  provider: ClientId,
  play: (exchange: Exchange) => void,
  options: { timeouts: object; silence: HarnessOptions['silence'] },
): Promise<void> {
  upstream = await startScriptedUpstream(play)
  harness = await startHarness({
    upstreamUrl: upstream.url,
    provider: { protocol: [provider], timeouts: options.timeouts },
    silence: options.silence ?? NO_PINGS,
  })
}

/** Writes on the connection again and again until it closes. */
function repeat({ socket }: Exchange, text: string): void {
  const timer = setInterval(() => socket.write(chunk(text)), 40)
  socket.on('close', () => clearInterval(timer))
}

/** A head, and each piece as a chunk of its own. */
function begin({ socket }: Exchange, pieces: readonly (string | Buffer)[]): void {
  socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), ...pieces.map(chunk)]))
}

/** Nothing but keep-alives behind the pieces. */
function idle(ping: string, pieces: readonly Buffer[] = []): (exchange: Exchange) => void {
  return (exchange) => {
    begin(exchange, pieces)
    repeat(exchange, ping)
  }
}

function without(ping: string, text: string): string {
  return text.split(ping).join('').replaceAll('\n', '')
}

/** The text of a chunked answer. */
function textOf(bytes: Buffer): string {
  let text = ''
  let at = bytes.indexOf('\r\n\r\n') + 4
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    if (!(size > 0)) return text
    text += bytes.toString('latin1', lineEnd + 2, lineEnd + 2 + size)
    at = lineEnd + 2 + size + 2
  }
}

describe.each(ROUTES)('$client from a provider of $provider', ({ client, provider }) => {
  const { stream, end } = CLIENT_CALLS[client]
  const { sse } = CLIENT_CALLS[provider]
  const ping = KEEP_ALIVE[client]

  it('fills a gap with what the client passes over, never inside a frame', async () => {
    const at = frameEnds(sse)[1] ?? 0
    await start(
      provider,
      ({ socket }) => {
        socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), chunk(sse.subarray(0, at + 9))]))
      },
      { timeouts: LONG, silence: { keepAliveMs: 60, stalledReaderMs: 60_000 } },
    )
    const raw = await openRaw(harness.port)
    raw.socket.write(rawPost(harness, String(stream.body), stream.path))
    const pings = (): number => textOf(raw.bytes()).split(ping).length
    await vi.waitFor(() => expect(pings()).toBeGreaterThan(5), WAIT)
    upstream.exchanges[0]?.socket.write(
      Buffer.concat([chunk(sse.subarray(at + 9)), Buffer.from(LAST_CHUNK)]),
    )
    await vi.waitFor(() => expect(raw.text().endsWith('\r\n0\r\n\r\n')).toBe(true), WAIT)
    raw.socket.destroy()
    const text = textOf(raw.bytes())
    expect(text).toMatch(end)
    const passed = client === provider ? without(ping, text) : ''
    expect(passed).toBe(client === provider ? without(ping, sse.toString('latin1')) : '')
    for (const line of text.split('\n')) {
      expect(line).toMatch(client === 'gemini' ? /^(?:data: \{.*\})?$/ : /^(?:[:a-z].*)?$/)
    }
  })

  it('goes out with the head when the provider answers with one and then thinks', async () => {
    await start(provider, ({ socket }) => void socket.write(STREAM_HEAD), {
      timeouts: LONG,
      silence: { keepAliveMs: 60, stalledReaderMs: 60_000 },
    })
    const raw = await openRaw(harness.port)
    raw.socket.write(rawPost(harness, String(stream.body), stream.path))
    await vi.waitFor(() => expect(textOf(raw.bytes())).toBe(ping.repeat(3)), {
      ...WAIT,
      interval: 1,
    })
    upstream.exchanges[0]?.socket.write(Buffer.concat([chunk(sse), Buffer.from(LAST_CHUNK)]))
    await vi.waitFor(() => expect(textOf(raw.bytes())).toMatch(end), WAIT)
    raw.socket.destroy()
    await vi.waitFor(() => expect(harness.records).toHaveLength(1), WAIT)
    expect(harness.records[0]?.ttftMs).toBeGreaterThanOrEqual(100)
  })
})

describe.each(PINGS)('the keep-alives of a provider of %s: %j', (provider, ping) => {
  const { stream, sse, failure, end } = CLIENT_CALLS[provider]
  const firstEnd = frameEnds(sse)[0] ?? 0

  it('are not its first byte', async () => {
    await start(provider, (exchange) => begin(exchange, [ping]), {
      timeouts: LONG,
      silence: NO_PINGS,
    })
    const asked = ask(harness, stream)
    await vi.waitFor(() => expect(upstream.exchanges).toHaveLength(1), WAIT)
    await new Promise((resolve) => setTimeout(resolve, 120))
    upstream.exchanges[0]?.socket.write(Buffer.concat([chunk(sse), Buffer.from(LAST_CHUNK)]))
    expect((await asked).body.toString('latin1')).toBe(ping + sse.toString('latin1'))
    expect(harness.records[0]?.ttftMs).toBeGreaterThanOrEqual(110)
  })

  it('leave the status open, and do not put off the limit of the first byte', async () => {
    await start(provider, idle(ping), { timeouts: { ...SHORT, idle: '5s' }, silence: NO_PINGS })
    expect((await ask(harness, stream)).status).toBe(504)
    expect(harness.records[0]).toMatchObject({ errorClass: 'upstream_timeout', ttftMs: null })
  })

  it('are no progress', async () => {
    await start(provider, idle(ping, [sse.subarray(0, firstEnd)]), {
      timeouts: { ...SHORT, first_byte: '5s' },
      silence: NO_PINGS,
    })
    const text = (await ask(harness, stream)).body.toString()
    expect({ ends: end.test(text), fails: failure.test(text) }).toEqual({
      ends: false,
      fails: true,
    })
    expect(harness.records[0]).toMatchObject({ errorClass: 'upstream_timeout', complete: false })
  })

  it('reach no client of another protocol as they are', async () => {
    const client = CLIENT_CALLS[provider === 'gemini' ? 'openai-chat' : 'gemini']
    const pieces = [ping, sse.subarray(0, firstEnd), ping, sse.subarray(firstEnd)]
    await start(
      provider,
      (exchange) => {
        begin(exchange, pieces)
        exchange.socket.write(LAST_CHUNK)
      },
      { timeouts: LONG, silence: NO_PINGS },
    )
    const text = (await ask(harness, client.stream)).body.toString()
    expect(text).toMatch(client.end)
    for (const line of text.split('\n')) expect(line).toMatch(/^(?:data: .*)?$/)
  })
})

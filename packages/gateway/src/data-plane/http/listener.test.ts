import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  ask,
  type Config,
  type Harness,
  leftovers,
  NOTHING_LEFT,
  openRaw,
  rawPost,
  type RawClient,
  startHarness,
} from '../../testing/data-plane-harness.ts'
import {
  type ScriptedUpstream,
  startScriptedUpstream,
  wholeAnswer,
} from '../../testing/scripted-upstream.ts'

const WAIT = { timeout: 5000, interval: 2 }
const BODY = '{"model":"m","messages":[{"role":"user","content":"hi"}]}'
const ANSWER = '{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}'

let upstream: ScriptedUpstream
let harness: Harness
let clients: RawClient[] = []
afterEach(async () => {
  for (const { socket } of clients) socket.destroy()
  clients = []
  await harness.close()
  await upstream.close()
})

async function start(config: Config = {}, keyPolicy: Config = {}): Promise<void> {
  upstream = await startScriptedUpstream(
    ({ socket }) => void socket.write(wholeAnswer(200, ANSWER)),
  )
  harness = await startHarness({ upstreamUrl: upstream.url, config, keyPolicy })
}

/** Sends bytes and gives everything that comes until the connection ends. */
async function exchange(bytes: string | Buffer): Promise<string> {
  const client = await raw(bytes)
  await client.closed
  return client.text()
}

async function raw(bytes: string | Buffer): Promise<RawClient> {
  const client = await openRaw(harness.port)
  clients.push(client)
  client.socket.write(bytes)
  return client
}

const CHAT_ERROR = /"error":\{"message":"The request is not valid HTTP\."/
const MESSAGES_ERROR = /request-id: req_[^]*"type":"error","error":\{"type":"invalid_request_error"/

const answersIn = (text: string): readonly string[] => text.match(/HTTP\/1\.1 \d{3}/g) ?? []
const post = (extra: string, body = BODY, length = Buffer.byteLength(body)): string =>
  `POST /v1/chat/completions HTTP/1.1\r\nhost: gw.test\r\nauthorization: Bearer ${harness.secret}\r\n` +
  `content-type: application/json\r\ncontent-length: ${length}\r\n${extra}\r\n${body}`

const expecting = (length = Buffer.byteLength(BODY)): string =>
  post('expect: 100-continue\r\n', '', length)
const get = (fields: string): string => `GET /v1/models HTTP/1.1\r\n${fields}\r\n`

async function statusOf(fields: string): Promise<string> {
  const client = await raw(post(fields))
  await vi.waitFor(() => expect(client.text()).toMatch(/^HTTP\/1\.1 \d/), WAIT)
  return client.text().slice(9, 12)
}

async function list(
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<unknown> {
  return JSON.parse((await ask(harness, { method: 'GET', path, headers })).body.toString())
}

function guess(i: number): string {
  return `Bearer tkn_${String(i + 1).padStart(43, '9')}`
}

async function settled(records: number): Promise<void> {
  await vi.waitFor(() => {
    expect(harness.records.length).toBe(records)
    expect(leftovers(harness)).toEqual(NOTHING_LEFT)
  }, WAIT)
}

describe('a body', () => {
  it('larger than allowed is refused at once, and nothing behind it is served', async () => {
    await start({ server: { max_body: 100 } })
    const text = await exchange(post('', BODY, 999_999_999) + rawPost(harness, BODY))
    expect(answersIn(text)).toEqual(['HTTP/1.1 413'])
    expect(text.toLowerCase()).toContain('connection: close')
    expect(text).toContain('"code":"body_too_large"')
    expect(upstream.exchanges.length).toBe(0)
    await settled(1)
  })

  it('that grows larger than allowed is refused, and the client hears it', async () => {
    await start({ server: { max_body: '64KiB' } })
    const client = await raw(
      post('', '').replace('content-length: 0', 'transfer-encoding: chunked'),
    )
    const piece = `4000\r\n${'x'.repeat(0x4000)}\r\n`
    for (let i = 0; i < 40; i++) client.socket.write(piece)
    await vi.waitFor(() => expect(client.text()).toContain('HTTP/1.1 413'), WAIT)
    await client.closed
    expect(answersIn(client.text()).length).toBe(1)
    await settled(1)
  })

  it.each([
    ['never begins', ''],
    ['stops', '{"model"'],
  ])('that %s is answered 408', async (_what, begun) => {
    await start({ server: { body_idle_timeout: '120ms' } })
    const text = await exchange(post('', begun, 500))
    expect(answersIn(text)).toEqual(['HTTP/1.1 408'])
    expect(text).toContain('"code":"request_timeout"')
    expect(upstream.exchanges.length).toBe(0)
    await settled(1)
  })

  it('may be larger on Messages', async () => {
    await start({ server: { max_body: 100, max_document_body: '1KiB' } })
    const body = JSON.stringify({
      model: 'm',
      max_tokens: 1,
      messages: [{ role: 'user', content: 'x'.repeat(200) }],
    })
    const answer = await ask(harness, { path: '/v1/messages', body })
    expect(answer.status).not.toBe(413)
    expect((await ask(harness, { body })).status).toBe(413)
  })

  it.each(['gzip', 'br', 'x'])('coded as %s is not accepted', async (coding) => {
    await start()
    const answer = await ask(harness, { body: BODY, headers: { 'content-encoding': coding } })
    expect(answer.status).toBe(415)
    await settled(1)
  })
})

describe('expect: 100-continue', () => {
  it('is granted, then the body is read', async () => {
    await start()
    const client = await raw(expecting())
    await vi.waitFor(() => expect(client.text()).toContain('HTTP/1.1 100 Continue\r\n\r\n'), WAIT)
    expect(upstream.exchanges.length).toBe(0)
    client.socket.write(BODY)
    await vi.waitFor(() => expect(client.text()).toContain('HTTP/1.1 200'), WAIT)
    await settled(1)
  })

  it('is not granted to a stranger', async () => {
    await start()
    const text = await exchange(expecting().replace(harness.secret, 'tkn_wrong'))
    expect(answersIn(text)).toEqual(['HTTP/1.1 401'])
    await settled(1)
  })

  it('is not granted to a body that is too large', async () => {
    await start({ server: { max_body: 100 } })
    expect(answersIn(await exchange(expecting(101)))).toEqual(['HTTP/1.1 413'])
    await settled(1)
  })

  it('is the only expectation', async () => {
    await start()
    const text = await exchange(expecting().replace('100-continue', '200-ok'))
    expect(answersIn(text)).toEqual(['HTTP/1.1 417'])
    expect(upstream.exchanges.length).toBe(0)
  })
})

describe('a connection', () => {
  it('serves pipelined requests in order', async () => {
    await start()
    const client = await raw(rawPost(harness, BODY).repeat(3))
    await vi.waitFor(() => expect(answersIn(client.text()).length).toBe(3), WAIT)
    expect(answersIn(client.text())).toEqual(Array.from({ length: 3 }, () => 'HTTP/1.1 200'))
    await settled(3)
  })

  it('serves nothing behind an answer that closes it', async () => {
    await start()
    const stranger = rawPost(harness, BODY).replace(harness.secret, 'tkn_wrong')
    const text = await exchange(stranger + rawPost(harness, BODY))
    expect(answersIn(text)).toEqual(['HTTP/1.1 401'])
    expect(upstream.exchanges.length).toBe(0)
    await settled(1)
  })

  it('serves nothing behind a request that wants another protocol', async () => {
    await start()
    const upgrade = post('connection: upgrade\r\nupgrade: websocket\r\n')
    const text = await exchange(upgrade + rawPost(harness, BODY))
    expect(answersIn(text)).toEqual(['HTTP/1.1 200'])
    expect(upstream.exchanges.length).toBe(1)
    await settled(1)
  })

  it('is cut, not written into, when garbage follows a request under way', async () => {
    await start()
    upstream.play = () => {}
    const client = await raw(rawPost(harness, BODY))
    await vi.waitFor(() => expect(upstream.exchanges.length).toBe(1), WAIT)
    client.socket.write('\u0000\u0001 garbage\r\n\r\n')
    await client.closed
    expect(client.text()).toBe('')
    await settled(1)
    expect(harness.records[0]).toMatchObject({ errorClass: 'cancelled' })
  })

  it.each<[string, string, RegExp]>([
    ['chat', 'POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nbad name: 1\r\n\r\n', CHAT_ERROR],
    ['messages', 'POST /v1/messages HTTP/1.1\r\nhost: a\r\nbad name: 1\r\n\r\n', MESSAGES_ERROR],
    [
      'messages, by a mark',
      'GET /v1/models HTTP/1.1\r\nAnthropic-Version: 1\r\nhost: a\r\nbad name: 1\r\n\r\n',
      MESSAGES_ERROR,
    ],
    ['another version of HTTP', 'POST /v1/messages HTTP/3.7\r\nhost: a\r\n\r\n', MESSAGES_ERROR],
    [
      'the second of two',
      'GET /health HTTP/1.1\r\nhost: a\r\n\r\nPOST /v1/messages HTTP/1.1\r\nbad name: 1\r\n\r\n',
      MESSAGES_ERROR,
    ],
  ])('is told what the parser refuses as its protocol would: %s', async (_what, bytes, error) => {
    await start()
    const text = await exchange(bytes)
    expect(text).toMatch(error)
    expect(text).toMatch(/x-request-id: req_\w+\r\n/)
  })

  it('is told in JSON what the parser refuses', async () => {
    await start()
    const text = await exchange('NONSENSE\r\n\r\n')
    expect(answersIn(text)).toEqual(['HTTP/1.1 400'])
    expect(text).toContain('"code":"malformed_http"')
  })
})

describe('a credential', () => {
  it.each<[string, Record<string, string>, number]>([
    ['none', { authorization: '' }, 401],
    ['an unknown one', { authorization: 'Bearer tkn_x' }, 401],
    ['a basic one', { authorization: 'Basic eDp5' }, 401],
    ['x-api-key', { authorization: '', 'x-api-key': 'KEY' }, 200],
    ['api-key', { authorization: '', 'api-key': 'KEY' }, 200],
    ['the bare key', { authorization: 'KEY' }, 200],
    ['the same key twice', { authorization: 'Bearer KEY', 'x-api-key': 'KEY' }, 200],
    ['two different ones', { authorization: 'Bearer KEY', 'x-api-key': 'other' }, 401],
  ])('%s', async (_what, fields, status) => {
    await start()
    const headers = Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [name, value.replace('KEY', harness.secret)]),
    )
    expect((await ask(harness, { body: BODY, headers })).status).toBe(status)
    await settled(1)
  })

  it('two different ones are nobody, also where one of them is somebody', async () => {
    await start({ keys: { required: false } })
    const two = { authorization: `Bearer ${harness.secret}`, 'x-api-key': 'other' }
    expect((await ask(harness, { body: BODY, headers: two })).status).toBe(200)
    await settled(1)
    expect(harness.records[0]?.keyId).toBe('anonymous')
  })

  it('that nobody knows is none, where none is required, for the model list too', async () => {
    await start({ keys: { required: false } })
    const headers = { authorization: 'Bearer whatever' }
    expect((await ask(harness, { body: BODY, headers })).status).toBe(200)
    const models = await ask(harness, { method: 'GET', path: '/v1/models', headers })
    expect(models.status).toBe(200)
  })

  it('of none: the global policy holds', async () => {
    await start({
      keys: { required: false },
      policy: { endpoints: ['embeddings'], default_provider: 'up' },
    })
    const headers = { authorization: '' }
    const answer = await ask(harness, { body: BODY, headers })
    expect(answer.status).toBe(403)
    const models = await ask(harness, { method: 'GET', path: '/v1/models', headers })
    expect(models.status).toBe(403)
  })

  it('is bound to its addresses, for the model list too', async () => {
    await start({}, { ip_allow: ['192.0.2.0/24'] })
    const spoofed = { 'x-forwarded-for': '192.0.2.7', 'x-real-ip': '192.0.2.7' }
    expect((await ask(harness, { body: BODY, headers: spoofed })).status).toBe(403)
    const models = await ask(harness, { method: 'GET', path: '/v1/models', headers: spoofed })
    expect(models.status).toBe(403)
  })

  it('behind a declared proxy comes from the last address that is no proxy', async () => {
    await start({ server: { trusted_proxies: ['127.0.0.1'] } }, { ip_allow: ['192.0.2.0/24'] })
    expect(await statusOf('x-forwarded-for: 198.51.100.1, 192.0.2.7\r\n')).toBe('200')
    expect(await statusOf('x-forwarded-for: 192.0.2.7, 198.51.100.1\r\n')).toBe('403')
    // A client's own field in front of the proxy's must not win.
    expect(await statusOf('x-forwarded-for: 192.0.2.7\r\nx-forwarded-for: 198.51.100.1\r\n')).toBe(
      '403',
    )
  })
})

describe('what the gateway answers by itself', () => {
  it.each<[string, string, number, string]>([
    ['GET', '/', 200, 'ok'],
    ['HEAD', '/', 200, ''],
    ['GET', '/health', 200, 'ok'],
    ['HEAD', '/health', 200, ''],
    ['GET', '/healthz', 200, 'ok'],
    ['GET', '/health/ready', 200, 'ready'],
    ['POST', '/health', 405, 'method_not_allowed'],
    ['GET', '/v1/chat/completions', 405, 'method_not_allowed'],
    ['POST', '/v1/chat/completions/', 404, 'not_found'],
    ['POST', '/V1/chat/completions', 404, 'not_found'],
    ['POST', '//v1/chat/completions', 404, 'not_found'],
    ['POST', '/v1/%63hat/completions', 404, 'not_found'],
    ['POST', '/v1/nothing', 404, 'not_found'],
    ['DELETE', '/', 404, 'not_found'],
    ['GET', '/admin/keys', 404, 'not_found'],
  ])('%s %s is %i', async (method, path, status, word) => {
    await start()
    const answer = await ask(harness, { method, path, headers: { authorization: '' } })
    expect(answer.status).toBe(status)
    expect(answer.headers['content-type']).toBe('application/json')
    expect(answer.body.toString()).toContain(word)
    expect(String(answer.headers['x-request-id'] ?? '').slice(0, 4)).toBe(
      status < 400 ? '' : 'req_',
    )
    expect(upstream.exchanges.length).toBe(0)
  })

  it('is not ready while usage cannot be recorded', async () => {
    await start()
    harness.setHealthy(false)
    const answer = await ask(harness, { method: 'GET', path: '/health/ready' })
    expect(answer.status).toBe(503)
  })

  it('shapes errors as the path or the headers suggest', async () => {
    await start()
    const messages = await ask(harness, {
      path: '/v1/messages',
      body: '{',
      headers: { authorization: '' },
    })
    expect(JSON.parse(messages.body.toString())).toMatchObject({
      type: 'error',
      error: { type: 'authentication_error' },
      request_id: messages.headers['request-id'],
    })
    const headers = { 'anthropic-version': '2023-06-01' }
    const unknown = await ask(harness, { path: '/v1/other', headers })
    expect(JSON.parse(unknown.body.toString())).toMatchObject({
      error: { type: 'not_found_error' },
    })
    expect(unknown.headers['request-id']).toBe(unknown.headers['x-request-id'])
  })

  it('lists models in the shape of the caller', async () => {
    await start({
      models: { 'a/b': { targets: [{ provider: 'up' }] }, c: { targets: [{ provider: 'up' }] } },
    })
    expect(await list('/v1/models')).toMatchObject({
      object: 'list',
      data: [{ id: 'a/b', object: 'model' }, { id: 'c' }],
    })
    expect(await list('/v1/models', { 'anthropic-version': '2023-06-01' })).toMatchObject({
      data: [{ type: 'model', id: 'a/b' }, { id: 'c' }],
      has_more: false,
    })
    expect(await list('/v1/models/a/b')).toMatchObject({ id: 'a/b', object: 'model' })
    expect(await list('/v1/models/a%2Fb')).toMatchObject({ id: 'a/b' })
    expect(await list('/v1/models/none')).toMatchObject({ error: { code: 'model_not_found' } })
    expect(await list('/v1/models', { authorization: 'Bearer x' })).toMatchObject({
      error: { code: 'invalid_api_key' },
    })
  })

  it('slows down who tries keys, on all paths together, and serves who has one', async () => {
    await start()
    const seen = new Map<unknown, number>()
    for (let i = 0; i < 30; i++) {
      const asked = i % 2 === 0 ? { method: 'GET', path: '/v1/models' } : { body: '{}' }
      const { status } = await ask(harness, { ...asked, headers: { authorization: guess(i) } })
      seen.set(status, (seen.get(status) ?? 0) + 1)
    }
    expect([...seen]).toEqual([
      [401, 20],
      [429, 10],
    ])
    expect(await list('/v1/models')).toMatchObject({ object: 'list' })
  })
})

describe('a head', () => {
  it.each([
    ['no host', get('')],
    ['two hosts', get('host: a\r\nhost: b\r\n')],
    ['an odd host', get('host: a/b\r\n')],
    ['two credentials of one kind', get('host: a\r\nx-api-key: 1\r\nx-api-key: 1\r\n')],
    ['an underscore twin of a framing field', get('host: a\r\ncontent_length: 1\r\n')],
    ['an absolute target elsewhere', 'GET http://b/v1/models HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['an asterisk target', 'OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['a transfer coding of another name', get('host: a\r\ntransfer-encoding: identity\r\n')],
  ])('with %s is refused, and the connection closed', async (_what, bytes) => {
    await start()
    const text = await exchange(bytes)
    expect(answersIn(text)).toEqual(['HTTP/1.1 400'])
    expect(text).toContain('"code":"malformed_http"')
  })

  it('of very many or very large fields is 431', async () => {
    await start()
    const many = Array.from({ length: 201 }, (_, i) => `x-${i}: 1\r\n`).join('')
    expect(answersIn(await exchange(get(`host: a\r\n${many}`)))).toEqual(['HTTP/1.1 431'])
    const large = `x: ${'a'.repeat(40_000)}\r\n`
    expect(answersIn(await exchange(get(`host: a\r\n${large}`)))).toEqual(['HTTP/1.1 431'])
  })

  it('in absolute form of this very host is served', async () => {
    await start()
    const client = await raw('GET http://a/health HTTP/1.1\r\nhost: a\r\n\r\n')
    await vi.waitFor(() => expect(client.text()).toContain('HTTP/1.1 200'), WAIT)
  })
})

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CLIENT_CALLS, CLIENT_IDS, type ClientId } from '../../testing/client-calls.ts'
import {
  ask,
  type Asked,
  type Harness,
  leftovers,
  NOTHING_LEFT,
  openRaw,
  startHarness,
} from '../../testing/data-plane-harness.ts'
import { type ScriptedUpstream, startScriptedUpstream } from '../../testing/scripted-upstream.ts'

let upstream: ScriptedUpstream
let harness: Harness
beforeAll(async () => {
  upstream = await startScriptedUpstream()
  harness = await startHarness({
    upstreamUrl: upstream.url,
    provider: { protocol: [...CLIENT_IDS] },
    config: {
      server: { max_body: '1KiB', max_document_body: '1KiB' },
      models: { served: { targets: [{ provider: 'up' }] } },
      policy: {},
    },
  })
})
afterAll(async () => {
  await harness.close()
  await upstream.close()
})

const anyText = expect.stringMatching(/./)
const ANTHROPIC = {
  type: 'error',
  error: { type: anyText, message: anyText },
  request_id: expect.stringMatching(/^req_/),
}

/** The whole shape of an error, with no member besides. */
const SHAPES: Readonly<Record<ClientId, (status: number) => unknown>> = {
  'openai-chat': openai,
  'openai-responses': openai,
  'anthropic-messages': () => ANTHROPIC,
  gemini: (code) => ({
    error: {
      code,
      message: anyText,
      status: expect.stringMatching(/^[A-Z_]+$/),
      details: expect.any(Array),
    },
  }),
}

function openai(): unknown {
  return {
    error: {
      message: anyText,
      type: anyText,
      param: expect.toBeOneOf([null, anyText]),
      code: anyText,
    },
  }
}

/** A header by which each protocol's clients are known on paths that nobody serves. */
const MARKS: Readonly<Record<ClientId, Readonly<Record<string, string>>>> = {
  'openai-chat': {},
  'openai-responses': {},
  'anthropic-messages': { 'anthropic-version': '2023-06-01' },
  gemini: { 'x-goog-api-client': 'gl-node/24' },
}

/** Paths beside the ones that are served, that stateful clients may ask for. */
const NOT_SERVED: Readonly<Record<ClientId, readonly string[]>> = {
  'openai-chat': ['/v1/chat/completions/x', '/v1/threads'],
  'openai-responses': [
    '/v1/responses/resp_1',
    '/v1/responses/compact',
    '/v1/responses/input_tokens',
    '/v1/responses/resp_1/cancel',
    '/v1/conversations',
  ],
  'anthropic-messages': ['/v1/messages/batches', '/v1/files'],
  gemini: ['/v1beta/files', '/v1beta/cachedContents', '/upload/v1beta/files'],
}

type Refused = readonly [what: string, status: number, asked: Asked]

function refusalsOf(id: ClientId): readonly Refused[] {
  const { whole, path } = CLIENT_CALLS[id]
  const body = String(whole.body)
  const unknown = { body: body.replace('"m"', '"no-such"'), path: path.replace('/m:', '/no-such:') }
  return [
    ['no key', 401, { ...whole, headers: { authorization: '' } }],
    ['an unknown key', 401, { ...whole, headers: { authorization: 'Bearer tkn_x' } }],
    ['broken JSON', 400, { ...whole, body: '{"model":' }],
    ['no JSON', 400, { ...whole, body: 'hello' }],
    ['a list', 400, { ...whole, body: '[]' }],
    ['an empty body', 400, { ...whole, body: '' }],
    ['a member twice', 400, { ...whole, body: body.replace('{', '{"a":1,"a":2,') }],
    ['a body too large', 413, { ...whole, body: ' '.repeat(2000) + body }],
    ['a coded body', 415, { ...whole, headers: { 'content-encoding': 'gzip' } }],
    ['a form', 415, { ...whole, headers: { 'content-type': 'multipart/form-data; boundary=x' } }],
    ['another method', 405, { path, method: 'GET' }],
    ['a model that nobody serves', 404, { path: unknown.path, body: unknown.body }],
    ...NOT_SERVED[id].map(
      (other): Refused => [`the path ${other}`, 404, { path: other, body, headers: MARKS[id] }],
    ),
  ]
}

describe.each(CLIENT_IDS)('what is refused in the shape of %s', (id) => {
  it.each(refusalsOf(id))('%s', async (_what, status, asked) => {
    const answer = await ask(harness, { path: CLIENT_CALLS[id].path, ...asked })
    expect(answer.headers['content-type']).toBe('application/json')
    expect(answer.headers['x-request-id']).toMatch(/^req_/)
    expect({ status: answer.status, body: JSON.parse(answer.body.toString()) }).toEqual({
      status,
      body: SHAPES[id](status),
    })
    expect(upstream.exchanges).toHaveLength(0)
    expect(leftovers(harness)).toEqual(NOTHING_LEFT)
  })

  it('what is no HTTP', async () => {
    const client = await openRaw(harness.port)
    const { path } = CLIENT_CALLS[id]
    client.socket.write(`POST ${path} HTTP/1.1\r\nhost: a\r\nbad name: 1\r\n\r\n`)
    await client.closed
    const [head = '', body = ''] = client.text().split('\r\n\r\n')
    expect(head).toMatch(/^HTTP\/1\.1 400 [^]*content-type: application\/json/)
    expect(JSON.parse(body)).toEqual(SHAPES[id](400))
  })

  it('header fields that are too large', async () => {
    const client = await openRaw(harness.port)
    const { path } = CLIENT_CALLS[id]
    client.socket.write(`POST ${path} HTTP/1.1\r\nhost: a\r\nx: ${'a'.repeat(40_000)}\r\n\r\n`)
    await client.closed
    const [head = '', body = ''] = client.text().split('\r\n\r\n')
    expect(head).toMatch(/^HTTP\/1\.1 431 /)
    expect(JSON.parse(body)).toEqual(SHAPES[id](431))
  })
})

describe('names that would break out of a header, a path or a line of the log', () => {
  const NAMES = [
    'gpt-4o\r\nX-Evil: 1',
    'a\n{"level":"fatal"}',
    'a\u0000b',
    'gpt-4ö',
    'a b',
    '\u2028',
  ]

  it.each(CLIENT_IDS.flatMap((id) => NAMES.map((name) => [id, name] as const)))(
    'in %s: %j',
    async (id, name) => {
      const { whole, path } = CLIENT_CALLS[id]
      const answer = await ask(harness, {
        path: path.replace('/m:', `/${encodeURIComponent(name)}:`),
        body: String(whole.body).replace('"m"', JSON.stringify(name)),
      })
      expect(answer.status).toBe(400)
      expect(answer.headers['x-evil']).toBeUndefined()
      expect(JSON.parse(answer.body.toString())).toEqual(SHAPES[id](400))
      expect(upstream.exchanges).toHaveLength(0)
    },
  )
})

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  ask,
  type Asked,
  type Harness,
  leftovers,
  NOTHING_LEFT,
  startHarness,
} from '../../testing/data-plane-harness.ts'
import {
  type Exchange,
  type ScriptedUpstream,
  startScriptedUpstream,
} from '../../testing/scripted-upstream.ts'

const BODY = '{"contents":[{"parts":[{"text":"hi"}]}],"model":null}'
const ANSWER = JSON.stringify({
  candidates: [{ content: { parts: [{ text: 'hello' }], role: 'model' }, finishReason: 'STOP' }],
  usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 2, totalTokenCount: 5 },
  modelVersion: 'gemini-x-001',
})
const FRAMES = `data: ${ANSWER}\r\n\r\n`

let harness: Harness
let upstream: ScriptedUpstream

function play({ socket, received }: Exchange): void {
  const streams = received.head.includes(':streamGenerateContent')
  const [type, body] = streams ? ['text/event-stream', FRAMES] : ['application/json', ANSWER]
  const counted = received.head.includes(':countTokens') ? '{"totalTokens":3}' : body
  socket.write(
    `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\ncontent-length: ${Buffer.byteLength(counted)}\r\n\r\n${counted}`,
  )
}

beforeEach(async () => {
  upstream = await startScriptedUpstream(play)
  harness = await startHarness({
    upstreamUrl: upstream.url,
    provider: { protocol: 'gemini', auth: { kind: 'header', name: 'x-goog-api-key' } },
    config: {
      models: { alias: { targets: [{ provider: 'up', model: 'gemini-x' }] } },
    },
  })
})
afterEach(async () => {
  await harness.close()
  await upstream.close()
})

/** Without the harness's own bearer. */
function asGoogle(asked: Asked): ReturnType<typeof ask> {
  return ask(harness, { body: BODY, ...asked })
}

const sentTo = (): string => upstream.exchanges.at(-1)?.received.head ?? ''
const PATH = '/v1beta/models/gemini-x:generateContent'

describe('models in paths', () => {
  it.each([
    [PATH, '/v1beta/models/gemini-x:generateContent'],
    ['/v1/models/gemini-x:generateContent', '/v1/models/gemini-x:generateContent'],
    ['/v1beta/models/up/gemini-x:generateContent', '/v1beta/models/gemini-x:generateContent'],
    ['/v1beta/models/up%2Fgemini-x:generateContent', '/v1beta/models/gemini-x:generateContent'],
    ['/v1beta/models/alias:generateContent', '/v1beta/models/gemini-x:generateContent'],
  ])('%s asks for %s', async (path, asked) => {
    const answer = await asGoogle({ path })
    expect(answer.status).toBe(200)
    expect(answer.body.toString()).toBe(ANSWER)
    expect(sentTo().startsWith(`POST ${asked} HTTP/1.1`)).toBe(true)
    expect(harness.records[0]).toMatchObject({
      endpoint: 'gemini',
      status: 200,
      usage: { inputTokens: 3, outputTokens: 2 },
    })
    expect(leftovers(harness)).toEqual(NOTHING_LEFT)
  })

  it('passes a stream on byte for byte, asked for as events', async () => {
    const path = '/v1beta/models/gemini-x:streamGenerateContent?alt=sse&$httpHeaders=x&fields=y'
    const answer = await asGoogle({ path })
    expect(answer.body.toString()).toBe(FRAMES)
    expect(sentTo()).toContain('POST /v1beta/models/gemini-x:streamGenerateContent?alt=sse HTTP')
    expect(harness.records[0]).toMatchObject({ complete: true, usage: { outputTokens: 2 } })
  })

  it.each(['', '?alt=json', '?alt='])(
    'refuses a stream that would be one list: %j',
    async (query) => {
      const answer = await asGoogle({
        path: `/v1beta/models/gemini-x:streamGenerateContent${query}`,
      })
      expect(answer.status).toBe(400)
      expect(JSON.parse(answer.body.toString())).toMatchObject({
        error: { status: 'INVALID_ARGUMENT', message: expect.stringContaining('alt') },
      })
      expect(upstream.exchanges).toHaveLength(0)
    },
  )

  it('counts tokens for nothing', async () => {
    const answer = await asGoogle({ path: '/v1beta/models/gemini-x:countTokens' })
    expect(answer.body.toString()).toBe('{"totalTokens":3}')
    expect(harness.records[0]).toMatchObject({ endpoint: 'count_tokens' })
  })

  it.each([
    ['/v1beta/models/:generateContent', 405],
    ['/v1beta/models/gemini-x:embedContent', 405],
    ['/v1beta/x', 404],
  ])('does not serve %s', async (path, status) => {
    expect((await asGoogle({ path })).status).toBe(status)
    expect(upstream.exchanges).toHaveLength(0)
  })

  it.each(['/v1beta/models/..%2Fadmin:generateContent', '/v1beta/models/a%0Ab:generateContent'])(
    'never leaves the path of models: %s',
    async (path) => {
      const answer = await asGoogle({ path })
      expect(answer.status).toBeGreaterThanOrEqual(400)
      expect(upstream.exchanges).toHaveLength(0)
    },
  )
})

describe('keys of Gemini’s clients', () => {
  const NO_BEARER = { authorization: '' }

  it.each([
    ['a header', (secret: string) => ({ headers: { ...NO_BEARER, 'x-goog-api-key': secret } })],
    ['the query', (secret: string) => ({ headers: NO_BEARER, path: `${PATH}?key=${secret}` })],
  ])('are taken from %s, and never passed on', async (_where, asked) => {
    const answer = await asGoogle({ path: PATH, ...asked(harness.secret) })
    expect(answer.status).toBe(200)
    const [exchange] = upstream.exchanges
    expect(exchange?.received.head).not.toContain(harness.secret)
    expect(exchange?.received.head).not.toContain('key=')
    expect(exchange?.received.fields).toContainEqual(['x-goog-api-key', 'local-secret'])
    expect(JSON.stringify(harness.records)).not.toContain(harness.secret)
  })

  it.each([
    ['another key beside the first', (secret: string) => `${PATH}?key=${secret}&key=other`],
    ['a path of another protocol', (secret: string) => `/v1/chat/completions?key=${secret}`],
  ])('are not taken from %s', async (_what, path) => {
    const answer = await asGoogle({ path: path(harness.secret), headers: NO_BEARER })
    expect(answer.status).toBe(401)
  })

  it('does not let a client choose who pays', async () => {
    await asGoogle({
      path: PATH,
      headers: { 'x-goog-user-project': 'p', 'x-goog-api-client': 'c' },
    })
    const names = upstream.exchanges[0]?.received.fields.map(([name]) => name)
    expect(names).not.toContain('x-goog-user-project')
    expect(names).toContain('x-goog-api-client')
  })
})

describe('lists of models', () => {
  it.each([
    ['/v1beta/models', {}],
    ['/v1/models', { 'x-goog-api-client': 'gl-node/24' }],
  ])('%s is in the shape of Gemini', async (path, headers) => {
    const answer = await ask(harness, { method: 'GET', path, headers })
    expect(JSON.parse(answer.body.toString())).toEqual({
      models: [
        {
          name: 'models/alias',
          displayName: 'alias',
          supportedGenerationMethods: ['generateContent', 'countTokens'],
        },
      ],
    })
  })

  it('shows one model, and takes the key from the query', async () => {
    const path = `/v1beta/models/alias?key=${harness.secret}`
    const answer = await ask(harness, { method: 'GET', path, headers: { authorization: '' } })
    expect(JSON.parse(answer.body.toString())).toMatchObject({ name: 'models/alias' })
    const unknown = await ask(harness, { method: 'GET', path: '/v1beta/models/nobody' })
    expect(JSON.parse(unknown.body.toString())).toMatchObject({ error: { status: 'NOT_FOUND' } })
  })
})

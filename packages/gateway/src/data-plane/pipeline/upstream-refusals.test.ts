import assert from 'node:assert/strict'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { CLIENT_CALLS, CLIENT_IDS, type ClientId, ROUTES } from '../../testing/client-calls.ts'
import {
  ask,
  type Answered,
  type Harness,
  leftovers,
  NOTHING_LEFT,
  startHarness,
} from '../../testing/data-plane-harness.ts'
import {
  type ScriptedUpstream,
  startScriptedUpstream,
  streamAnswer,
  wholeAnswer,
} from '../../testing/scripted-upstream.ts'
import { fixture } from '../../testing/tap-replay.ts'

const FOLDER = new URL('../../protocols/', import.meta.url)
const WAIT = { timeout: 5000, interval: 2 }
const SECRET_WORDS = 'Incorrect API key sk-ours for organization org-ours'

let upstream: ScriptedUpstream
let harness: Harness
afterEach(async () => {
  await vi.waitFor(() => assert.deepEqual(leftovers(harness), NOTHING_LEFT), WAIT)
  await harness.close()
  await upstream.close()
})

/** The words of each vendor for an error. */
const SAYS: Readonly<Record<ClientId, (status: number, type: string, message: string) => string>> =
  {
    'openai-chat': openai,
    'openai-responses': openai,
    'anthropic-messages': (_status, type, message) =>
      JSON.stringify({ type: 'error', error: { type, message }, request_id: 'req_theirs' }),
    gemini: (code, type, message) =>
      JSON.stringify({ error: { code, message, status: type.toUpperCase() } }),
  }

function openai(_status: number, type: string, message: string): string {
  return JSON.stringify({ error: { message, type, param: null, code: type } })
}

async function serve(provider: ClientId, answer: Buffer): Promise<void> {
  upstream = await startScriptedUpstream(({ socket }) => void socket.write(answer))
  harness = await startHarness({ upstreamUrl: upstream.url, provider: { protocol: [provider] } })
}

function refusing(
  provider: ClientId,
  status: number,
  said: { type?: string; message?: string; fields?: readonly string[] } = {},
): Buffer {
  const { type = 'some_error', message = 'no', fields = [] } = said
  const body = SAYS[provider](status, type, message)
  return wholeAnswer(status, body, ['content-type: application/json', ...fields])
}

/** The error's own kind, in whichever shape. */
function kindOf({ body }: Answered): unknown {
  const { error } = JSON.parse(body.toString())
  return error.status ?? error.type
}

const KINDS: Readonly<Record<ClientId, { overloaded: [number, string]; limited: string }>> = {
  'openai-chat': { overloaded: [503, 'server_error'], limited: 'rate_limit_exceeded' },
  'openai-responses': { overloaded: [503, 'server_error'], limited: 'rate_limit_exceeded' },
  'anthropic-messages': { overloaded: [529, 'overloaded_error'], limited: 'rate_limit_error' },
  gemini: { overloaded: [503, 'UNAVAILABLE'], limited: 'RESOURCE_EXHAUSTED' },
}

describe.each(ROUTES)('$client at a provider of $provider', ({ client, provider }) => {
  const calls = CLIENT_CALLS[client]
  const native = client === provider

  it.each([401, 403])('does not take a %i of our credential for its own', async (status) => {
    const fields = ['www-authenticate: Bearer', 'set-cookie: a=b', 'x-org: org-ours']
    await serve(provider, refusing(provider, status, { message: SECRET_WORDS, fields }))
    for (const asked of [calls.whole, calls.stream]) {
      const answer = await ask(harness, asked)
      expect(answer.status).toBe(502)
      expect(answer.headers['x-tollgate-error-source']).toBe('gateway')
      expect(JSON.stringify(answer.headers) + answer.body.toString()).not.toMatch(/ours|cookie|www/)
    }
    expect(harness.records[0]?.errorClass).toBe('upstream_auth')
  })

  it('is told when to come back by a provider that limits, and not its numbers', async () => {
    const fields = [
      'retry-after: 7',
      'x-should-retry: true',
      'x-ratelimit-remaining-requests: 0',
      'anthropic-ratelimit-requests-remaining: 0',
    ]
    await serve(provider, refusing(provider, 429, { type: 'rate_limit_error', fields }))
    const answer = await ask(harness, calls.whole)
    expect(answer.status).toBe(429)
    expect(answer.headers).toMatchObject({
      'retry-after': '7',
      'x-should-retry': 'true',
      'x-tollgate-error': 'rate_limited',
      'x-tollgate-error-source': 'provider',
    })
    // The harness limits to a thousand million, so that a 0 can only be the provider's.
    expect(answer.headers['x-ratelimit-remaining-requests']).not.toBe('0')
    expect(answer.headers['anthropic-ratelimit-requests-remaining']).not.toBe('0')
    expect(native ? 'as it came' : kindOf(answer)).toBe(
      native ? 'as it came' : KINDS[client].limited,
    )
    expect(harness.records[0]).toMatchObject({
      errorClass: 'rate_limited',
      errorSource: 'provider',
    })
  })

  it('hears of an overloaded provider by its own status', async () => {
    await serve(provider, refusing(provider, 529, { type: 'overloaded_error' }))
    const answer = await ask(harness, calls.whole)
    const told = native ? [529, kindOf(answer)] : KINDS[client].overloaded
    expect([answer.status, kindOf(answer)]).toEqual(told)
    expect(harness.records[0]?.errorClass).toBe('overloaded')
  })

  it.each(['whole', 'stream'] as const)('follows no redirect (%s)', async (way) => {
    await serve(
      provider,
      Buffer.from(
        `HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:1/${'x'.repeat(9)}\r\ncontent-length: 0\r\n\r\n`,
      ),
    )
    const answer = await ask(harness, calls[way])
    expect(answer.status).toBe(502)
    expect(answer.headers['location']).toBeUndefined()
    expect(harness.records[0]?.errorClass).toBe('upstream_redirect')
  })

  it('keeps one request id, its own, and theirs in the record', async () => {
    await serve(
      provider,
      wholeAnswer(200, CLIENT_CALLS[provider].answer, [
        'content-type: application/json',
        provider === 'anthropic-messages' ? 'request-id: req_theirs' : 'x-request-id: req_theirs',
      ]),
    )
    const { headers } = await ask(harness, calls.whole)
    const ids = [headers['x-request-id'], headers['request-id']].filter((id) => id !== undefined)
    expect(new Set(ids)).toEqual(new Set([harness.records[0]?.requestId]))
    expect(harness.records[0]?.upstreamRequestId).toBe('req_theirs')
  })

  it('is told an error inside the stream as its own, and nothing behind it', async () => {
    const frames = fixture(new URL(`${provider}/`, FOLDER), 'error-inside.sse')
    await serve(provider, streamAnswer([frames]))
    const text = (await ask(harness, calls.stream)).body.toString()
    expect({ ends: calls.end.test(text), fails: calls.failure.test(text) }).toEqual({
      ends: false,
      fails: true,
    })
    const behind = text.slice(text.search(calls.failure)).trim().split('\n\n')
    expect(behind.filter((frame) => !calls.failure.test(frame))).toEqual([])
    expect(harness.records[0]).toMatchObject({ errorClass: 'upstream_failed', complete: false })
  })
})

describe.each(CLIENT_IDS)('a refusal of the request itself, at %s', (id) => {
  it.each([400, 404, 409, 413, 422])(
    '%i passes byte for byte and is not repeated',
    async (status) => {
      const words = '{ "error" : {"message":"`effort` is  not supported", "z":1}}\n'
      await serve(id, wholeAnswer(status, words, ['content-type: application/json']))
      const answer = await ask(harness, CLIENT_CALLS[id].whole)
      expect([answer.status, answer.body.toString()]).toEqual([status, words])
      expect(upstream.exchanges).toHaveLength(1)
    },
  )
})

import { createServer } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { PROTOCOLS } from '../../registry.ts'
import { CLIENT_IDS } from '../../testing/client-calls.ts'
import { ask, type Harness, startHarness } from '../../testing/data-plane-harness.ts'
import {
  type ScriptedUpstream,
  startScriptedUpstream,
  wholeAnswer,
} from '../../testing/scripted-upstream.ts'

let port = 0
let connections = 0
const canary = createServer(() => connections++)
let upstream: ScriptedUpstream
let harness: Harness

beforeAll(async () => {
  await new Promise<void>((resolve) => canary.listen(0, '127.0.0.1', resolve))
  const address = canary.address()
  port = typeof address === 'object' && address !== null ? address.port : 0
  upstream = await startScriptedUpstream(({ socket }) => {
    socket.write(wholeAnswer(307, '', [`location: http://127.0.0.1:${port}/`]))
  })
  harness = await startHarness({
    upstreamUrl: upstream.url,
    provider: { protocol: [...CLIENT_IDS] },
  })
})
beforeEach(() => {
  upstream.exchanges.length = 0
})
afterAll(async () => {
  await harness.close()
  await upstream.close()
  await new Promise((resolve) => canary.close(resolve))
})

type Place = { readonly path: string; readonly query: string; readonly form: boolean }

const WRAPPED: readonly Place[] = PROTOCOLS.flatMap(({ wrappers }) => wrappers ?? []).map(
  ({ path }) => ({ path, query: '', form: false }),
)
const ENDPOINTS: readonly Place[] = PROTOCOLS.flatMap(({ endpoints }) => endpoints)
  .map(({ path, query, readForm }): Place => ({ path, query, form: readForm !== undefined }))
  .concat(WRAPPED)

/** What libraries and other gateways let a request choose. */
function routing(): Readonly<Record<string, unknown>> {
  const url = `http://127.0.0.1:${port}`
  return {
    api_base: url,
    base_url: url,
    extra_headers: { host: `127.0.0.1:${port}`, 'x-canary': url },
    extra_body: { api_base: url },
    api_key: 'sk-canary',
    custom_llm_provider: url,
  }
}

/** Enough members for every endpoint: each reads its own, and passes by what it does not know. */
function bodyOf(model: string): Readonly<Record<string, unknown>> {
  const messages = [{ role: 'user', content: 'hi' }]
  return {
    ...(model === '' ? {} : { model }),
    max_tokens: 5,
    messages,
    input: 'hi',
    prompt: 'hi',
    query: 'hi',
    documents: ['a'],
    voice: 'a',
    contents: [{ parts: [{ text: 'hi' }] }],
  }
}

/** What is inside an envelope is a request of its own. */
function sentBody(path: string, body: Readonly<Record<string, unknown>>): string {
  const wrapped = WRAPPED.some((one) => one.path === path)
  return JSON.stringify(wrapped ? { request: body } : body)
}

function headersOf(): Readonly<Record<string, string>> {
  const url = `http://127.0.0.1:${port}`
  return {
    'x-portkey-custom-host': url,
    'x-portkey-provider': 'openai',
    'x-forwarded-host': `127.0.0.1:${port}`,
    'x-original-url': url,
    'x-rewrite-url': url,
    'openai-organization': url,
    'openai-project': url,
    'x-goog-user-project': url,
    forwarded: `host=127.0.0.1:${port}`,
  }
}

const BOUNDARY = 'xx'

function formOf(fields: Readonly<Record<string, unknown>>): string {
  const parts = Object.entries(fields).map(
    ([name, value]) =>
      `--${BOUNDARY}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${String(value)}\r\n`,
  )
  const file = `--${BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\nx\r\n`
  return `${parts.join('')}${file}--${BOUNDARY}--\r\n`
}

/** What the provider was sent, head and body, without what stands in a text of the prompt. */
function sent(): string {
  return upstream.exchanges.map(({ received }) => received.head + received.body).join('\n')
}

describe.each(ENDPOINTS)('$path', ({ path, query }) => {
  const named = (model: string): string =>
    path.replace('{model}', encodeURIComponent(model)) + query

  it('goes nowhere that the client names, nor where the provider points', async () => {
    const model = path.includes('{model}') ? '' : 'm'
    const body = sentBody(path, { ...routing(), ...bodyOf(model) })
    const answer = await ask(harness, { path: named('m'), body, headers: headersOf() })
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(sent()).not.toContain(`127.0.0.1:${port}`)
    expect(sent()).not.toContain('sk-canary')
    expect(connections).toBe(0)
  })

  it('takes no host out of the name of a model', async () => {
    const model = `azure/x#@127.0.0.1:${port}`
    const body = sentBody(path, bodyOf(path.includes('{model}') ? '' : model))
    const answer = await ask(harness, { path: named(model), body })
    expect(answer.status).toBeGreaterThanOrEqual(400)
    const hosts = upstream.exchanges.map(({ received }) =>
      received.fields.find(([n]) => n === 'host'),
    )
    expect(hosts).toEqual(hosts.map(() => ['host', `127.0.0.1:${upstream.port}`]))
    expect(connections).toBe(0)
  })
})

describe.each(ENDPOINTS.filter(({ form }) => form))('a form at $path', ({ path }) => {
  it('goes nowhere that a field names', async () => {
    const fields = { ...routing(), ...bodyOf('m') }
    const answer = await ask(harness, {
      path,
      body: formOf(fields),
      headers: { ...headersOf(), 'content-type': `multipart/form-data; boundary=${BOUNDARY}` },
    })
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(sent()).not.toContain(`127.0.0.1:${port}`)
    expect(connections).toBe(0)
  })
})

it('every endpoint reached the provider, so that the rest says something', async () => {
  const reached: string[] = []
  for (const { path, query } of ENDPOINTS) {
    upstream.exchanges.length = 0
    const model = path.includes('{model}') ? '' : 'm'
    const body = sentBody(path, bodyOf(model))
    await ask(harness, { path: path.replace('{model}', 'm') + query, body })
    if (upstream.exchanges.length > 0) reached.push(path)
  }
  const forms = new Set(ENDPOINTS.filter(({ form }) => form).map(({ path }) => path))
  expect(
    ENDPOINTS.map(({ path }) => path).filter((path) => !reached.includes(path) && !forms.has(path)),
  ).toEqual([])
})

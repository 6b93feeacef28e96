import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { compileProvider } from '../../plan/compile-provider.ts'
import type { ProviderPlan } from '../../plan/gateway-plan.ts'
import { upstreamPath } from '../../plan/upstream-path.ts'
import { STREAM_GENERATE } from '../../protocols/gemini/generate.ts'
import { vertexAi } from '../../providers/catalog/vertex-ai.ts'
import { type ScriptedUpstream, startScriptedUpstream } from '../../testing/scripted-upstream.ts'
import { accessToken, withAccessToken } from './access-tokens.ts'
import { UpstreamPools } from './pools.ts'
import type { UpstreamRequest } from './upstream-call.ts'
import { Watchdog } from './watchdog.ts'

const CATALOGUE = new Map([['vertex_ai', vertexAi]])
const PARAMS = { project: 'proj', region: 'europe-west4' }
const MINUTE_MS = 60_000
const REQUEST: UpstreamRequest = { method: 'POST', path: '/', headers: ['a', 'b'], body: null }

const { privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
})

let tokens: ScriptedUpstream
let tools: { pools: UpstreamPools; watchdog: Watchdog }
let folder: string
let answers: readonly (readonly [status: number, body: string])[]

const token = (name: string, seconds = 3600) =>
  [200, JSON.stringify({ access_token: name, expires_in: seconds, token_type: 'Bearer' })] as const

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'tollgate-token-'))
  answers = [token('first'), token('second')]
  tokens = await startScriptedUpstream(({ socket }) => {
    const [status, body] = answers[tokens.exchanges.length - 1] ?? [500, '{}']
    socket.write(
      `HTTP/1.1 ${status} X\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
  })
  tools = { pools: new UpstreamPools(), watchdog: new Watchdog() }
})
afterEach(async () => {
  await tools.pools.close()
  await tokens.close()
  rmSync(folder, { recursive: true })
})

/** With the JSON of a service account in a file, as Google's own tools take it. */
function vertex(params: Readonly<Record<string, string>> = PARAMS): ProviderPlan {
  const file = path.join(folder, 'account.json')
  const account = {
    type: 'service_account',
    client_email: 'a@b.iam',
    private_key: privateKey,
    token_uri: `${tokens.url}/token`,
  }
  writeFileSync(file, JSON.stringify(account, null, 2))
  const env = { GOOGLE_APPLICATION_CREDENTIALS: file }
  return compileProvider(
    'vertex_ai',
    { params, allow_private: true },
    { catalogue: CATALOGUE, env },
  )
}

function ask(provider: ProviderPlan, nowMs: number): string | Promise<string> {
  if (provider.tokenGrant === null) throw new TypeError('the provider has no grant')
  return accessToken(provider, provider.tokenGrant, tools, nowMs)
}

describe('access tokens', () => {
  it('are asked for once, however many wait, and kept', async () => {
    const provider = vertex()
    const both = await Promise.all([ask(provider, 0), ask(provider, 1)])
    expect(both).toEqual(['first', 'first'])
    expect(ask(provider, 54 * MINUTE_MS)).toBe('first')
    expect(tokens.exchanges).toHaveLength(1)
    const { head, body } = tokens.exchanges[0]?.received ?? { head: '', body: Buffer.alloc(0) }
    expect(head).toContain('POST /token HTTP/1.1')
    expect(body.toString()).toMatch(/^grant_type=urn%3Aietf.*&assertion=[\w.-]+$/)
  })

  it('are renewed before they end, and nobody waits for that', async () => {
    const provider = vertex()
    await ask(provider, 0)
    expect(ask(provider, 56 * MINUTE_MS)).toBe('first')
    await expect.poll(() => ask(provider, 56 * MINUTE_MS)).toBe('second')
    expect(tokens.exchanges).toHaveLength(2)
  })

  it('are waited for once they have ended', async () => {
    const provider = vertex()
    await ask(provider, 0)
    expect(await ask(provider, 61 * MINUTE_MS)).toBe('second')
  })

  it.each([
    [400, '{"error":"invalid_grant","error_description":"SECRET"}', 'invalid_grant, 400'],
    [200, '{"access_token":"a\\nb"}', '200'],
    [503, '<html>SECRET</html>', '503'],
  ])('fail with %i %s, told without its words', async (status, body, told) => {
    answers = [[status, body], token('later')]
    const provider = vertex()
    await expect(ask(provider, 0)).rejects.toMatchObject({
      code: 'upstream_auth',
      tryNext: true,
      message: expect.stringContaining(told),
    })
    await expect(ask(provider, 1000)).rejects.toMatchObject({
      message: expect.not.stringContaining('SECRET'),
    })
    expect(tokens.exchanges).toHaveLength(1)
    expect(await ask(provider, 6000)).toBe('later')
  })

  it('keep to the egress guard', async () => {
    const provider = { ...vertex(), allowPrivate: false }
    await expect(ask(provider, 0)).rejects.toMatchObject({ code: 'upstream_refused_by_guard' })
    expect(tokens.exchanges).toHaveLength(0)
  })

  it('go into the request, which is left alone where none is needed', async () => {
    const request = await withAccessToken(vertex(), REQUEST, tools)
    expect(request.headers).toEqual(['a', 'b', 'authorization', 'Bearer first'])
    const env = { VERTEX_AI_TOKEN: 'ya29.plain' }
    const plain = compileProvider('vertex_ai', { params: PARAMS }, { catalogue: CATALOGUE, env })
    expect(plain.headers).toEqual({ authorization: 'Bearer ya29.plain' })
    expect(withAccessToken(plain, REQUEST, tools)).toBe(REQUEST)
  })
})

describe('vertex_ai', () => {
  it('has the project and the region in its address', () => {
    const provider = vertex()
    expect(provider.origin).toBe('https://europe-west4-aiplatform.googleapis.com')
    expect(upstreamPath(provider, STREAM_GENERATE, 'gemini-x')).toBe(
      '/v1/projects/proj/locations/europe-west4/publishers/google/models/gemini-x:streamGenerateContent?alt=sse',
    )
    expect(JSON.stringify(provider.headers)).not.toContain('PRIVATE')
  })

  it.each([
    ['global', 'https://aiplatform.googleapis.com'],
    ['eu', 'https://aiplatform.eu.rep.googleapis.com'],
  ])('has a host of its own for %s', (region, origin) => {
    expect(vertex({ ...PARAMS, region }).origin).toBe(origin)
  })

  it('wants its parameters, and a credential that can be read', () => {
    const env = { VERTEX_AI_TOKEN: '{"type":"service_account"}' }
    const sources = { catalogue: CATALOGUE, env }
    expect(() => compileProvider('vertex_ai', { params: { project: 'p' } }, sources)).toThrow(
      'region',
    )
    expect(() => compileProvider('vertex_ai', { params: PARAMS }, sources)).toThrow('client_email')
    const missing = compileProvider(
      'vertex_ai',
      { params: PARAMS },
      { catalogue: CATALOGUE, env: {} },
    )
    expect(missing.credentialMissing).toBe('env:VERTEX_AI_TOKEN')
  })
})

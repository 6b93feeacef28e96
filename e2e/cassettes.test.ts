import { readFileSync } from 'node:fs'
import path from 'node:path'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadCassette, MASK, saveCassette } from './cassettes/cassette.ts'
import { startRecorder } from './cassettes/record.ts'
import { startReplayer } from './cassettes/replay.ts'
import { closeAll, onClose } from './harness/cleanup.ts'
import { tempFolder } from './harness/folders.ts'
import { type Gateway, startGateway } from './harness/gateway.ts'
import { startSandboxProcess } from './harness/sandbox.ts'

const SECRET = 'sk-upstream-credential-of-the-operator'
const MODEL = 'words-12+delay-20'
const ASKED = { model: MODEL, messages: [{ role: 'user' as const, content: 'hi' }] }

afterAll(closeAll)

function configFor(url: string): object {
  return {
    log: { level: 'warn' },
    providers: {
      recorded: {
        protocol: ['openai-chat'],
        base_url: `${url}/v1`,
        credential: 'env:UPSTREAM_KEY',
        allow_private: true,
      },
    },
    policy: { default_provider: 'recorded' },
  }
}

async function gatewayAt(url: string): Promise<Gateway> {
  return startGateway({ config: configFor(url), env: { UPSTREAM_KEY: SECRET } })
}

/** What a client sees: the whole answer, the stream's pieces, a refusal. */
async function session(gateway: Gateway): Promise<unknown> {
  const { key } = await gateway.admin.createKey()
  const client = new OpenAI({ baseURL: `${gateway.proxyUrl}/v1`, apiKey: key, maxRetries: 0 })
  const whole = await client.chat.completions.create(ASKED)
  const pieces: unknown[] = []
  for await (const piece of await client.chat.completions.create({ ...ASKED, stream: true })) {
    pieces.push(piece)
  }
  const refused = await client.chat.completions
    .create({ ...ASKED, model: 'error-400' })
    .catch((error: unknown) => (error instanceof OpenAI.APIError ? error.error : error))
  return { whole, pieces, refused }
}

describe('cassettes', () => {
  const file = path.join(tempFolder(), 'session.json')
  let live: unknown

  beforeAll(async () => {
    const sandbox = await startSandboxProcess()
    const recorder = await startRecorder({ upstream: sandbox.url, secrets: [SECRET] })
    onClose(() => recorder.close())
    live = await session(await gatewayAt(recorder.url))
    recorder.save(file)
    await recorder.close()
  })

  it('keep calls without any secret', () => {
    const { interactions } = loadCassette(file)
    expect(interactions.map(({ response }) => response.status)).toEqual([200, 200, 400])
    expect(interactions.every(({ request }) => request.headers['authorization'] === MASK)).toBe(
      true,
    )
    expect(readFileSync(file, 'utf8')).not.toContain(SECRET)
  })

  it('play the same session without the provider', async () => {
    const replayer = await startReplayer(loadCassette(file), { speed: Infinity })
    onClose(() => replayer.close())
    expect(await session(await gatewayAt(replayer.url))).toEqual(live)
    expect({ misses: replayer.misses, left: replayer.left() }).toEqual({ misses: [], left: 0 })
  })

  it('keep the pauses between the pieces', () => {
    const stream = loadCassette(file).interactions[1]?.response.chunks ?? []
    const waitedMs = stream.slice(1).reduce((sum, { afterMs }) => sum + afterMs, 0)
    expect(waitedMs).toBeGreaterThan(150)
    expect(stream.length).toBeGreaterThan(10)
  })

  it('know no answer to another request', async () => {
    const replayer = await startReplayer(loadCassette(file))
    onClose(() => replayer.close())
    const answer = await fetch(`${replayer.url}/v1/chat/completions`, {
      method: 'POST',
      body: '{}',
    })
    expect(answer.status).toBe(404)
    expect(replayer.misses).toEqual(['POST /v1/chat/completions {}'])
  })

  it('are not saved with a secret that came in two pieces', () => {
    const chunks = ['spl', 'it'].map((text) => ({ afterMs: 0, base64: btoa(text) }))
    const request = { method: 'GET', path: '/', headers: {}, body: '' }
    const response = { status: 200, headers: {}, chunks, broken: false }
    const cassette = { version: 1, interactions: [{ request, response }] } as const
    expect(() => saveCassette(file, cassette, ['split'])).toThrow(/secret/)
  })
})

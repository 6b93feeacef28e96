import { afterEach, beforeEach, expect, it } from 'vitest'
import { call, type CallAnswer } from './harness/call.ts'
import { closeAll } from './harness/cleanup.ts'
import { type Gateway, startGateway } from './harness/gateway.ts'
import { type SandboxProcess, startSandboxProcess } from './harness/sandbox.ts'

let sandbox: SandboxProcess
let gateway: Gateway

/** US dollars per million tokens. */
function price(usd: number): object {
  return { price: { input: usd, output: usd }, max_output: 100 }
}

beforeEach(async () => {
  sandbox = await startSandboxProcess()
  const provider = {
    ...sandbox.provider,
    protocol: ['openai-chat', 'openai-responses', 'anthropic-messages'],
  }
  gateway = await startGateway({
    config: {
      log: { level: 'warn' },
      providers: { local: provider },
      models: {
        m: {
          targets: [
            { provider: 'local', model: 'words-3', weight: 1, ...price(1) },
            { provider: 'local', model: 'words-5', weight: 9, ...price(900) },
          ],
        },
      },
      policies: { open: { routing: { directives: true } } },
    },
  })
})
afterEach(closeAll)

type Asked = {
  readonly text: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
}

async function send(key: string, { text, path, headers = {} }: Asked): Promise<CallAnswer> {
  const messages = [{ role: 'user', content: text }]
  const body =
    path === '/v1/responses'
      ? { model: 'm', input: text }
      : { model: 'm', max_tokens: 50, messages }
  return await call(`${gateway.proxyUrl}${path ?? '/v1/chat/completions'}`, { key, body, headers })
}

async function lastBody(): Promise<string> {
  return (await sandbox.requests()).at(-1)?.body ?? ''
}

async function targetOf({ requestId }: CallAnswer): Promise<string | null> {
  return (await gateway.admin.record(requestId)).target
}

it.each(['/v1/chat/completions', '/v1/responses', '/v1/messages'])(
  '%s: a directive chooses the target, and the provider does not see it',
  async (path) => {
    const { key } = await gateway.admin.createKey({ policies: ['open'] })
    const usual = await send(key, { path, text: 'hello' })
    expect(await targetOf(usual)).toBe('local/words-3')
    const heavy = await send(key, { path, text: '@@tollgate min_weight=5\nhello' })
    expect([heavy.status, await targetOf(heavy)]).toEqual([200, 'local/words-5'])
    expect(await lastBody()).toContain('"hello"')
    expect(await lastBody()).not.toContain('@@')
    const cheap = await send(key, {
      path,
      text: 'hello\n@@tokenhub\nbudget=0.001\nmode=high_confidence\n@@end',
    })
    expect([cheap.status, await targetOf(cheap)]).toEqual([200, 'local/words-3'])
    const odd = await send(key, { path, text: '@@tollgate what=ever\nhello' })
    expect([odd.status, odd.headers['x-tollgate-directives-ignored']]).toEqual([200, 'what'])
    expect(await lastBody()).not.toContain('@@')
  },
)

it('means nothing to a key that has not opted in', async () => {
  const { key } = await gateway.admin.createKey()
  const text = '@@tollgate min_weight=5 budget=nonsense\nhello'
  const answer = await send(key, { text, headers: { 'x-tollgate-mode': 'nonsense' } })
  expect([answer.status, await targetOf(answer)]).toEqual([200, 'local/words-3'])
  expect(await lastBody()).toContain(JSON.stringify(text))
})

it('headers do the same, and the envelope of TokenHub too', async () => {
  const { key } = await gateway.admin.createKey({ policies: ['open'] })
  const headers = { 'x-tollgate-min-weight': '5', 'x-tollgate-output-schema': '{"type":"object"}' }
  const answer = await send(key, { text: 'hello', headers })
  expect([answer.status, await targetOf(answer)]).toEqual([200, 'local/words-5'])
  expect(JSON.parse(await lastBody())).toMatchObject({ response_format: { type: 'json_schema' } })
  const wrong = await send(key, { text: 'hello', headers: { 'x-tollgate-mode': 'nonsense' } })
  expect(wrong.status).toBe(400)
  const request = { model: 'm', messages: [{ role: 'user', content: 'hello' }] }
  const body = { request, policy: { min_weight: 5, mode: 'cheap' } }
  const wrapped = await call(`${gateway.proxyUrl}/v1/chat`, { key, body })
  expect([wrapped.status, await targetOf(wrapped)]).toEqual([200, 'local/words-5'])
})

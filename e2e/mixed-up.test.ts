import { Agent } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CallAnswer, call, seeded } from './harness/call.ts'
import { closeAll } from './harness/cleanup.ts'
import { type Gateway, startGateway } from './harness/gateway.ts'
import { nothingOpen } from './harness/nothing-open.ts'
import { startSandboxProcess } from './harness/sandbox.ts'

const CALLS = Number(process.env['E2E_NONCES'] ?? 10_000)
const SEED = Number(process.env['E2E_SEED'] ?? 20_261_121)
const PARALLEL = 24
/** Connections are fewer than callers, so that each is used by many. */
const CONNECTIONS = 16
const ABORTED = 0.3
/** More than any of the answers. Bytes. */
const MAX_BYTES = 3000

const PROTOCOLS = ['openai-chat', 'openai-responses', 'anthropic-messages', 'gemini'] as const
type Id = (typeof PROTOCOLS)[number]
type Ask = { readonly path: string; readonly body: object }

const ASK: Readonly<Record<Id, (model: string, text: string, stream: boolean) => Ask>> = {
  'openai-chat': (model, content, stream) => ({
    path: '/v1/chat/completions',
    body: { model, stream, messages: [{ role: 'user', content }] },
  }),
  'openai-responses': (model, input, stream) => ({
    path: '/v1/responses',
    body: { model, stream, input },
  }),
  'anthropic-messages': (model, content, stream) => ({
    path: '/v1/messages',
    body: { model, stream, max_tokens: 100, messages: [{ role: 'user', content }] },
  }),
  gemini: (model, text, stream) => ({
    path: `/v1beta/models/${model}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`,
    body: { contents: [{ role: 'user', parts: [{ text }] }] },
  }),
}

type Done = { readonly nonce: string; readonly cut: boolean; readonly answer: CallAnswer }

let gateway: Gateway
const done: Done[] = []

afterAll(closeAll)

beforeAll(async () => {
  const sandbox = await startSandboxProcess()
  const providers = Object.fromEntries(
    PROTOCOLS.map((id) => [id, { ...sandbox.provider, protocol: [id], base_url: sandbox.url }]),
  )
  gateway = await startGateway({ config: { log: { level: 'warn' }, providers } })
  const { key } = await gateway.admin.createKey()
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
  const draw = seeded(SEED)
  const pick = (): Id => PROTOCOLS[Math.floor(draw() * PROTOCOLS.length)] ?? 'gemini'
  let begun = 0
  const caller = async (): Promise<void> => {
    while (begun < CALLS) {
      const nonce = nonceOf(begun++)
      const client = pick()
      const stream = draw() < 0.5
      const cut = draw() < ABORTED
      const { path, body } = ASK[client](`${pick()}/echo`, `say ${nonce} again`, stream)
      const leave = cut ? { abortAfterBytes: 1 + Math.floor(draw() * MAX_BYTES) } : {}
      const answer = await call(gateway.proxyUrl + path, { key, body, agent, ...leave })
      done.push({ nonce, cut, answer })
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, caller))
  agent.destroy()
}, 300_000)

function nonceOf(i: number): string {
  return `N${String(i).padStart(6, '0')}N`
}

/** What was said, put together again: a stream may cut a word anywhere. */
function saidIn({ text }: CallAnswer): string {
  const pieces = text.matchAll(/"(?:content|text|delta)": ?"((?:[^"\\]|\\.)*)"/g)
  return [...pieces].map(([, piece]) => piece).join('')
}

function noncesIn(answer: CallAnswer): readonly string[] {
  return [...new Set(saidIn(answer).match(/N\d{6}N/g))]
}

describe(`${CALLS} calls over ${CONNECTIONS} connections, three of ten cut at any byte (seed ${SEED})`, () => {
  it('are answered with their own words and no others', () => {
    const whole = done.filter(({ answer }) => answer.whole)
    expect(whole.length).toBeGreaterThan(CALLS * (1 - ABORTED) * 0.95)
    const wrong = whole.filter(
      ({ nonce, answer }) => answer.status !== 200 || noncesIn(answer).join() !== nonce,
    )
    expect(wrong.map(({ nonce, answer }) => [nonce, answer.status, answer.text])).toEqual([])
  })

  it('hear nothing of others before they leave', () => {
    const left = done.filter(({ answer }) => !answer.whole)
    expect(left.length).toBeGreaterThan(CALLS * ABORTED * 0.3)
    const foreign = left.filter(({ nonce, answer }) =>
      noncesIn(answer).some((one) => one !== nonce),
    )
    expect(foreign).toEqual([])
  })

  it('have a request id each', () => {
    const ids = done.map(({ answer }) => answer.requestId).filter((id) => id !== '')
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('leave nothing open', async () => {
    expect(await nothingOpen(gateway.admin)).toEqual({ reservations: 0, inFlight: 0 })
  })
})

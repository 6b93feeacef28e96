import { request } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { UsageRecordView } from '../packages/gateway/src/control-plane/admin-api.ts'
import type { BillLine } from '../packages/gateway/src/providers/sandbox/bill.ts'
import { seeded } from './harness/call.ts'
import { closeAll } from './harness/cleanup.ts'
import { type Gateway, startGateway } from './harness/gateway.ts'
import { nothingOpen } from './harness/nothing-open.ts'
import { type SandboxProcess, startSandboxProcess } from './harness/sandbox.ts'
import { waitFor } from './harness/wait-for.ts'

const CALLS = 200
const SEED = Number(process.env['E2E_SEED'] ?? 20_261_121)
/** Tokens that were written when the client left, and had not reached the gateway. */
const IN_FLIGHT = 16
/** In wall-clock milliseconds of two processes, which round each. */
/** Of the median; a busy machine takes longer now and then, and a call that nobody closes ends much later. */
const CLOSED_WITHIN_MS = 50
const CLOSED_AT_ALL_MS = 1000

const PROTOCOLS = ['openai-chat', 'openai-responses', 'anthropic-messages', 'gemini'] as const
type Id = (typeof PROTOCOLS)[number]

/** A stream that writes a token every 4 ms, and one that is silent for 300 ms first. */
const MODELS = ['words-200+delay-4', 'slow-first-byte-300+words-5'] as const

type Call = { readonly path: string; readonly body: object }

const CALL: Readonly<Record<Id, (model: string, stream: boolean) => Call>> = {
  'openai-chat': (model, stream) => ({
    path: '/v1/chat/completions',
    body: { model, stream, messages: [{ role: 'user', content: 'hi' }] },
  }),
  'openai-responses': (model, stream) => ({
    path: '/v1/responses',
    body: { model, stream, input: 'hi' },
  }),
  'anthropic-messages': (model, stream) => ({
    path: '/v1/messages',
    body: { model, stream, max_tokens: 1000, messages: [{ role: 'user', content: 'hi' }] },
  }),
  gemini: (model, stream) => ({
    path: `/v1beta/models/${model}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`,
    body: { contents: [{ role: 'user', parts: [{ text: 'hi' }] }] },
  }),
}

type Aborted = {
  readonly client: Id
  readonly upstream: Id
  readonly stream: boolean
  readonly leftAtMs: number
  readonly line: BillLine
}

let gateway: Gateway
let sandbox: SandboxProcess
const aborted: Aborted[] = []
let records: readonly UsageRecordView[] = []

afterAll(closeAll)

beforeAll(async () => {
  sandbox = await startSandboxProcess()
  const providers = Object.fromEntries(
    PROTOCOLS.map((id) => [id, { ...sandbox.provider, protocol: [id], base_url: sandbox.url }]),
  )
  gateway = await startGateway({ config: { log: { level: 'warn' }, providers } })
  const { key } = await gateway.admin.createKey()
  const draw = seeded(SEED)
  const pick = <T>(list: readonly [T, ...T[]]): T =>
    list[Math.floor(draw() * list.length)] ?? list[0]
  for (let i = 0; i < CALLS; i++) {
    const client = pick(PROTOCOLS)
    const upstream = pick(PROTOCOLS)
    const stream = draw() < 0.8
    const call = CALL[client](`${upstream}/${pick(MODELS)}`, stream)
    const seen = (await sandbox.billNow()).items.length
    const leftAtMs = await leave(call, key, 20 + draw() * 200)
    const line = await waitFor('the sandbox to notice', async () => {
      const found = (await sandbox.billNow()).items[seen]
      return found !== undefined && found.outcome !== 'open' && found
    })
    aborted.push({ client, upstream, stream, leftAtMs, line })
  }
  await nothingOpen(gateway.admin)
  records = await gateway.admin.records()
}, 120_000)

/** Sends a call and destroys its connection after a while. When that was, by the wall clock. */
async function leave({ path, body }: Call, key: string, afterMs: number): Promise<number> {
  const req = request(gateway.proxyUrl + path, {
    method: 'POST',
    agent: false,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
  })
  req.on('error', () => {})
  req.on('response', (res) => {
    res.on('error', () => {})
    res.resume()
  })
  req.end(JSON.stringify(body))
  await pause(afterMs)
  const leftAtMs = Date.now()
  req.destroy()
  return leftAtMs
}

describe(`${CALLS} clients that leave (seed ${SEED})`, () => {
  it('take the call to the provider with them', () => {
    const cut = aborted.filter(({ line }) => line.outcome === 'cut_by_client')
    expect(cut.length).toBeGreaterThan(CALLS * 0.9)
    const lateMs = cut
      .map(({ leftAtMs, line }) => (line.endedAtMs ?? Infinity) - leftAtMs)
      .toSorted((a, b) => a - b)
    const at = (share: number): number => lateMs[Math.ceil(lateMs.length * share) - 1] ?? Infinity
    console.log(`upstream closed after ${at(0.5)} ms, p99 ${at(0.99)}, at most ${at(1)}`)
    expect(at(0.5)).toBeLessThanOrEqual(CLOSED_WITHIN_MS)
    expect(at(0.99)).toBeLessThanOrEqual(CLOSED_AT_ALL_MS)
  })

  it('are settled once each, and what they got is counted', () => {
    expect(records.length).toBe(CALLS)
    const byRequest = new Map(records.map((record) => [record.request_id, record]))
    const wrong = aborted.filter(({ line, stream }) => {
      const record = byRequest.get(line.gatewayRequestId ?? '')
      if (record === undefined) return true
      const counted = record.usage.output ?? 0
      const missing = line.outputTokens - counted
      return stream && (missing < 0 || missing > IN_FLIGHT)
    })
    expect(wrong).toEqual([])
  })
})

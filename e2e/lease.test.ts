import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KeyWithSecret } from '../packages/gateway/src/control-plane/admin-api.ts'
import { hasRedis, startRedis } from '../packages/gateway/src/testing/redis-process.ts'
import { call, type CallAnswer } from './harness/call.ts'
import { closeAll, onClose } from './harness/cleanup.ts'
import { type Gateway, startGateway } from './harness/gateway.ts'
import { nothingOpen } from './harness/nothing-open.ts'
import { type SandboxProcess, startSandboxProcess } from './harness/sandbox.ts'
import { waitFor } from './harness/wait-for.ts'

const BUDGET = 2000
const PARALLEL = 20
const MODEL = 'words-1000+delay-4'
/** By how much an input's bound is above the input: that comes back only when the stream has ended. Tokens. */
const TEMPLATE_ROOM = 16
/** Per stream: what the provider wrote until it heard that nobody listens any more. */
const IN_FLIGHT = 120

let gateway: Gateway
let sandbox: SandboxProcess

function startHere(limits: object): Promise<Gateway> {
  const chatOnly = {
    protocol: 'openai-chat',
    base_url: `${sandbox.url}/v1`,
    credential: 'none',
    allow_private: true,
  }
  return startGateway({
    config: {
      log: { level: 'warn' },
      limits,
      providers: { local: { extends: 'sandbox', base_url: `${sandbox.url}/v1` }, chat: chatOnly },
      policy: { default_provider: 'local' },
    },
  })
}

beforeAll(async () => {
  sandbox = await startSandboxProcess()
  gateway = await startHere({})
})
afterAll(closeAll)

let unique = 0
function keyWith(amount: number): Promise<KeyWithSecret> {
  const id = `lease-${(unique += 1)}`
  const limits = [
    { id, scope: 'key', unit: 'tokens', algorithm: 'lifetime', amount, reserve: 'lease' },
  ]
  return gateway.admin.createKey({ policy: { limits } })
}

type Shape = { readonly path: string; readonly body: object }

function shapeOf(protocol: string, model: string): Shape {
  const messages = [{ role: 'user', content: 'hello' }]
  switch (protocol) {
    case 'messages':
      return { path: '/v1/messages', body: { model, messages, max_tokens: 1000, stream: true } }
    case 'responses':
      return { path: '/v1/responses', body: { model, input: 'hello', stream: true } }
    case 'gemini':
      return {
        path: `/v1beta/models/${model}:streamGenerateContent?alt=sse`,
        body: { contents: [{ role: 'user', parts: [{ text: 'hello' }] }] },
      }
    default: {
      const options = { stream: true, stream_options: { include_usage: true } }
      return { path: '/v1/chat/completions', body: { model, messages, ...options } }
    }
  }
}

type Json = Record<string, unknown>

function eventsOf(answer: CallAnswer): readonly Json[] {
  return [...answer.text.matchAll(/^data: (\{.*\})\r?$/gm)].map(
    ([, json = '']): Json => JSON.parse(json),
  )
}

async function stream(
  key: string,
  protocol: string,
  model = MODEL,
  at = gateway,
): Promise<CallAnswer> {
  const { path, body } = shapeOf(protocol, model)
  return await call(`${at.proxyUrl}${path}`, { key, body })
}

/** How each protocol says that an answer ended at its length, with its usage. */
const ENDS: Readonly<Record<string, (answer: CallAnswer) => void>> = {
  chat(answer) {
    const [finish, usage] = eventsOf(answer).slice(-2)
    expect(finish).toMatchObject({
      object: 'chat.completion.chunk',
      choices: [{ index: 0, finish_reason: 'length' }],
    })
    expect(usage).toMatchObject({ choices: [], usage: { completion_tokens: expect.any(Number) } })
    expect(answer.text.endsWith('data: [DONE]\n\n')).toBe(true)
    expect(new Set(eventsOf(answer).map(({ id }) => id)).size).toBe(1)
  },
  messages(answer) {
    const [stop, delta, end] = eventsOf(answer).slice(-3)
    expect(stop).toEqual({ type: 'content_block_stop', index: 0 })
    expect(delta).toMatchObject({
      type: 'message_delta',
      delta: { stop_reason: 'max_tokens' },
      usage: { output_tokens: expect.any(Number) },
    })
    expect(end).toEqual({ type: 'message_stop' })
  },
  responses(answer) {
    const events = eventsOf(answer)
    const numbers = events.map(({ sequence_number: number }) => number)
    expect(numbers).toEqual(numbers.map((_, index) => index))
    const text = events
      .filter(({ type }) => type === 'response.output_text.delta')
      .map(({ delta }) => delta)
      .join('')
    expect(events.at(-1)).toMatchObject({
      type: 'response.incomplete',
      response: {
        status: 'incomplete',
        incomplete_details: { reason: 'max_output_tokens' },
        output: [{ type: 'message', status: 'incomplete', content: [{ text }] }],
        usage: { output_tokens: expect.any(Number) },
      },
    })
  },
  gemini(answer) {
    expect(eventsOf(answer).at(-1)).toMatchObject({
      candidates: [{ finishReason: 'MAX_TOKENS' }],
      usageMetadata: { candidatesTokenCount: expect.any(Number) },
    })
  },
}

describe('a stream for which no more output can be had', () => {
  const routes = Object.keys(ENDS).flatMap((protocol) => [
    { protocol, model: MODEL },
    { protocol, model: `chat/${MODEL}` },
  ])

  it.each(routes)('ends at its length: $protocol, $model', async ({ protocol, model }) => {
    const { key, id } = await keyWith(300)
    const answer = await stream(key, protocol, model)
    expect([answer.status, answer.whole]).toEqual([200, true])
    ENDS[protocol]?.(answer)
    const record = await gateway.admin.record(answer.requestId)
    expect(record).toMatchObject({
      key_id: id,
      status: 200,
      complete: false,
      // Gemini tells its usage with every event.
      estimated: protocol !== 'gemini' || model !== MODEL,
      error_source: 'gateway',
      error_class: 'budget_exceeded',
    })
    const { input, output } = record.usage
    const total = (input ?? 0) + (output ?? 0)
    expect(total).toBeGreaterThan(265)
    expect(total).toBeLessThanOrEqual(300)
    const limit = await gateway.admin.get<{ items: { used: number; reserved: number }[] }>(
      `/limits?value=${id}`,
    )
    expect(limit.items).toMatchObject([{ used: total, reserved: 0 }])
    const line = (await sandbox.bill()).items.find(
      ({ gatewayRequestId }) => gatewayRequestId === answer.requestId,
    )
    expect((line?.outputTokens ?? 0) - (output ?? 0)).toBeLessThanOrEqual(IN_FLIGHT)
    expect(line?.outputTokens).toBeLessThan(900)
  })

  it('is one of many that used the budget up together', async () => {
    const { key, id } = await keyWith(BUDGET)
    const answers = await Promise.all(Array.from({ length: PARALLEL }, () => stream(key, 'chat')))
    await nothingOpen(gateway.admin)
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    for (const answer of answers) ENDS['chat']?.(answer)
    const records = (await gateway.admin.records()).filter((one) => one.key_id === id)
    const produced = records.reduce(
      (sum, { usage }) => sum + (usage.input ?? 0) + (usage.output ?? 0),
      0,
    )
    const { items } = await gateway.admin.get<{ items: { used: number }[] }>(`/limits?value=${id}`)
    console.log(`leases: ${items[0]?.used} of ${BUDGET} used by ${PARALLEL} streams`)
    expect(items[0]?.used).toBe(produced)
    expect(produced).toBeLessThanOrEqual(BUDGET)
    // All of it was held at the first cut.
    expect(produced).toBeGreaterThanOrEqual(BUDGET - PARALLEL * TEMPLATE_ROOM)
  })

  it('that ends by itself is told as the provider told it', async () => {
    const { key } = await keyWith(300)
    const answer = await stream(key, 'chat', 'words-100+delay-1')
    expect(answer.text).toContain('"finish_reason":"stop"')
    const record = await gateway.admin.record(answer.requestId)
    expect(record).toMatchObject({ complete: true, estimated: false, error_class: null })
  })
})

describe.skipIf(!hasRedis())('with limits in Redis', () => {
  it('streams of two gateways use one budget up together, and no more', async () => {
    const redis = await startRedis()
    onClose(() => redis.stop())
    const limits = { backend: redis.url, timeout: '5s' }
    const both = await Promise.all([startHere(limits), startHere(limits)])
    const limit = { id: 'shared', scope: 'user', unit: 'tokens', algorithm: 'lifetime' }
    const policy = { limits: [{ ...limit, amount: BUDGET, reserve: 'lease' }] }
    const keys = await Promise.all(
      both.map(({ admin }) => admin.createKey({ subject: { user: 'ada' }, policy })),
    )
    const answers = await Promise.all(
      Array.from({ length: PARALLEL }, (_, i) =>
        stream(keys[i % 2]?.key ?? '', 'chat', MODEL, both[i % 2]),
      ),
    )
    for (const { admin } of both) await nothingOpen(admin)
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    // A stream that came late may have had the rest for itself.
    const cut = answers.filter(({ text }) => !text.includes('"finish_reason":"stop"'))
    expect(cut.length).toBeGreaterThan(PARALLEL / 2)
    for (const answer of cut) ENDS['chat']?.(answer)
    const records = (await Promise.all(both.map(({ admin }) => admin.records()))).flat()
    const produced = records.reduce(
      (sum, { usage }) => sum + (usage.input ?? 0) + (usage.output ?? 0),
      0,
    )
    const used = await waitFor('the end of all reservations', async () => {
      const view = await both[0].admin.limit('shared')
      return view.reserved === 0 && view.used
    })
    console.log(`leases in Redis: ${used} of ${BUDGET} used by ${PARALLEL} streams`)
    expect(used).toBe(produced)
    // What the provider wrote until it was stopped is paid.
    expect(produced).toBeLessThanOrEqual(BUDGET + IN_FLIGHT)
    expect(produced).toBeGreaterThanOrEqual(BUDGET - PARALLEL * TEMPLATE_ROOM)
  })
})

import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { totalInputTokens } from '../../contracts/usage.ts'
import { type Sandbox, startSandbox } from '../../providers/sandbox/sandbox.ts'
import {
  ask,
  type Answered,
  type Harness,
  leftovers,
  NOTHING_LEFT,
  startHarness,
} from '../../testing/data-plane-harness.ts'

let sandbox: Sandbox
let harness: Harness
beforeAll(async () => {
  sandbox = await startSandbox()
  harness = await startHarness({
    upstreamUrl: sandbox.url,
    provider: { timeouts: { first_byte: '2s', idle: '300ms', total: '10s' } },
  })
})
afterAll(async () => {
  await harness.close()
  await sandbox.close()
})
beforeEach(() => {
  sandbox.reset()
  harness.records.length = 0
})

const TOOL = { type: 'object', properties: { city: { type: 'string' } } }
const CALLS = [
  ['chat', false],
  ['chat', true],
  ['messages', false],
  ['messages', true],
] as const

async function call(
  model: string,
  protocol: 'chat' | 'messages',
  stream: boolean,
): Promise<Answered> {
  const isChat = protocol === 'chat'
  const body = JSON.stringify({
    model,
    stream,
    max_tokens: 400,
    messages: [{ role: 'user', content: 'hi there' }],
    tools: isChat
      ? [{ type: 'function', function: { name: 'weather', parameters: TOOL } }]
      : [{ name: 'weather', input_schema: TOOL }],
  })
  const answer = await ask(harness, {
    path: isChat ? '/v1/chat/completions' : '/v1/messages',
    body,
  })
  await vi.waitFor(() => {
    expect(harness.records.length).toBe(1)
    expect(leftovers(harness)).toEqual(NOTHING_LEFT)
  })
  return answer
}

describe.each(CALLS)('%s, stream %s', (protocol, stream) => {
  it.each([
    'sandbox-mini',
    'sandbox-large',
    'words-50',
    'tool',
    'tools-3',
    'reasoning',
    'cached',
    'usage-zero',
    'crlf',
    'comment-ping',
    'chunked-weird',
    'huge-line',
    'bad-utf8',
  ])('%s: the record says what the provider billed', async (model) => {
    const answer = await call(model, protocol, stream)
    expect(answer.status).toBe(200)
    const [record] = harness.records
    const [line] = sandbox.bill()
    expect(record).toMatchObject({ complete: true, estimated: false, errorClass: null, stream })
    const isBilled = model !== 'usage-zero'
    expect(record?.usage.outputTokens).toBe(isBilled ? line?.outputTokens : 0)
    const input = record === undefined ? -1 : totalInputTokens(record.usage)
    const billed =
      (line?.inputTokens ?? 0) +
      (line?.cacheReadTokens ?? 0) +
      (line?.cacheWrite5mTokens ?? 0) +
      (line?.cacheWrite1hTokens ?? 0)
    expect(input).toBe(isBilled ? billed : 0)
  })

  it.each([
    'error-400',
    'error-404',
    'error-429',
    'error-500',
    'error-503',
    'error-529',
    'error-quota',
  ])('%s passes, and costs nothing', async (model) => {
    const answer = await call(model, protocol, stream)
    expect(answer.status).toBe(Number(model.slice(6)) || 429)
    expect(JSON.parse(answer.body.toString())).toHaveProperty('error')
    expect(harness.records[0]).toMatchObject({
      errorSource: 'provider',
      complete: false,
      costNanoUsd: 0,
    })
  })

  it.each(['error-401', 'error-in-200', 'redirect', 'not-json', 'html', 'gzip'])(
    '%s is a 5xx of the gateway',
    async (model) => {
      const answer = await call(model, protocol, stream)
      expect(answer.status).toBeGreaterThanOrEqual(500)
      expect(harness.records[0]).toMatchObject({ errorSource: 'gateway', complete: false })
    },
  )
})

describe.each(['chat', 'messages'] as const)('%s, a stream that', (protocol) => {
  it.each(['cut-after-4', 'drop-after-4', 'reset-after-4', 'stall-after-4', 'error-after-4'])(
    '%s is told to the client, and what it got is counted',
    async (model) => {
      const answer = await call(`words-20+${model}`, protocol, true)
      const text = answer.body.toString()
      expect(text).not.toMatch(/data: \[DONE\]|event: message_stop/)
      expect(text).toMatch(/data: \{[^\n]*"error"[^\n]*\}\n\n$/)
      expect(harness.records[0]).toMatchObject({ complete: false, status: 200 })
      expect(harness.records[0]?.usage.outputTokens).toBeGreaterThanOrEqual(4)
    },
  )

  it('says nothing of usage is counted to within what the provider billed', async () => {
    await call('words-20+no-usage', protocol, true)
    expect(harness.records[0]).toMatchObject({ complete: true, estimated: true })
    expect(harness.records[0]?.usage.outputTokens).toBe(sandbox.bill()[0]?.outputTokens)
  })
})

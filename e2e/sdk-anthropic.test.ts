import Anthropic from '@anthropic-ai/sdk'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { closeAll } from './harness/cleanup.ts'
import { type Gateway, startGateway } from './harness/gateway.ts'
import { nothingOpen } from './harness/nothing-open.ts'
import { type SandboxProcess, startSandboxProcess } from './harness/sandbox.ts'

let gateway: Gateway
let sandbox: SandboxProcess
let secret = ''

beforeAll(async () => {
  sandbox = await startSandboxProcess()
  const local = { ...sandbox.provider, timeouts: { first_byte: '1s', idle: '1s', total: '1m' } }
  // No default provider: a name that nobody knows is the gateway's own 404.
  gateway = await startGateway({
    config: {
      providers: { local },
      models: { 'claude-test': { targets: [{ provider: 'local', model: 'words-9' }] } },
    },
  })
  secret = (await gateway.admin.createKey()).key
})
beforeEach(() => sandbox.forget())
afterAll(closeAll)

function client(options: { apiKey?: string; timeout?: number } = {}): Anthropic {
  return new Anthropic({ apiKey: secret, baseURL: gateway.proxyUrl, maxRetries: 0, ...options })
}

const HELLO: Anthropic.MessageParam[] = [{ role: 'user', content: 'hello' }]
const TOOLS: Anthropic.Tool[] = [
  {
    name: 'weather',
    input_schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
]

async function failure(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work()
  } catch (thrown) {
    return thrown
  }
  throw new Error('it did not fail')
}

async function apiError(
  work: () => Promise<unknown>,
): Promise<InstanceType<typeof Anthropic.APIError>> {
  const thrown = await failure(work)
  if (thrown instanceof Anthropic.APIError) return thrown
  throw thrown
}

const body = (model: string): Anthropic.MessageCreateParamsNonStreaming => ({
  model: model.startsWith('claude') ? model : `local/${model}`,
  max_tokens: 500,
  messages: HELLO,
})
const ask = (model: string): Promise<Anthropic.Message> => client().messages.create(body(model))

function textOf({ content }: Anthropic.Message): string {
  return content.map((block) => (block.type === 'text' ? block.text : '')).join('')
}

describe('answers', () => {
  it('text, with a system prompt, and the usage of the bill', async () => {
    const answer = await client().messages.create({
      ...body('echo'),
      system: 'You are terse.',
      messages: [{ role: 'user', content: 'say this back' }],
    })
    expect(textOf(answer)).toContain('say this back')
    const [line] = (await sandbox.bill()).items
    expect(answer.usage.input_tokens).toBe(line?.inputTokens)
    expect(answer.usage.output_tokens).toBe(line?.outputTokens)
  })

  it('both request id headers name the record', async () => {
    const { response } = await client().messages.create(body('claude-test')).withResponse()
    const id = response.headers.get('request-id') ?? ''
    expect(response.headers.get('x-request-id')).toBe(id)
    const record = await gateway.admin.record(id)
    expect(record).toMatchObject({ status: 200, model: 'claude-test', provider: 'local' })
    expect(record.usage).toMatchObject({ output: 9 })
  })

  it('a tool call, its result, and the text after it', async () => {
    const first = await client().messages.create({ ...body('tool'), tools: TOOLS })
    expect(first.stop_reason).toBe('tool_use')
    const use = first.content.find((block) => block.type === 'tool_use')
    if (use === undefined) throw new Error('no tool call')
    expect(use).toMatchObject({ name: 'weather', input: { city: expect.any(String) } })
    const second = await client().messages.create({
      ...body('tool'),
      tools: TOOLS,
      messages: [
        ...HELLO,
        { role: 'assistant', content: first.content },
        {
          role: 'user',
          content: [{ type: 'tool_result', tool_use_id: use.id, content: 'rain' }],
        },
      ],
    })
    expect(second.stop_reason).toBe('end_turn')
    expect(textOf(second)).not.toBe('')
  })

  it('parallel tool calls through the stream helper', async () => {
    const stream = client().messages.stream({ ...body('tools-3'), tools: TOOLS })
    const final = await stream.finalMessage()
    const uses = final.content.filter((block) => block.type === 'tool_use')
    expect(uses).toHaveLength(3)
    for (const { input } of uses) expect(input).toHaveProperty('city')
  })

  it.each([false, true])('thinking with its signature (stream: %s)', async (streamed) => {
    const params = {
      ...body('reasoning-20+words-5'),
      max_tokens: 4000,
      thinking: { type: 'enabled' as const, budget_tokens: 1024 },
    }
    const answer = streamed
      ? await client().messages.stream(params).finalMessage()
      : await client().messages.create(params)
    const thought = answer.content.find((block) => block.type === 'thinking')
    expect(thought?.signature).toMatch(/.+/)
    expect(thought?.thinking).toMatch(/.+/)
    expect(textOf(answer)).not.toBe('')
    // The signature goes back to the provider as it came.
    await client().messages.create({
      ...params,
      messages: [...HELLO, { role: 'assistant', content: answer.content }, ...HELLO],
    })
    const asked = (await sandbox.requests()).at(-1)?.body ?? ''
    expect(asked).toContain(JSON.stringify(thought?.signature))
  })

  it('count_tokens counts what the call is billed for', async () => {
    const { model, messages } = body('claude-test')
    const counted = await client().messages.countTokens({ model, messages, system: 'Be brief.' })
    await client().messages.create({ ...body('claude-test'), system: 'Be brief.' })
    expect(counted.input_tokens).toBe((await sandbox.bill()).items.at(-1)?.inputTokens)
  })

  it('models', async () => {
    const listed: string[] = []
    for await (const model of client().models.list()) listed.push(model.id)
    expect(listed).toContain('claude-test')
    const one = await client().models.retrieve('claude-test')
    expect(one).toMatchObject({ id: 'claude-test', type: 'model' })
    const error = await apiError(() => client().models.retrieve('claude-none'))
    expect(error).toBeInstanceOf(Anthropic.NotFoundError)
  })

  it('cached input is counted apart', async () => {
    const { data, response } = await client().messages.create(body('cached')).withResponse()
    const record = await gateway.admin.record(response.headers.get('request-id') ?? '')
    const [line] = (await sandbox.bill()).items
    expect(data.usage.cache_read_input_tokens).toBe(line?.cacheReadTokens)
    expect(record.usage).toMatchObject({
      input: line?.inputTokens,
      cache_read: line?.cacheReadTokens,
      cache_write_5m: line?.cacheWrite5mTokens,
      cache_write_1h: line?.cacheWrite1hTokens,
    })
  })
})

describe('streams', () => {
  it('the helper puts the answer together', async () => {
    const stream = client().messages.stream(body('words-40'))
    let text = ''
    stream.on('text', (delta) => (text += delta))
    const final = await stream.finalMessage()
    expect(text).toBe(textOf(final))
    expect(final.usage.output_tokens).toBe(40)
    expect((await sandbox.bill()).items[0]).toMatchObject({ outputTokens: 40, stream: true })
  })

  it('raw events come in order', async () => {
    const types: string[] = []
    for await (const { type } of await client().messages.create({
      ...body('words-3'),
      stream: true,
    })) {
      types.push(type)
    }
    expect(types[0]).toBe('message_start')
    expect(types.slice(-2)).toEqual(['message_delta', 'message_stop'])
  })

  it.each(['cut-after-5', 'drop-after-5', 'reset-after-5', 'error-after-5', 'stall-after-5'])(
    '%s is an exception, not a clean end',
    async (model) => {
      let events = 0
      const thrown = await failure(async () => {
        const stream = await client().messages.create({ ...body(model), stream: true })
        for await (const _ of stream) events += 1
      })
      expect(thrown).toBeInstanceOf(Error)
      expect(events).toBeGreaterThan(3)
    },
  )

  it('a client that leaves ends the upstream call, and pays for what was written', async () => {
    const params = { ...body('words-2000+delay-5'), max_tokens: 2000, stream: true as const }
    const { data: stream, response } = await client().messages.create(params).withResponse()
    let seen = 0
    for await (const _ of stream) {
      seen += 1
      if (seen === 20) stream.controller.abort()
    }
    const [line] = (await sandbox.bill()).items
    expect(line?.outcome).toBe('cut_by_client')
    expect(line?.outputTokens).toBeLessThan(200)
    const record = await gateway.admin.record(response.headers.get('request-id') ?? '')
    expect(record).toMatchObject({ error_class: 'cancelled', complete: false, estimated: true })
    expect(record.usage.input).toBe(line?.inputTokens)
    expect(Math.abs((record.usage.output ?? 0) - (line?.outputTokens ?? 0))).toBeLessThanOrEqual(3)
  })
})

describe('errors are typed exceptions', () => {
  it('401', async () => {
    const error = await apiError(() =>
      client({ apiKey: 'tkn_wrong' }).messages.create(body('claude-test')),
    )
    expect(error).toBeInstanceOf(Anthropic.AuthenticationError)
    expect(error.error).toMatchObject({ type: 'error', error: { type: 'authentication_error' } })
  })

  it('404: a model that nobody serves', async () => {
    const error = await apiError(() => ask('claude-none'))
    expect(error).toBeInstanceOf(Anthropic.NotFoundError)
    expect(error.error).toMatchObject({ error: { type: 'not_found_error' } })
    expect((await sandbox.bill()).items).toEqual([])
  })

  it('403: a model that the key may not use', async () => {
    const { key } = await gateway.admin.createKey({ policy: { models: ['other'] } })
    const error = await apiError(() => client({ apiKey: key }).messages.create(body('claude-test')))
    expect(error).toBeInstanceOf(Anthropic.PermissionDeniedError)
    expect(error.error).toMatchObject({ error: { type: 'permission_error' } })
  })

  it('400: from the upstream, word for word', async () => {
    const error = await apiError(() => client().messages.create({ ...body('echo'), max_tokens: 0 }))
    expect(error).toBeInstanceOf(Anthropic.BadRequestError)
    expect(error.error).toMatchObject({ error: { type: 'invalid_request_error' } })
  })

  it('429: a rate limit and a budget', async () => {
    const rate = { id: 'a-rate', scope: 'key', unit: 'requests', amount: 1, window: '1h' }
    const limited = await gateway.admin.createKey({
      policy: { limits: [{ algorithm: 'fixed', ...rate }] },
    })
    const one = (): Promise<unknown> =>
      client({ apiKey: limited.key }).messages.create(body('claude-test'))
    await one()
    const tooMany = await apiError(one)
    expect(tooMany).toBeInstanceOf(Anthropic.RateLimitError)
    expect(tooMany.error).toMatchObject({
      error: { type: 'rate_limit_error', limit: { id: 'a-rate', used: 1, amount: 1 } },
    })
    expect(Number(tooMany.headers?.get('retry-after'))).toBeGreaterThan(60)
    expect(tooMany.headers?.get('x-should-retry')).toBe('false')

    const budget = {
      id: 'a-life',
      scope: 'key',
      unit: 'requests',
      algorithm: 'lifetime',
      amount: 1,
    }
    const poor = await gateway.admin.createKey({ policy: { limits: [budget] } })
    const another = (): Promise<unknown> =>
      client({ apiKey: poor.key }).messages.create(body('claude-test'))
    await another()
    const spent = await apiError(another)
    expect(spent).toBeInstanceOf(Anthropic.RateLimitError)
    expect(spent.error).toMatchObject({ error: { type: 'billing_error' } })
    expect(spent.headers?.get('retry-after')).toBeNull()
  })

  it.each([
    ['error-400', Anthropic.BadRequestError, 'invalid_request_error'],
    ['error-404', Anthropic.NotFoundError, 'not_found_error'],
    ['error-422', Anthropic.UnprocessableEntityError, 'invalid_request_error'],
    ['error-429', Anthropic.RateLimitError, 'rate_limit_error'],
    ['error-500', Anthropic.InternalServerError, 'api_error'],
    ['error-503', Anthropic.InternalServerError, 'api_error'],
    ['error-529', Anthropic.InternalServerError, 'overloaded_error'],
    // The provider's own page, as it came.
    ['html-502', Anthropic.InternalServerError, null],
    ['not-json', Anthropic.InternalServerError, 'api_error'],
    ['redirect', Anthropic.InternalServerError, 'api_error'],
    ['cut-after-5', Anthropic.InternalServerError, 'api_error'],
    ['slow-first-byte-60000', Anthropic.InternalServerError, 'timeout_error'],
  ])('upstream: %s', async (model, type, name) => {
    const error = await apiError(() => ask(model))
    expect(error).toBeInstanceOf(type)
    expect(error.type).toBe(name)
    const record = await gateway.admin.record(error.requestID ?? '')
    expect(record.status).toBe(error.status)
    expect(record.error_class).not.toBeNull()
  })

  it('529 stays 529, streamed or not', async () => {
    const whole = await apiError(() => ask('error-529'))
    const streamed = await apiError(() => client().messages.stream(body('error-529')).done())
    expect([whole.status, streamed.status]).toEqual([529, 529])
  })

  it("the SDK's own timeout ends the upstream call", async () => {
    const thrown = await failure(() =>
      client({ timeout: 200 }).messages.create(body('slow-first-byte-60000')),
    )
    expect(thrown).toBeInstanceOf(Anthropic.APIConnectionTimeoutError)
    const [line] = (await sandbox.bill()).items
    expect(line?.outcome).toBe('cut_by_client')
  })

  it('nothing is left open', async () => {
    expect(await nothingOpen(gateway.admin)).toEqual({ reservations: 0, inFlight: 0 })
  })
})

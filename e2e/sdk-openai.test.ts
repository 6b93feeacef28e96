import OpenAI from 'openai'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { closeAll } from './harness/cleanup.ts'
import { type Gateway, startGateway } from './harness/gateway.ts'
import { type SandboxProcess, startSandboxProcess } from './harness/sandbox.ts'
import { nothingOpen } from './harness/nothing-open.ts'

let gateway: Gateway
let sandbox: SandboxProcess
let secret = ''

beforeAll(async () => {
  sandbox = await startSandboxProcess()
  const local = { ...sandbox.provider, timeouts: { first_byte: '1s', idle: '1s', total: '1m' } }
  gateway = await startGateway({
    config: {
      providers: { local },
      policy: { default_provider: 'local' },
      models: {
        'team/fast': { targets: [{ provider: 'local', model: 'words-7' }] },
        mini: { targets: [{ provider: 'local', model: 'sandbox-mini' }] },
      },
    },
  })
  secret = (await gateway.admin.createKey()).key
})
beforeEach(() => sandbox.forget())
afterAll(closeAll)

function client(options: { apiKey?: string; timeout?: number } = {}): OpenAI {
  return new OpenAI({
    apiKey: secret,
    baseURL: `${gateway.proxyUrl}/v1`,
    maxRetries: 0,
    ...options,
  })
}

const HELLO: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'hello' }]
const TOOLS: OpenAI.ChatCompletionTool[] = [
  {
    type: 'function',
    function: {
      name: 'weather',
      parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
    },
  },
]

/** What the call was rejected with. */
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
): Promise<InstanceType<typeof OpenAI.APIError>> {
  const thrown = await failure(work)
  if (thrown instanceof OpenAI.APIError) return thrown
  throw thrown
}

const ask = (model: string): Promise<unknown> =>
  client().chat.completions.create({ model, messages: HELLO })

describe('answers', () => {
  it('text, with system and developer messages and usage', async () => {
    const answer = await client().chat.completions.create({
      model: 'echo',
      messages: [
        { role: 'system', content: 'You are terse.' },
        { role: 'developer', content: 'Answer in English.' },
        { role: 'user', content: 'say this back' },
      ],
    })
    expect(answer.choices[0]?.message.content).toContain('say this back')
    const { items } = await sandbox.bill()
    expect(answer.usage?.prompt_tokens).toBe(items[0]?.inputTokens)
    expect(answer.usage?.completion_tokens).toBe(items[0]?.outputTokens)
  })

  it('the request id of the SDK is the one of the record', async () => {
    const created = client().chat.completions.create({ model: 'mini', messages: HELLO })
    const { request_id: id } = await created.withResponse()
    const record = await gateway.admin.record(id ?? '')
    expect(record).toMatchObject({ status: 200, requested_model: 'mini', complete: true })
    expect(record.user_agent).toMatch(/^OpenAI\/JS 7\./)
  })

  it('a tool call, its result, and the text after it', async () => {
    const messages = [...HELLO]
    const first = await client().chat.completions.create({ model: 'tool', messages, tools: TOOLS })
    const [choice] = first.choices
    expect(choice?.finish_reason).toBe('tool_calls')
    const [made] = choice?.message.tool_calls ?? []
    if (made?.type !== 'function' || choice === undefined) throw new Error('no tool call')
    expect(made.function.name).toBe('weather')
    expect(JSON.parse(made.function.arguments)).toHaveProperty('city')
    messages.push(choice.message, { role: 'tool', tool_call_id: made.id, content: 'rain' })
    const second = await client().chat.completions.create({ model: 'tool', messages, tools: TOOLS })
    expect(second.choices[0]?.finish_reason).toBe('stop')
    expect(second.choices[0]?.message.content).not.toBe('')
  })

  it('parallel tool calls, streamed through the helper', async () => {
    const stream = client().chat.completions.stream({
      model: 'tools-3',
      messages: HELLO,
      tools: TOOLS,
    })
    const final = await stream.finalChatCompletion()
    const calls = final.choices[0]?.message.tool_calls ?? []
    expect(calls).toHaveLength(3)
    expect(new Set(calls.map(({ id }) => id)).size).toBe(3)
  })

  it('a JSON schema format', async () => {
    const answer = await client().chat.completions.create({
      model: 'mini',
      messages: HELLO,
      response_format: {
        type: 'json_schema',
        json_schema: {
          name: 'answer',
          strict: true,
          schema: {
            type: 'object',
            properties: { count: { type: 'integer' }, name: { type: 'string' } },
            required: ['count', 'name'],
            additionalProperties: false,
          },
        },
      },
    })
    const parsed: unknown = JSON.parse(answer.choices[0]?.message.content ?? '')
    expect(parsed).toMatchObject({ count: expect.any(Number), name: expect.any(String) })
  })

  it('embeddings, as floats and in the base64 that the SDK asks for', async () => {
    const input = ['one text', 'another']
    const base64 = await client().embeddings.create({ model: 'sandbox-embed', input })
    const encoding_format = 'float'
    const floats = await client().embeddings.create({
      model: 'sandbox-embed',
      input,
      encoding_format,
    })
    expect(base64.data).toHaveLength(2)
    expect(base64.data[0]?.embedding.length).toBeGreaterThan(10)
    const [a, b] = [base64.data[1]?.embedding ?? [], floats.data[1]?.embedding ?? [NaN]]
    expect(a).toHaveLength(b.length)
    for (const [i, value] of b.entries()) expect(a[i]).toBeCloseTo(value, 5)
    expect(floats.usage.prompt_tokens).toBe((await sandbox.bill()).items[1]?.inputTokens)
  })

  it('models, also one whose id has a slash', async () => {
    const listed: string[] = []
    for await (const model of client().models.list()) listed.push(model.id)
    expect(listed).toEqual(expect.arrayContaining(['mini', 'team/fast']))
    const one = await client().models.retrieve('team/fast')
    expect(one).toMatchObject({ id: 'team/fast', object: 'model' })
    const error = await apiError(() => client().models.retrieve('no/such'))
    expect(error).toBeInstanceOf(OpenAI.NotFoundError)
    const messages = HELLO
    const answer = await client().chat.completions.create({ model: 'team/fast', messages })
    expect(answer.usage?.completion_tokens).toBe(7)
  })
})

describe('streams', () => {
  it('the helper puts the answer together', async () => {
    const stream = client().chat.completions.stream({ model: 'words-40', messages: HELLO })
    let text = ''
    stream.on('content', (delta) => (text += delta))
    const final = await stream.finalChatCompletion()
    expect(text).toBe(final.choices[0]?.message.content)
    expect(final.choices[0]?.finish_reason).toBe('stop')
    expect((await sandbox.bill()).items[0]).toMatchObject({ outputTokens: 40, stream: true })
  })

  it('usage comes when it was asked for', async () => {
    const stream = await client().chat.completions.create({
      model: 'words-12',
      messages: HELLO,
      stream: true,
      stream_options: { include_usage: true },
    })
    const chunks = []
    for await (const chunk of stream) chunks.push(chunk)
    expect(chunks.at(-1)?.usage?.completion_tokens).toBe(12)
    expect(chunks.at(-1)?.choices).toEqual([])
  })

  it('and not when it was not, though the ledger has it', async () => {
    const { data: stream, response } = await client()
      .chat.completions.create({ model: 'words-12', messages: HELLO, stream: true })
      .withResponse()
    const chunks = []
    for await (const chunk of stream) chunks.push(chunk)
    expect(chunks.filter(({ usage }) => (usage ?? null) !== null)).toEqual([])
    expect(chunks.filter(({ choices }) => choices.length === 0)).toEqual([])
    const record = await gateway.admin.record(response.headers.get('x-request-id') ?? '')
    expect(record.usage).toMatchObject({ input: 7, output: 12 })
    expect(record).toMatchObject({ complete: true, estimated: false, stream: true })
    const [asked] = await sandbox.requests()
    expect(JSON.parse(asked?.body ?? '')).toHaveProperty('stream_options.include_usage', true)
  })

  it.each(['cut-after-5', 'drop-after-5', 'reset-after-5', 'error-after-5'])(
    '%s is an exception, not a clean end',
    async (model) => {
      let chunks = 0
      const thrown = await failure(async () => {
        const stream = await client().chat.completions.create({
          model,
          messages: HELLO,
          stream: true,
        })
        for await (const _ of stream) chunks += 1
      })
      expect(thrown).toBeInstanceOf(Error)
      expect(chunks).toBeGreaterThan(3)
    },
  )

  it('silence in the middle ends with an exception', async () => {
    const thrown = await failure(async () => {
      const model = 'stall-after-3'
      const stream = await client().chat.completions.create({
        model,
        messages: HELLO,
        stream: true,
      })
      for await (const _ of stream);
    })
    expect(thrown).toBeInstanceOf(Error)
  })

  it('a client that leaves ends the upstream call, and pays for what was written', async () => {
    const { data: stream, response } = await client()
      .chat.completions.create({ model: 'words-2000+delay-5', messages: HELLO, stream: true })
      .withResponse()
    let seen = 0
    for await (const _ of stream) {
      seen += 1
      if (seen === 20) stream.controller.abort()
    }
    const [line] = (await sandbox.bill()).items
    expect(line?.outcome).toBe('cut_by_client')
    expect(line?.outputTokens).toBeLessThan(200)
    const record = await gateway.admin.record(response.headers.get('x-request-id') ?? '')
    expect(record).toMatchObject({ error_class: 'cancelled', complete: false, estimated: true })
    expect(Math.abs((record.usage.output ?? 0) - (line?.outputTokens ?? 0))).toBeLessThanOrEqual(3)
  })
})

describe('errors are typed exceptions', () => {
  it('401', async () => {
    const error = await apiError(() => client({ apiKey: 'tkn_wrong' }).models.list())
    expect(error).toBeInstanceOf(OpenAI.AuthenticationError)
    expect(error.code).toBe('invalid_api_key')
  })

  it('404: no such model', async () => {
    const error = await apiError(() => ask('no-such-model'))
    expect(error).toBeInstanceOf(OpenAI.NotFoundError)
    expect(error.code).toBe('model_not_found')
  })

  it('403: a model that the key may not use', async () => {
    const { key } = await gateway.admin.createKey({ policy: { models: ['mini'] } })
    const body = { model: 'team/fast', messages: HELLO }
    const error = await apiError(() => client({ apiKey: key }).chat.completions.create(body))
    expect(error).toBeInstanceOf(OpenAI.PermissionDeniedError)
    expect(error.code).toBe('model_not_allowed')
  })

  it('400: from the upstream, word for word', async () => {
    const body = { model: 'mini', messages: HELLO, temperature: 9 }
    const error = await apiError(() => client().chat.completions.create(body))
    expect(error).toBeInstanceOf(OpenAI.BadRequestError)
    expect(error.param).toBe('temperature')
  })

  it('429: a rate limit, and a budget', async () => {
    const rate = {
      limits: [
        {
          id: 'sdk-rate',
          scope: 'key',
          unit: 'requests',
          algorithm: 'fixed',
          amount: 1,
          window: '1h',
        },
      ],
    }
    const limited = client({ apiKey: (await gateway.admin.createKey({ policy: rate })).key })
    await limited.chat.completions.create({ model: 'mini', messages: HELLO })
    const tooMany = await apiError(() =>
      limited.chat.completions.create({ model: 'mini', messages: HELLO }),
    )
    expect(tooMany).toBeInstanceOf(OpenAI.RateLimitError)
    expect(tooMany).toMatchObject({ code: 'rate_limit_exceeded', type: 'rate_limit_exceeded' })
    expect(Number(tooMany.headers?.get('retry-after'))).toBeGreaterThan(0)

    const budget = {
      limits: [
        {
          id: 'sdk-life',
          scope: 'key',
          unit: 'tokens',
          algorithm: 'lifetime',
          amount: 60,
          when_short: 'refuse',
        },
      ],
    }
    const poor = client({ apiKey: (await gateway.admin.createKey({ policy: budget })).key })
    await poor.chat.completions.create({ model: 'words-13', messages: HELLO, max_tokens: 13 })
    const spent = await apiError(() =>
      poor.chat.completions.create({ model: 'words-13', messages: HELLO, max_tokens: 30 }),
    )
    expect(spent).toBeInstanceOf(OpenAI.RateLimitError)
    expect(spent.type).toBe('insufficient_quota')
    expect(spent.error).toMatchObject({ limit: { id: 'sdk-life', used: 20, amount: 60 } })
    expect(spent.headers?.get('retry-after')).toBeNull()
  })

  it.each([
    ['error-400', OpenAI.BadRequestError],
    ['error-404', OpenAI.NotFoundError],
    ['error-409', OpenAI.ConflictError],
    ['error-422', OpenAI.UnprocessableEntityError],
    ['error-429', OpenAI.RateLimitError],
    ['error-quota', OpenAI.RateLimitError],
    ['error-500', OpenAI.InternalServerError],
    ['error-503', OpenAI.InternalServerError],
    ['html-502', OpenAI.InternalServerError],
    ['not-json', OpenAI.InternalServerError],
    ['redirect', OpenAI.InternalServerError],
    ['slow-first-byte-60000', OpenAI.InternalServerError],
    ['cut-after-5', OpenAI.InternalServerError],
  ])('upstream: %s', async (model, type) => {
    const error = await apiError(() => ask(model))
    expect(error).toBeInstanceOf(type)
    const record = await gateway.admin.record(error.requestID ?? '')
    expect(record.status).toBe(error.status)
    expect(record.error_class).not.toBeNull()
  })

  it("the provider's refusal of the gateway's own credential is not the client's 401", async () => {
    const error = await apiError(() => ask('error-401'))
    expect(error).toBeInstanceOf(OpenAI.InternalServerError)
    expect(error.status).toBe(502)
  })

  it("the SDK's own timeout and retries work", async () => {
    const thrown = await failure(() =>
      client({ timeout: 200 }).chat.completions.create({
        model: 'slow-first-byte-60000',
        messages: HELLO,
      }),
    )
    expect(thrown).toBeInstanceOf(OpenAI.APIConnectionTimeoutError)
    const [line] = (await sandbox.bill()).items
    expect(line?.outcome).toBe('cut_by_client')
  })

  it('nothing is left open', async () => {
    expect(await nothingOpen(gateway.admin)).toEqual({ reservations: 0, inFlight: 0 })
  })
})

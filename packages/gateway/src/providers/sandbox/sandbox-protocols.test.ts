import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Sandbox, startSandbox } from './sandbox.ts'

let sandbox: Sandbox
beforeAll(async () => {
  sandbox = await startSandbox()
})
afterAll(() => sandbox.close())
beforeEach(() => sandbox.reset())

type Body = Readonly<Record<string, unknown>>
const WEATHER = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
const SCRIPT = '[[tool:weather {"city":"Oslo"}]]'

async function post(path: string, body: Body): Promise<{ status: number; text: string }> {
  const answer = await fetch(sandbox.url + path, { method: 'POST', body: JSON.stringify(body) })
  return { status: answer.status, text: await answer.text() }
}

async function json(path: string, body: Body): Promise<Body> {
  const { text } = await post(path, body)
  const parsed: Body = JSON.parse(text)
  return parsed
}

async function events(path: string, body: Body): Promise<readonly Body[]> {
  const { text } = await post(path, body)
  return text
    .split('\n')
    .filter((line) => line.startsWith('data: '))
    .map((line) => {
      const event: Body = JSON.parse(line.slice(6))
      return event
    })
}

const ask = (model: string, more: Body = {}): Body => ({ model, input: 'hi', ...more })

const at = (model: string, method = 'generateContent'): string =>
  `/v1beta/models/${model}:${method}`

describe('openai-responses', () => {
  const tools = [{ type: 'function', name: 'weather', parameters: WEATHER }]

  it('answers whole, with its usage and a line on the bill', async () => {
    const answer = await json('/v1/responses', ask('words-3'))
    expect(answer).toMatchObject({
      object: 'response',
      status: 'completed',
      output: [{ type: 'message', content: [{ type: 'output_text', text: 'the road is' }] }],
      usage: { output_tokens: 3 },
    })
    expect(sandbox.bill()).toMatchObject([
      { endpoint: 'responses', protocol: 'openai-responses', outputTokens: 3, outcome: 'finished' },
    ])
  })

  it('streams events with growing numbers; the last one holds what was streamed', async () => {
    const seen = await events('/v1/responses', ask('words-2', { stream: true }))
    expect(seen.map(({ sequence_number: number }) => number)).toEqual(seen.map((_, i) => i))
    expect(seen.map(({ type }) => type)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ])
    const done = seen.at(-2)?.['item']
    expect(seen.at(-1)).toMatchObject({ response: { output: [done], usage: { output_tokens: 2 } } })
  })

  it('is incomplete at its cap, which must be sixteen at least', async () => {
    const cut = await json('/v1/responses', ask('words-20', { max_output_tokens: 16 }))
    expect(cut).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      usage: { output_tokens: 16 },
    })
    expect((await post('/v1/responses', ask('words-20', { max_output_tokens: 15 }))).status).toBe(
      400,
    )
  })

  it('calls functions, and tools of free text', async () => {
    const custom = { type: 'custom', name: 'patch' }
    const input = `${SCRIPT}+[[tool:patch {"input":"*** Begin"}]]`
    const first = await json('/v1/responses', ask('scripted', { input, tools: [...tools, custom] }))
    expect(first['output']).toMatchObject([
      { type: 'function_call', name: 'weather', arguments: '{"city":"Oslo"}' },
      { type: 'custom_tool_call', name: 'patch', input: '*** Begin' },
    ])
  })

  it('shows its thinking and tells its state to who asks, and takes no foreign state', async () => {
    const shown = { reasoning: { summary: 'auto' }, include: ['reasoning.encrypted_content'] }
    const told = await json('/v1/responses', ask('reasoning-2', shown))
    expect(told['output']).toMatchObject([
      { type: 'reasoning', summary: [{ text: 'the road' }], encrypted_content: expect.any(String) },
      { type: 'message' },
    ])
    const hidden = await json('/v1/responses', ask('reasoning-2'))
    expect(hidden['output']).toMatchObject([{ type: 'reasoning', summary: [] }, {}])
    expect(hidden).toMatchObject({ usage: { output_tokens_details: { reasoning_tokens: 2 } } })
    const foreign = { type: 'reasoning', summary: [], encrypted_content: 'c2ln' }
    const input = [{ role: 'user', content: 'hi' }, foreign]
    expect((await post('/v1/responses', ask('reasoning', { input }))).status).toBe(400)
  })

  it.each([{}, { input: [] }, { input: [{ type: 'weird' }] }, { input: 'x', temperature: 3 }])(
    'refuses %j',
    async (body) => {
      expect((await post('/v1/responses', { model: 'echo', ...body })).status).toBe(400)
    },
  )

  it('reports a failure in the stream as an event', async () => {
    const seen = await events('/v1/responses', ask('error-after-2', { stream: true }))
    expect(seen.at(-1)).toMatchObject({ type: 'error', code: 'server_error' })
  })
})

describe('gemini', () => {
  const contents = [{ role: 'user', parts: [{ text: 'hi' }] }]
  const tools = [{ functionDeclarations: [{ name: 'weather', parametersJsonSchema: WEATHER }] }]

  it('answers whole, with its usage and a line on the bill', async () => {
    const answer = await json(at('words-3'), { contents })
    expect(answer).toMatchObject({
      candidates: [
        { content: { role: 'model', parts: [{ text: 'the road is' }] }, finishReason: 'STOP' },
      ],
      usageMetadata: { candidatesTokenCount: 3 },
      modelVersion: 'words-3',
    })
    expect(sandbox.bill()).toMatchObject([{ protocol: 'gemini', outputTokens: 3 }])
  })

  it('streams answers with a part each; the last one says why it ended', async () => {
    const seen = await events(at('words-2', 'streamGenerateContent?alt=sse'), { contents })
    expect(seen.map(({ candidates }) => candidates)).toMatchObject([
      [{ content: { parts: [{ text: 'the' }] } }],
      [{ content: { parts: [{ text: ' road' }] } }],
      [{ finishReason: 'STOP' }],
    ])
    expect(seen.at(-1)).toMatchObject({ usageMetadata: { candidatesTokenCount: 2 } })
  })

  it('counts tokens without a charge', async () => {
    const counted = await json(at('words-2', 'countTokens'), { contents })
    expect(counted).toEqual({ totalTokens: expect.any(Number) })
    expect(sandbox.bill()).toEqual([])
  })

  it('reads both spellings, schemas in capitals, caps and stops', async () => {
    const schema = { type: 'OBJECT', properties: { n: { type: 'INTEGER' } }, required: ['n'] }
    const config = { response_mime_type: 'application/json', response_schema: schema }
    const formed = await json(at('sandbox-mini'), { contents, generation_config: config })
    expect(formed).toMatchObject({ candidates: [{ content: { parts: [{ text: '{"n":1}' }] } }] })
    const cut = await json(at('words-9'), { contents, generationConfig: { maxOutputTokens: 4 } })
    expect(cut).toMatchObject({ candidates: [{ finishReason: 'MAX_TOKENS' }] })
    const said = [{ parts: [{ text: 'one STOP two' }] }]
    const generationConfig = { stopSequences: ['STOP'] }
    const stopped = await json(at('echo'), { contents: said, generationConfig })
    expect(stopped).toMatchObject({ candidates: [{ content: { parts: [{ text: 'one ' }] } }] })
  })

  it('signs the first call after thinking, and wants that back', async () => {
    const asked = [{ role: 'user', parts: [{ text: SCRIPT }] }]
    const first = await json(at('reasoning+scripted'), { contents: asked, tools })
    const call = { functionCall: { name: 'weather', args: { city: 'Oslo' } } }
    const signed = { ...call, thoughtSignature: expect.any(String) }
    expect(first['candidates']).toMatchObject([{ content: { parts: [signed] } }])
    const result = { functionResponse: { name: 'weather', response: { output: 'rain' } } }
    const status = async (part: Body): Promise<number> => {
      const turns = [...asked, { role: 'model', parts: [part] }, { role: 'user', parts: [result] }]
      return (await post(at('reasoning+scripted'), { contents: turns, tools })).status
    }
    expect(await status(call)).toBe(400)
    expect(await status({ ...call, thoughtSignature: 'c2ln' })).toBe(400)
    const skip = 'skip_thought_signature_validator'
    expect(await status({ ...call, thoughtSignature: skip })).toBe(200)
  })

  it.each([
    ['error-429', 429, 'RESOURCE_EXHAUSTED'],
    ['error-503', 503, 'UNAVAILABLE'],
    ['no-such-model', 404, 'NOT_FOUND'],
  ])('%s in its own shape', async (model, status, name) => {
    const answer = await post(at(model), { contents })
    expect(answer.status).toBe(status)
    expect(JSON.parse(answer.text)).toMatchObject({ error: { code: status, status: name } })
  })

  it.each([{}, { contents: [] }, { contents: [{ role: 'system', parts: [] }] }])(
    'refuses %j',
    async (body) => {
      expect((await post(at('echo'), body)).status).toBe(400)
    },
  )
})

describe('anthropic-messages', () => {
  it('takes no call of the running turn without its thinking, and no foreign signature', async () => {
    const call = { type: 'tool_use', id: 'toolu_1', name: 'weather', input: {} }
    const status = async (thinking: readonly Body[]): Promise<number> => {
      const messages = [
        { role: 'user', content: 'hi' },
        { role: 'assistant', content: [...thinking, call] },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: 'x' }] },
      ]
      const on = { type: 'enabled', budget_tokens: 1024 }
      const body = { model: 'reasoning', max_tokens: 2000, messages, thinking: on }
      return (await post('/v1/messages', body)).status
    }
    expect(await status([])).toBe(400)
    expect(await status([{ type: 'thinking', thinking: 'x', signature: 'c2ln' }])).toBe(400)
    const own = { type: 'thinking', thinking: 'x', signature: 'c2FuZGJveC1zaWduYXR1cmU=' }
    expect(await status([own])).toBe(200)
  })
})

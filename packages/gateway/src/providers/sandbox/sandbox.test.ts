import { countTokens as countCl100k } from 'gpt-tokenizer/encoding/cl100k_base'
import { countTokens as countO200k } from 'gpt-tokenizer/encoding/o200k_base'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { isRecord } from '../../lib/is-record.ts'
import { words } from './answer.ts'
import { SANDBOX_MODELS, parseBehaviour } from './behaviour.ts'
import { type Sandbox, startSandbox } from './sandbox.ts'

let sandbox: Sandbox
beforeAll(async () => {
  sandbox = await startSandbox()
})
afterAll(() => sandbox.close())
beforeEach(() => sandbox.reset())

type Body = Record<string, unknown>
const CONTENT = 'choices.0.delta.content'
const USER = [{ role: 'user', content: 'hi' }]
const WEATHER = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
const CHAT_TOOLS = [{ type: 'function', function: { name: 'weather', parameters: WEATHER } }]
const MESSAGES_TOOLS = [{ name: 'weather', input_schema: WEATHER }]

function post(path: string, body: unknown, init: RequestInit = {}): Promise<Response> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return fetch(sandbox.url + path, { method: 'POST', body: text, ...init })
}

const chat = (model: string, more: Body = {}): Promise<Response> =>
  post('/v1/chat/completions', { model, messages: USER, ...more })

const messages = (model: string, more: Body = {}): Promise<Response> =>
  post('/v1/messages', { model, messages: USER, max_tokens: 1_000, ...more })

/** Reads a path such as `choices.0.message` out of unknown JSON. */
function at(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((inner, name) => {
    if (Array.isArray(inner)) return inner[Number(name)]
    return isRecord(inner) ? inner[name] : undefined
  }, value)
}

/** The texts at a path of each frame, joined. */
function joined(seen: readonly unknown[], path: string): string {
  return seen
    .map((frame) => at(frame, path))
    .filter((part) => typeof part === 'string')
    .join('')
}

/** The data of each SSE frame; `[DONE]` stays text. */
function frames(text: string): readonly unknown[] {
  return text
    .split(/\r?\n/)
    .filter((line) => line.startsWith('data: '))
    .map((line): unknown => (line === 'data: [DONE]' ? '[DONE]' : JSON.parse(line.slice(6))))
}

const eventNames = (text: string): readonly string[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('event: '))
    .map((line) => line.slice(7))

describe('words', () => {
  it('are one token each in both vocabularies, so that the bill is what a tokenizer says', () => {
    const text = words(200).join('')
    expect(countO200k(text)).toBe(200)
    expect(countCl100k(text)).toBe(200)
  })
})

describe('openai-chat', () => {
  it('answers the same request the same way, with usage and a bill line', async () => {
    const answer: unknown = await (await chat('sandbox/gpt-4o-mini')).json()
    const again: unknown = await (await chat('gpt-4o-mini')).json()
    const text = at(answer, 'choices.0.message.content')
    expect(text).toBe(at(again, 'choices.0.message.content'))
    expect(at(answer, 'usage')).toMatchObject({
      prompt_tokens: 7,
      completion_tokens: countO200k(String(text)),
    })
    expect(sandbox.bill()).toHaveLength(2)
    expect(sandbox.bill()[0]).toMatchObject({
      endpoint: 'chat',
      model: 'sandbox/gpt-4o-mini',
      inputTokens: 7,
      outputTokens: countO200k(String(text)),
      outcome: 'finished',
    })
  })

  it('streams one frame per token and usage only for who asked', async () => {
    const plain = frames(await (await chat('words-5', { stream: true })).text())
    expect(plain.at(-1)).toBe('[DONE]')
    expect(plain.some((frame) => at(frame, 'usage') !== undefined)).toBe(false)
    const options = { stream: true, stream_options: { include_usage: true } }
    const asked = frames(await (await chat('words-5', options)).text())
    expect(asked).toHaveLength(1 + 5 + 1 + 1 + 1)
    expect(at(asked[0], 'choices.0.delta.role')).toBe('assistant')
    expect(asked.slice(0, 7).every((frame) => at(frame, 'usage') === null)).toBe(true)
    expect(at(asked[6], 'choices.0.finish_reason')).toBe('stop')
    expect(asked[7]).toMatchObject({ choices: [], usage: { completion_tokens: 5 } })
    expect(joined(asked, CONTENT)).toBe(words(5).join(''))
  })

  it('keeps the cap, stops, n and response_format', async () => {
    const capped: unknown = await (await chat('words-50', { max_completion_tokens: 7 })).json()
    expect(at(capped, 'choices.0.finish_reason')).toBe('length')
    expect(at(capped, 'usage.completion_tokens')).toBe(7)
    const stopped: unknown = await (await chat('words-50', { stop: [' open'] })).json()
    expect(at(stopped, 'choices.0.message.content')).toBe('the road is')
    const two: unknown = await (await chat('words-3', { n: 2 })).json()
    expect(at(two, 'choices.1.index')).toBe(1)
    expect(at(two, 'usage.completion_tokens')).toBe(6)
    const format = { type: 'json_schema', json_schema: { name: 'x', schema: WEATHER } }
    const json: unknown = await (await chat('sandbox-mini', { response_format: format })).json()
    expect(at(json, 'choices.0.message.content')).toBe('{"city":"sandbox"}')
  })

  it('interleaves choices on a stream and bills all of them', async () => {
    const seen = frames(await (await chat('words-3', { n: 2, stream: true })).text())
    const indexes = seen.map((frame) => at(frame, 'choices.0.index'))
    expect(indexes.slice(2, 6)).toEqual([0, 1, 0, 1])
    expect(sandbox.billTotals().outputTokens).toBe(6)
  })

  it('echoes, and repeats any text whole', async () => {
    const content = 'Ünïcödé 你好 👩‍👩‍👧 "quotes"\n\ttabs 12345 <tag/>'
    const body = { messages: [{ role: 'user', content: [{ type: 'text', text: content }] }] }
    const answer: unknown = await (await chat('echo', body)).json()
    expect(at(answer, 'choices.0.message.content')).toBe(content)
    const seen = frames(await (await chat('echo', { ...body, stream: true })).text())
    expect(joined(seen, CONTENT)).toBe(content)
  })

  it('calls tools, two at once if asked, and answers after their results', async () => {
    const one: unknown = await (await chat('tool', { tools: CHAT_TOOLS })).json()
    expect(at(one, 'choices.0.finish_reason')).toBe('tool_calls')
    expect(at(one, 'choices.0.message')).toMatchObject({
      content: null,
      tool_calls: [
        { type: 'function', function: { name: 'weather', arguments: '{"city":"sandbox"}' } },
      ],
    })
    const stream = await (await chat('tools-2', { tools: CHAT_TOOLS, stream: true })).text()
    const calls = frames(stream).map((frame) => at(frame, 'choices.0.delta.tool_calls.0'))
    const opened = calls.filter((call) => at(call, 'id') !== undefined)
    expect(opened.map((call) => at(call, 'index'))).toEqual([0, 1])
    expect(new Set(opened.map((call) => at(call, 'id'))).size).toBe(2)
    const history = [
      ...USER,
      { role: 'assistant', content: null, tool_calls: at(one, 'choices.0.message.tool_calls') },
      { role: 'tool', tool_call_id: 'call_1', content: 'rain' },
    ]
    const after = await chat('tool', { tools: CHAT_TOOLS, messages: history })
    expect(at(await after.json(), 'choices.0.finish_reason')).toBe('stop')
  })

  it.each([
    [{ messages: undefined }, 'messages'],
    [{ messages: [] }, 'messages'],
    [{ messages: [{ role: 'robot', content: 'x' }] }, 'messages[0].role'],
    [{ messages: [{ role: 'user', content: 5 }] }, 'messages[0].content'],
    [{ messages: [{ role: 'tool', content: 'x' }] }, 'messages[0].tool_call_id'],
    [{ model: 7 }, 'model'],
    [{ max_tokens: 0 }, 'max_tokens'],
    [{ n: 'two' }, 'n'],
    [{ temperature: 3 }, 'temperature'],
    [{ stream_options: { include_usage: true } }, 'stream_options'],
  ] as const)('refuses %j as the vendor does', async (more, param) => {
    const answer = await chat('sandbox-mini', more)
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ error: { type: 'invalid_request_error', param } })
    expect(sandbox.billTotals().inputTokens).toBe(0)
  })

  it('answers 400 to what is no JSON and 404 to unknown models and paths', async () => {
    expect((await post('/v1/chat/completions', '{"model":')).status).toBe(400)
    const unknown = await chat('nobody-knows')
    expect(unknown.status).toBe(404)
    expect(at(await unknown.json(), 'error.code')).toBe('model_not_found')
    expect((await post('/v1/nothing', {})).status).toBe(404)
  })
})

describe('anthropic-messages', () => {
  it('streams events in order, with usage first and last', async () => {
    const answer = await messages('words-3', { stream: true })
    const text = await answer.text()
    expect(answer.headers.get('request-id')).toMatch(/^req_/)
    expect(eventNames(text)).toEqual([
      'message_start',
      'ping',
      'content_block_start',
      ...Array<string>(3).fill('content_block_delta'),
      'content_block_stop',
      'message_delta',
      'message_stop',
    ])
    const seen = frames(text)
    expect(at(seen[0], 'message.usage.input_tokens')).toBe(7)
    expect(at(seen.at(-2), 'usage.output_tokens')).toBe(3)
    expect(at(seen.at(-2), 'delta.stop_reason')).toBe('end_turn')
  })

  it('splits cached input into its kinds, on the wire and in the bill', async () => {
    const content = 'one two three four five six seven eight nine ten'
    const answer = await messages('cached', { messages: [{ role: 'user', content }] })
    const usage = at(await answer.json(), 'usage')
    const [line] = sandbox.bill()
    expect(usage).toMatchObject({
      input_tokens: line?.inputTokens,
      cache_read_input_tokens: line?.cacheReadTokens,
      cache_creation: {
        ephemeral_5m_input_tokens: line?.cacheWrite5mTokens,
        ephemeral_1h_input_tokens: line?.cacheWrite1hTokens,
      },
    })
    const kinds = [
      line?.inputTokens,
      line?.cacheReadTokens,
      line?.cacheWrite5mTokens,
      line?.cacheWrite1hTokens,
    ]
    expect(kinds.every((kind) => kind !== undefined && kind > 0)).toBe(true)
    expect(kinds.reduce<number>((sum, kind) => sum + (kind ?? 0), 0)).toBe(16)
  })

  it('says why it stopped', async () => {
    const capped: unknown = await (await messages('words-9', { max_tokens: 2 })).json()
    expect(capped).toMatchObject({ stop_reason: 'max_tokens', usage: { output_tokens: 2 } })
    const stopped: unknown = await (await messages('words-9', { stop_sequences: ['open'] })).json()
    expect(stopped).toMatchObject({ stop_reason: 'stop_sequence', stop_sequence: 'open' })
  })

  it('thinks before it speaks', async () => {
    const answer: unknown = await (await messages('reasoning-4+words-2')).json()
    expect(at(answer, 'content.0.type')).toBe('thinking')
    expect(at(answer, 'content.1.text')).toBe('the road')
    expect(sandbox.bill()[0]).toMatchObject({ outputTokens: 6, reasoningTokens: 4 })
  })

  it('follows a script of tool calls, step by step', async () => {
    const script = 'go [[tool:weather {"city":"Oslo"}]] then [[tool:weather {"city":"Bergen"}]]'
    const history: unknown[] = [{ role: 'user', content: script }]
    const cities: unknown[] = []
    for (let turn = 0; turn < 3; turn++) {
      const answer = await messages('claude-sonnet-5', { tools: MESSAGES_TOOLS, messages: history })
      const body: unknown = await answer.json()
      const call = at(body, 'content.0')
      cities.push(at(call, 'input.city'))
      history.push({ role: 'assistant', content: at(body, 'content') })
      const result = { type: 'tool_result', tool_use_id: at(call, 'id') ?? 'none', content: 'ok' }
      history.push({ role: 'user', content: [result] })
    }
    expect(cities).toEqual(['Oslo', 'Bergen', undefined])
  })

  it('streams tool input as fragments that join to an object', async () => {
    const text = await (await messages('tool', { tools: MESSAGES_TOOLS, stream: true })).text()
    expect(JSON.parse(joined(frames(text), 'delta.partial_json'))).toEqual({ city: 'sandbox' })
    expect(text).toContain('"stop_reason":"tool_use"')
  })

  it('counts tokens without a charge', async () => {
    const answer = await post('/v1/messages/count_tokens?beta=true', {
      model: 'claude-x',
      messages: USER,
    })
    expect(await answer.json()).toEqual({ input_tokens: 7 })
    expect(sandbox.bill()).toHaveLength(0)
  })

  it.each([
    { max_tokens: undefined },
    { messages: [{ role: 'robot', content: 'x' }] },
    { messages: [{ role: 'user', content: [{ type: 'text', text: '' }] }] },
    { messages: [{ role: 'user' }] },
    { temperature: 1.5 },
  ])('refuses %j as the vendor does', async (more) => {
    const answer = await messages('sandbox-mini', more)
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({
      type: 'error',
      error: { type: 'invalid_request_error' },
    })
  })
})

describe('faults', () => {
  it.each([400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 529])(
    'answers %i in either shape, free of charge',
    async (status) => {
      const asked = await chat(`error-${status}`)
      expect(asked.status).toBe(status)
      expect(typeof at(await asked.json(), 'error.message')).toBe('string')
      const messagesAnswer = await messages(`error-${status}`)
      expect(messagesAnswer.status).toBe(status)
      expect(at(await messagesAnswer.json(), 'type')).toBe('error')
      expect(asked.headers.get('retry-after')).toBe(status === 429 ? '2' : null)
      expect(sandbox.billTotals()).toMatchObject({ calls: 2, inputTokens: 0, outputTokens: 0 })
    },
  )

  it('ends a stream without its terminal event', async () => {
    const text = await (await chat('cut-after-3', { stream: true })).text()
    expect(text).not.toContain('[DONE]')
    expect(text).not.toContain('"finish_reason":"')
    expect(sandbox.bill()[0]).toMatchObject({ outputTokens: 3, outcome: 'cut_by_fault' })
  })

  it.each(['drop-after-3', 'reset-after-3'])('breaks the connection: %s', async (model) => {
    const answer = await chat(model, { stream: true })
    await expect(answer.text()).rejects.toBeInstanceOf(Error)
    expect(sandbox.bill()[0]).toMatchObject({ outputTokens: 3, outcome: 'cut_by_fault' })
  })

  it.each(['cut-after-3', 'reset-after-3', 'error-after-3'])(
    'breaks a whole answer: %s',
    async (model) => {
      await expect(messages(model).then((answer) => answer.text())).rejects.toBeInstanceOf(Error)
    },
  )

  it('reports an error in band and stops there', async () => {
    const text = await (await messages('error-after-2', { stream: true })).text()
    expect(eventNames(text).at(-1)).toBe('error')
    expect(text).not.toContain('message_stop')
    const chatText = await (await chat('error-after-2', { stream: true })).text()
    expect(at(frames(chatText).at(-1), 'error.type')).toBe('server_error')
  })

  it('stalls until the client leaves', async () => {
    const stop = new AbortController()
    const body = { model: 'stall-after-2', messages: USER, stream: true }
    const answer = await post('/v1/chat/completions', body, { signal: stop.signal })
    setTimeout(() => stop.abort(), 50)
    await expect(answer.text()).rejects.toBeInstanceOf(Error)
    expect(sandbox.bill()[0]).toMatchObject({ outputTokens: 2, outcome: 'cut_by_fault' })
  })

  it('reports no usage, or zero, while the bill holds the truth', async () => {
    const none: unknown = await (await chat('no-usage+words-4')).json()
    expect(at(none, 'usage')).toBeUndefined()
    const zero: unknown = await (await chat('usage-zero+words-4')).json()
    expect(at(zero, 'usage.completion_tokens')).toBe(0)
    expect(sandbox.bill().map((line) => [line.outputTokens, line.usageReported])).toEqual([
      [4, false],
      [4, true],
    ])
  })

  it('answers 200 with an error, no JSON, a page or a redirect', async () => {
    expect(at(await (await chat('error-in-200')).json(), 'error.type')).toBe('server_error')
    await expect((await chat('not-json')).json()).rejects.toBeInstanceOf(Error)
    expect((await chat('html')).headers.get('content-type')).toContain('text/html')
    const moved = await post(
      '/v1/chat/completions',
      { model: 'redirect', messages: USER },
      { redirect: 'manual' },
    )
    expect(moved.status).toBe(307)
    expect(sandbox.billTotals().outputTokens).toBe(0)
  })

  it('keeps the text whole however oddly it is framed', async () => {
    const plain = frames(await (await chat('words-4', { stream: true })).text())
    for (const model of ['chunked-weird', 'gzip', 'crlf', 'comment-ping', 'chunked-weird+crlf']) {
      const answer = await chat(`${model}+words-4`, { stream: true })
      const seen = frames(await answer.text())
      expect([model, joined(seen, CONTENT)]).toEqual([model, joined(plain, CONTENT)])
    }
  })

  it('writes broken UTF-8 and huge lines', async () => {
    const bytes = new Uint8Array(await (await chat('bad-utf8', { stream: true })).arrayBuffer())
    expect(bytes.includes(0xff)).toBe(true)
    const huge = await (await chat('huge-line-300000', { stream: true })).text()
    expect(Math.max(...huge.split('\n').map((line) => line.length))).toBeGreaterThan(300_000)
  })
})

describe('a client that leaves', () => {
  it('pays for the tokens written until then, and generation stops', async () => {
    const stop = new AbortController()
    const body = { model: 'words-200+delay-10', messages: USER, stream: true }
    const answer = await post('/v1/chat/completions', body, { signal: stop.signal })
    setTimeout(() => stop.abort(), 100)
    await expect(answer.text()).rejects.toBeInstanceOf(Error)
    await pause(50)
    const [line] = sandbox.bill()
    expect(line?.outcome).toBe('cut_by_client')
    expect(line?.outputTokens).toBeGreaterThan(1)
    expect(line?.outputTokens).toBeLessThan(30)
    await pause(50)
    expect(sandbox.bill()[0]?.outputTokens).toBe(line?.outputTokens)
  })

  it('pays for a part of a whole answer too', async () => {
    const stop = AbortSignal.timeout(80)
    const body = { model: 'words-100+delay-10', messages: USER, max_tokens: 500 }
    await expect(post('/v1/messages', body, { signal: stop })).rejects.toBeInstanceOf(Error)
    await pause(30)
    expect(sandbox.bill()[0]?.outcome).toBe('cut_by_client')
    expect(sandbox.bill()[0]?.outputTokens).toBeLessThan(20)
    expect(sandbox.bill()[0]?.outputTokens).toBeGreaterThan(2)
  })
})

describe('views', () => {
  it('shows the bill and the raw requests, and clears both', async () => {
    const body = '{ "model":"words-2",  "messages":[{"role":"user","content":"hi"}] }'
    await post('/openai/deployments/x/chat/completions?api-version=1', body, {
      headers: { 'x-request-id': 'gw-1', 'X-Odd': 'Kept' },
    })
    const bill: unknown = await (await fetch(`${sandbox.url}/sandbox/bill`)).json()
    expect(at(bill, 'items.0.gatewayRequestId')).toBe('gw-1')
    expect(at(bill, 'totals.outputTokens')).toBe(2)
    const log: unknown = await (await fetch(`${sandbox.url}/sandbox/requests`)).json()
    const sent = Buffer.from(String(at(log, 'items.0.body_base64')), 'base64').toString()
    expect(sent).toBe(body)
    expect(at(log, 'items.0.url')).toBe('/openai/deployments/x/chat/completions?api-version=1')
    expect(at(log, 'items.0.raw_headers')).toContain('Kept')
    await fetch(`${sandbox.url}/sandbox/bill`, { method: 'DELETE' })
    expect(sandbox.bill()).toHaveLength(0)
  })

  it('lists its models in the shape of the caller', async () => {
    const list: unknown = await (await fetch(`${sandbox.url}/v1/models`)).json()
    expect(at(list, 'object')).toBe('list')
    const headers = { 'anthropic-version': '2023-06-01' }
    const theirs: unknown = await (await fetch(`${sandbox.url}/v1/models`, { headers })).json()
    expect(theirs).toMatchObject({ has_more: false })
    expect(at(theirs, 'data.0.type')).toBe('model')
    expect(SANDBOX_MODELS.filter((id) => parseBehaviour(id) === null)).toEqual([])
  })

  it('embeds: floats, base64 for the official client, and a bill', async () => {
    const ask = { model: 'text-embedding-3-small', input: ['hello', 'world'], dimensions: 4 }
    const floats: unknown = await (await post('/v1/embeddings', ask)).json()
    expect(at(floats, 'usage.prompt_tokens')).toBe(2)
    expect(at(floats, 'data.1.embedding')).toHaveLength(4)
    const encoded = await post('/v1/embeddings', { ...ask, encoding_format: 'base64' })
    const bytes = Buffer.from(String(at(await encoded.json(), 'data.0.embedding')), 'base64')
    expect(bytes.readFloatLE(0)).toBeCloseTo(Number(at(floats, 'data.0.embedding.0')))
    expect((await post('/v1/embeddings', { model: 'sandbox-embed' })).status).toBe(400)
    expect(sandbox.bill()[0]).toMatchObject({
      endpoint: 'embeddings',
      inputTokens: 2,
      outputTokens: 0,
    })
  })
})

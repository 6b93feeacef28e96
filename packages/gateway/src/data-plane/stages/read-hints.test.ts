import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CLIENT_CALLS, CLIENT_IDS, type ClientId } from '../../testing/client-calls.ts'
import {
  ask,
  type Answered,
  type Config,
  type Harness,
  startHarness,
} from '../../testing/data-plane-harness.ts'
import {
  type ScriptedUpstream,
  startScriptedUpstream,
  wholeAnswer,
} from '../../testing/scripted-upstream.ts'

let upstream: ScriptedUpstream
let harness: Harness

async function begin(keyPolicy: Config): Promise<void> {
  upstream = await startScriptedUpstream()
  harness = await startHarness({
    upstreamUrl: upstream.url,
    provider: { protocol: [...CLIENT_IDS] },
    config: {
      models: {
        m: {
          price: { input: 1, output: 2 },
          max_output: 1000,
          targets: [
            { provider: 'up', model: 'light', weight: 1 },
            { provider: 'up', model: 'heavy', weight: 9 },
          ],
        },
      },
    },
    keyPolicy,
  })
}

beforeEach(() => begin({ routing: { directives: true } }))
afterEach(async () => {
  await harness.close()
  await upstream.close()
})

async function reopen(keyPolicy: Config): Promise<void> {
  await harness.close()
  await upstream.close()
  await begin(keyPolicy)
}

async function send(
  id: ClientId,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answered & { readonly sent: string | null }> {
  const { path, answer } = CLIENT_CALLS[id]
  upstream.play = ({ socket }) => void socket.write(wholeAnswer(200, answer))
  const before = upstream.exchanges.length
  const answered = await ask(harness, { path, body, headers })
  const exchange = upstream.exchanges[before]
  return { ...answered, sent: exchange?.received.body.toString() ?? null }
}

const S = JSON.stringify
/** A request with one text of the user, and the same with another. */
const BODIES: Readonly<Record<ClientId, (text: string) => string>> = {
  'openai-chat': (text) =>
    `{ "model":"m","temperature":1.50, "messages":[{"content":${text},"role":"user"}] , "x":{"k":[1,2.0]}}`,
  'openai-responses': (text) =>
    `{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":${text}}]}], "y" : 1e2}`,
  'anthropic-messages': (text) =>
    `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":${text},"cache_control":{"type":"ephemeral"}}]}]}`,
  gemini: (text) => `{"contents":[{"parts":[{"text":${text}}]}], "z" :null}`,
}

/** What the provider gets of the same request without a directive, but for the name of the model. */
function plain(body: string): string {
  return body.replace('"model":"m"', '"model":"MODEL"')
}

const named = (sent: string | null): string =>
  (sent ?? '').replace(/"model":"(?:light|heavy)"/, '"model":"MODEL"')

describe.each(CLIENT_IDS)('%s', (id) => {
  const body = BODIES[id]

  it.each([
    ['a line', S('@@tollgate min_weight=5\nHello é'), S('Hello é')],
    ['behind words', S('Hello é @@tokenhub min_weight=5'), S('Hello é')],
    ['a block', S('Hello\n@@tollgate\nmin_weight=5\n@@end\nthere'), S('Hello\nthere')],
    [
      'escaped',
      '"\\u0040\\u0040tollgate min_weight=5\\nHello \\u00e9 \\ud83d\\ude00"',
      '"Hello \\u00e9 \\ud83d\\ude00"',
    ],
    ['escaped letters', '"😀\\n@@\\u0074ollgate min_weight=5\\nHello"', '"😀\\nHello"'],
  ])('follows %s, and the provider gets every other byte', async (_, text, left) => {
    const { status, sent } = await send(id, body(text))
    expect(status).toBe(200)
    expect(named(sent)).toBe(plain(body(left)))
    expect(harness.records.at(-1)?.target).toBe('up/heavy')
  })

  it('passes the text of a key that has not opted in', async () => {
    await reopen({})
    const written = body(S('@@tollgate min_weight=5 mode=nonsense\nHello'))
    const { status, sent } = await send(id, written, { 'x-tollgate-min-weight': '5' })
    expect(status).toBe(200)
    expect(named(sent)).toBe(plain(written))
    expect(harness.records.at(-1)?.target).toBe('up/light')
  })

  it('cuts what cannot be followed, and tells it', async () => {
    const { status, sent, headers } = await send(
      id,
      body(S('@@tollgate mode=nonsense budget=-1 latency=1e9 Color=red oops\nHello')),
    )
    expect(status).toBe(200)
    expect(named(sent)).toBe(plain(body(S('Hello'))))
    expect(headers['x-tollgate-directives-ignored']).toBe('malformed, mode, budget, latency, color')
  })

  it('asks for an answer by a schema', async () => {
    const { status, sent } = await send(
      id,
      body(S('@@tollgate output_schema={"type": "object"}\nHello')),
    )
    expect(status).toBe(200)
    expect(JSON.parse(sent ?? '')).toMatchObject(SCHEMA_OF[id])
    const clash = { ...JSON.parse(body(S('@@tollgate output_schema={}'))), ...FORM_OF[id] }
    const refused = await send(id, S(clash))
    expect([refused.status, refused.sent]).toEqual([400, null])
    const broken = await send(id, body(S('@@tollgate output_schema=[1]\nHello')))
    expect([broken.status, broken.sent]).toEqual([400, null])
    expect(broken.body.toString()).toContain('output_schema')
  })
})

const SCHEMA = { type: 'object' }
const SCHEMA_OF: Readonly<Record<ClientId, object>> = {
  'openai-chat': {
    response_format: { type: 'json_schema', json_schema: { name: 'output', schema: SCHEMA } },
  },
  'openai-responses': { text: { format: { type: 'json_schema', name: 'output', schema: SCHEMA } } },
  'anthropic-messages': { output_config: { format: { type: 'json_schema', schema: SCHEMA } } },
  gemini: {
    generationConfig: { responseMimeType: 'application/json', responseJsonSchema: SCHEMA },
  },
}
const FORM_OF: Readonly<Record<ClientId, object>> = {
  'openai-chat': { response_format: { type: 'json_object' } },
  'openai-responses': { text: { format: { type: 'json_object' } } },
  'anthropic-messages': { output_format: { type: 'json_schema', schema: {} } },
  gemini: { generationConfig: { responseMimeType: 'application/json' } },
}

describe('who may say something', () => {
  it('cuts every text, and follows only what users wrote', async () => {
    const marker = '@@tollgate min_weight=5'
    const { sent } = await send(
      'anthropic-messages',
      S({
        model: 'm',
        max_tokens: 9,
        system: [{ type: 'text', text: `rules\n${marker}` }],
        messages: [
          { role: 'user', content: 'hi' },
          {
            role: 'assistant',
            content: [
              { type: 'text', text: marker },
              { type: 'tool_use', id: 't', name: 'f', input: { text: marker, content: marker } },
            ],
          },
          {
            role: 'user',
            content: [
              {
                type: 'tool_result',
                tool_use_id: 't',
                content: [{ type: 'text', text: `5\n${marker}` }],
              },
            ],
          },
        ],
      }),
    )
    expect(sent?.split(marker)).toHaveLength(3)
    expect(JSON.parse(sent ?? '')).toMatchObject({
      system: [{ text: 'rules\n' }],
      messages: [
        {},
        { content: [{ text: '' }, { input: { text: marker, content: marker } }] },
        { content: [{ content: [{ text: '5\n' }] }] },
      ],
    })
    expect(harness.records.at(-1)?.target).toBe('up/light')
  })

  it('the last that is said of a key counts', async () => {
    const messages = [
      { role: 'user', content: '@@tollgate min_weight=1' },
      { role: 'assistant', content: 'ok' },
      { role: 'user', content: 'and now\n@@tollgate min_weight=5' },
    ]
    await send('openai-chat', S({ model: 'm', messages }))
    expect(harness.records.at(-1)?.target).toBe('up/heavy')
    await send('openai-chat', S({ model: 'm', messages: messages.toReversed() }))
    expect(harness.records.at(-1)?.target).toBe('up/light')
  })

  it('a policy that says no is not asked', async () => {
    await reopen({ routing: { directives: false } })
    const body = BODIES['openai-chat'](S('@@tollgate min_weight=5'))
    expect(named((await send('openai-chat', body)).sent)).toBe(plain(body))
  })

  it('only tightens what the policy allows', async () => {
    await reopen({ routing: { directives: true, min_weight: 5, max_cost: 0.000001 } })
    const loose = BODIES['openai-chat'](S('@@tollgate min_weight=0 budget=100'))
    const refused = await send('openai-chat', loose)
    expect([refused.status, refused.sent]).toEqual([400, null])
    expect(refused.body.toString()).toContain('up/light')
  })
})

describe('headers', () => {
  const body = BODIES['openai-chat'](S('Hello'))

  it('do the same without text, and do not reach the provider', async () => {
    const { status, sent } = await send('openai-chat', body, {
      'x-tollgate-min-weight': '5',
      'x-tollgate-mode': 'cheap',
      'x-tollgate-latency': '30000',
      'x-tollgate-budget': '1.5',
      'x-tollgate-output-schema': '{"type":"object"}',
    })
    expect(status).toBe(200)
    expect(JSON.parse(sent ?? '')).toMatchObject(SCHEMA_OF['openai-chat'])
    const { target, routing } = harness.records.at(-1) ?? {}
    expect([target, routing?.strategy, routing?.mode]).toEqual(['up/heavy', 'score', 'cheap'])
    expect(upstream.exchanges.at(-1)?.received.head).not.toContain('x-tollgate')
  })

  it('say the mode before a text does; of bounds the tightest holds', async () => {
    const text = S('@@tollgate mode=high_confidence min_weight=5\nHello')
    await send('openai-chat', BODIES['openai-chat'](text), {
      'x-tollgate-mode': 'cheap',
      'x-tollgate-min-weight': '0',
    })
    const { target, routing } = harness.records.at(-1) ?? {}
    expect([target, routing?.mode]).toEqual(['up/heavy', 'cheap'])
  })

  it.each([
    ['x-tollgate-mode', 'nonsense'],
    ['x-tollgate-budget', '101'],
    ['x-tollgate-budget', 'much'],
    ['x-tollgate-latency', '0'],
    ['x-tollgate-min-weight', '-1'],
    ['x-tollgate-output-schema', '[]'],
  ])('%s: %s is refused', async (name, value) => {
    const { status, sent } = await send('openai-chat', body, { [name]: value })
    expect([status, sent]).toEqual([400, null])
  })
})

function wrapped(policy: Config, text = 'Hello'): Promise<Answered> {
  const { answer } = CLIENT_CALLS['openai-chat']
  upstream.play = ({ socket }) => void socket.write(wholeAnswer(200, answer))
  const request = { model: 'm', messages: [{ role: 'user', content: text }] }
  return ask(harness, { path: '/v1/chat', body: S({ request, policy }) })
}

describe("TokenHub's envelope", () => {
  it.each([true, false])(
    'asks by its policy, whether texts may or not (%s)',
    async (directives) => {
      await reopen({ routing: { directives } })
      const policy = { mode: 'cheap', min_weight: 5, max_budget_usd: 1, max_latency_ms: 9000 }
      expect((await wrapped(policy)).status).toBe(200)
      const { target, routing } = harness.records.at(-1) ?? {}
      expect([target, routing?.mode]).toEqual(['up/heavy', 'cheap'])
    },
  )

  it('gives way to what a text says, where it may', async () => {
    await wrapped({ mode: 'cheap' }, '@@tokenhub mode=high_confidence')
    expect(harness.records.at(-1)?.routing?.mode).toBe('high_confidence')
  })

  it.each([
    { mode: 'nonsense' },
    { mode: 5 },
    { min_weight: -1 },
    { max_budget_usd: 101 },
    { other: 1 },
  ])('%j is refused', async (policy) => expect((await wrapped(policy)).status).toBe(400))
})

it('a hostile heap of markers is cut quickly, or refused', async () => {
  const nested = '@@toll'.repeat(1000) + '@@tollgate\n@@end\ngate\n@@end\n'.repeat(1000)
  for (const text of ['@@tollgate\n'.repeat(50_000), nested, '@@tollgate a={'.repeat(20_000)]) {
    const { status, sent } = await send('openai-chat', BODIES['openai-chat'](S(text)))
    expect([200, 400]).toContain(status)
    expect(sent ?? '').not.toMatch(/@@tollgate(?![\w-])/)
  }
})

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ask, type Harness, startHarness } from '../../testing/data-plane-harness.ts'
import {
  chunk,
  LAST_CHUNK,
  fieldOf,
  type Received,
  type ScriptedUpstream,
  startScriptedUpstream,
  STREAM_HEAD,
  streamAnswer,
  wholeAnswer,
} from '../../testing/scripted-upstream.ts'
import { everySplit, fixture } from '../../testing/tap-replay.ts'

const PROTOCOLS = new URL('../../protocols/', import.meta.url)
const chatFixture = (name: string) => fixture(new URL('openai-chat/', PROTOCOLS), name)
const messagesFixture = (name: string) => fixture(new URL('anthropic-messages/', PROTOCOLS), name)
const CHAT_OK = wholeAnswer(200, chatFixture('whole.json'))

let upstream: ScriptedUpstream
let harness: Harness
beforeAll(async () => {
  upstream = await startScriptedUpstream()
  harness = await startHarness({
    upstreamUrl: upstream.url,
    provider: {
      headers: { 'x-operator': 'one', 'openai-organization': 'org-ours' },
      query: { fixed: '1' },
    },
    config: {
      // A limit on tokens would cap what an unknown model may write.
      policy: { default_provider: 'up' },
      models: {
        public: { targets: [{ provider: 'up', model: 'vendor/real-e' }] },
      },
    },
  })
})
afterAll(async () => {
  await harness.close()
  await upstream.close()
})
beforeEach(() => {
  upstream.exchanges.length = 0
  upstream.play = ({ socket }) => void socket.write(CHAT_OK)
})

function sent(): Received {
  const [exchange] = upstream.exchanges
  if (exchange === undefined) throw new Error('nothing was sent upstream')
  return exchange.received
}

const M = '"messages":[{"role":"user","content":"hi"}]'
const BODIES: readonly string[] = [
  `{"model":"m",${M}}`,
  `{${M},"model":"m"}`,
  ` \n\t{ "model" : "m" , ${M} } \r\n`,
  `{"model":"m",${M}}\n`,
  `{"model":"m",${M},"seed":9007199254740993}`,
  `{"model":"m",${M},"seed":123456789012345678901234567890}`,
  `{"model":"m",${M},"temperature":1e5,"top_p":1E-2,"x":1.0,"y":-0,"z":0.10}`,
  `{"model":"m",${M},"x":1e+5,"y":1.50E+00}`,
  `{"model":"m","messages":[{"role":"user","content":"\\u00e9 é \\u6f22 漢"}]}`,
  `{"model":"m","messages":[{"role":"user","content":"\\ud83d\\ude00 😀 👩‍👩‍👧"}]}`,
  `{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}`,
  `{"model":"m","messages":[{"role":"user","content":"\\udc00\\ud800 tail"}]}`,
  `{"model":"m","messages":[{"role":"user","content":"a\\u0000b"}]}`,
  `{"model":"m","messages":[{"role":"user","content":"\\/\\b\\f\\n\\r\\t\\"\\\\"}]}`,
  `{"model":"m","messages":[{"role":"user","content":"\u2028\u2029\uFEFF\u200b"}]}`,
  `{"model":"m","messages":[{"role":"user","content":"e\u0301 vs é"}]}`,
  `{"model":"m","messages":[{"role":"user","content":"\u007f"}]}`,
  `{"\\u006dodel":"m",${M}}`,
  `{"model":"\\u006d",${M}}`,
  `{"model":"m",${M},"unknown_field":{"deep":[1,{"a":null}]},"":0}`,
  `{"model":"m",${M},"tools":[],"stop":[],"metadata":{}}`,
  `{"model":"m",${M},"z":1,"a":2,"10":3,"2":4}`,
  `{"model":"m",${M},"__proto__":{"x":1},"constructor":1,"toString":2}`,
  `{"model":"m",${M},"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"model":{"type":"string"},"stream":{"$ref":"#/$defs/x"}},"additionalProperties":false,"$defs":{"x":{"anyOf":[{"const":1},{"enum":[]}]}}}}}]}`,
  `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}}]}]}`,
  `{"model":"m","messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\\"a\\": 1 , \\"b\\":\\"\\\\u00e9\\"}"}}]}]}`,
  `{"model":"m","messages":[{"role":"assistant","content":"","refusal":null,"audio":{"id":"a"}}]}`,
  `{"model":"m",${M},"max_tokens":5}`,
  `{"model":"m",${M},"max_completion_tokens":5,"n":2}`,
  `{"model":"m",${M},"max_tokens":null,"n":null,"stream":null}`,
  `{"model":"m",${M},"stream":false,"stream_options":null}`,
  `{"model":"m",${M},"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{},"strict":true}}}`,
  `{"model":"m",${M},"logit_bias":{"50256":-100},"user":"ü"}`,
  `{"model":"m",${M},"prediction":{"type":"content","content":"x"},"service_tier":"flex"}`,
  `{"model":"m",${M},"x":${'['.repeat(63)}${']'.repeat(63)}}`,
  `{"model":"m",${M},"x":"${'a'.repeat(100_000)}"}`,
  `{"model":"m","messages":[{"role":"user","content":"${'\\\\'.repeat(1000)}"}]}`,
  `{"model":"m","messages":[{"role":"developer","content":"x","name":"n"},{"role":"tool","tool_call_id":"1","content":"y"},{"role":"function","name":"f","content":"z"}]}`,
  `{"model":"m",${M},"reasoning_effort":"high","verbosity":"low","store":true,"prompt_cache_key":"k"}`,
  `{"model":"m",${M},"input":"both","instructions":"x"}`,
  `{"model":"m",${M},"x":[1,2.0,-3e-7,true,false,null,""]}`,
]

const MESSAGES_BODIES: readonly string[] = [
  `{"model":"m","max_tokens":9,"system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=2.1","cache_control":{"type":"ephemeral"}}],${M}}`,
  `{"max_tokens":9,"model":"m","thinking":{"type":"enabled","budget_tokens":1024},"messages":[{"role":"user","content":"q"},{"role":"assistant","content":[{"type":"thinking","thinking":"h\\u00e9","signature":"EqQBCgIYAhIM1gbcDa9GJwZA2b3h+/=="},{"type":"redacted_thinking","data":"Emw=="},{"type":"tool_use","id":"toolu_1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","is_error":false,"content":[{"type":"text","text":"","cache_control":{"type":"ephemeral","ttl":"5m"}}]}]}]}`,
  `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0x"},"citations":{"enabled":true}},{"type":"image","source":{"type":"url","url":"https://x.test/a.png"}}]}]}`,
  `{"model":"m","max_tokens":9,"tools":[{"type":"web_search_20250305","name":"web_search","max_uses":5},{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"any","disable_parallel_tool_use":true},"mcp_servers":[],"container":null,"context_management":{"edits":[]},${M}}`,
  `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"},{"role":"system","content":"mid"},{"role":"assistant","content":"pre"}],"stop_sequences":[],"metadata":{"user_id":"user_x_account__session_y"},"temperature":1.0}`,
]

describe('a request', () => {
  it.each(BODIES)('arrives byte for byte: %s', async (body) => {
    expect((await ask(harness, { body })).status).toBe(200)
    expect(sent().body.equals(Buffer.from(body))).toBe(true)
  })

  it.each(MESSAGES_BODIES)('on Messages arrives byte for byte: %s', async (body) => {
    upstream.play = ({ socket }) =>
      void socket.write(wholeAnswer(200, messagesFixture('whole.json')))
    for (const path of ['/v1/messages', '/v1/messages?beta=true']) {
      upstream.exchanges.length = 0
      const answer = await ask(harness, { path, body })
      expect(answer.status).toBe(200)
      expect(sent().body.equals(Buffer.from(body))).toBe(true)
      expect(sent().head.split('\r\n')[0]).toBe(
        `POST /v1/messages?fixed=1${path.endsWith('true') ? '&beta=true' : ''} HTTP/1.1`,
      )
      expect(answer.body.equals(messagesFixture('whole.json'))).toBe(true)
    }
  })

  it('is renamed where a model stands for another, and in no other byte', async () => {
    for (const body of BODIES.filter((one) => one.includes('"model":"m"'))) {
      upstream.exchanges.length = 0
      const asked = body.replace('"model":"m"', '"model":"public"')
      expect((await ask(harness, { body: asked })).status).toBe(200)
      const wanted = body.replace('"model":"m"', '"model":"vendor/real-e"')
      expect(sent().body.toString()).toBe(wanted)
    }
  })

  it('asks for usage on a stream, and changes nothing else', async () => {
    upstream.play = ({ socket }) => void socket.write(streamAnswer([chatFixture('text.sse')]))
    const body = ` {"stream" : true,"model":"m",${M},"seed":9007199254740993 }\n`
    await ask(harness, { body })
    expect(sent().body.toString()).toBe(
      ` {"stream" : true,"model":"m",${M},"seed":9007199254740993,"stream_options":{"include_usage":true} }\n`,
    )
  })

  it('says nothing of hosts and credentials', async () => {
    const body = `{"api_base":"http://127.0.0.1:1","model":"m","extra_headers":{"authorization":"x"},${M},"base_url":"http://127.0.0.1:1"}`
    await ask(harness, { body })
    expect(sent().body.toString()).toBe(`{"model":"m",${M}}`)
  })

  it('passes the headers of its protocol, and never who the client is', async () => {
    await ask(harness, {
      path: '/v1/chat/completions?beta=true&model=other&key=k&a=%C3%A9&fixed=2&api_key=z',
      body: `{"model":"m",${M}}`,
      headers: {
        accept: 'application/json',
        'user-agent': 'Agent/1.0',
        'x-stainless-lang': 'js',
        'openai-beta': 'assistants=v2',
        'openai-organization': 'org-theirs',
        'openai-project': 'proj-theirs',
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        'x-session-id': 's',
        cookie: 'a=b',
        'proxy-authorization': 'x',
        'x-forwarded-for': '1.2.3.4',
        'x-forwarded-host': 'evil',
        forwarded: 'for=1.2.3.4',
        'x-real-ip': '1.2.3.4',
        'x-user-id': 'u',
        'x-team-id': 't',
        'x-tollgate-project': 'p',
        'accept-encoding': 'gzip, br',
        'x-request-id': 'client-chosen',
        'x-portkey-custom-host': 'http://127.0.0.1:1',
        'x-unknown': 'z',
        te: 'trailers',
        'anthropic-version': '2023-06-01',
      },
    })
    const { fields, head } = sent()
    expect(head.split('\r\n')[0]).toBe(
      'POST /v1/chat/completions?fixed=1&beta=true&a=%C3%A9 HTTP/1.1',
    )
    const names = fields.map(([name]) => name).toSorted()
    expect(names).toEqual(
      [
        'accept',
        'accept-encoding',
        'authorization',
        'connection',
        'content-length',
        'content-type',
        'host',
        'openai-beta',
        'openai-organization',
        'traceparent',
        'user-agent',
        'x-operator',
        'x-request-id',
        'x-session-id',
        'x-stainless-lang',
      ].toSorted(),
    )
    expect(fieldOf(sent(), 'authorization')).toBe('Bearer local-secret')
    expect(fieldOf(sent(), 'accept-encoding')).toBe('identity')
    expect(fieldOf(sent(), 'openai-organization')).toBe('org-ours')
    expect(fieldOf(sent(), 'x-request-id')).toMatch(/^req_/)
    expect(head).not.toContain(harness.secret)
  })

  it('carries a credential in the URL where the provider wants it there', async () => {
    const other = await startHarness({
      upstreamUrl: upstream.url,
      provider: { auth: { kind: 'query', name: 'key' } },
    })
    await ask(other, { path: '/v1/chat/completions?key=theirs', body: BODIES[0] ?? '' })
    await other.close()
    expect(sent().head.split('\r\n')[0]).toBe('POST /v1/chat/completions?key=local-secret HTTP/1.1')
    expect(fieldOf(sent(), 'authorization')).toBe(undefined)
  })

  it('on Messages keeps the version and features that go with its body', async () => {
    upstream.play = ({ socket }) =>
      void socket.write(wholeAnswer(200, messagesFixture('whole.json')))
    const headers = {
      'anthropic-version': '2024-01-01',
      'anthropic-beta': 'claude-code-20250219,interleaved-thinking-2025-05-14',
      'x-claude-code-session-id': 'abc',
      'x-app': 'cli',
      'anthropic-dangerous-direct-browser-access': 'true',
    }
    await ask(harness, { path: '/v1/messages', body: MESSAGES_BODIES[0] ?? '', headers })
    for (const [name, value] of Object.entries(headers)) expect(fieldOf(sent(), name)).toBe(value)
  })
})

describe('an answer', () => {
  it('arrives byte for byte, with our name and limits and not theirs', async () => {
    const body = Buffer.from('{ "choices" : [ ],"x":9007199254740993,"y":"\\u00e9é\\ud800" }\n')
    upstream.play = ({ socket }) =>
      void socket.write(
        wholeAnswer(200, body, [
          'content-type: application/json; charset=utf-8',
          'x-request-id: req_theirs',
          'request-id: req_theirs',
          'x-ratelimit-remaining-tokens: 7',
          'anthropic-ratelimit-tokens-remaining: 7',
          'openai-organization: org-ours',
          'openai-processing-ms: 12',
          'openai-version: 2020-10-01',
          'set-cookie: a=b',
          'server: cloudflare',
          'cf-ray: x',
          'via: 1.1 x',
          'connection: keep-alive',
        ]),
      )
    const answer = await ask(harness, { body: `{"model":"m",${M}}` })
    expect(answer.body.equals(body)).toBe(true)
    expect(answer.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'openai-processing-ms': '12',
      'openai-version': '2020-10-01',
      'x-tollgate-model': 'm',
      'x-tollgate-provider': 'up',
      'x-tollgate-attempts': '1',
    })
    for (const name of [
      'set-cookie',
      'server',
      'cf-ray',
      'via',
      'openai-organization',
      'request-id',
    ]) {
      expect(answer.headers[name]).toBe(undefined)
    }
    expect(answer.headers['x-request-id']).not.toBe('req_theirs')
    expect(answer.headers['x-ratelimit-remaining-tokens']).not.toBe('7')
    expect(harness.records.at(-1)?.upstreamRequestId).toBe('req_theirs')
  })

  it.each([400, 404, 409, 413, 422, 429, 500, 503, 529])(
    'of status %i arrives byte for byte',
    async (status) => {
      const body = `{ "error": {"message":"prompt is too long: 210000 tokens > 200000 maximum \\u00e9","status":${status}}}\n`
      upstream.play = ({ socket }) =>
        void socket.write(
          wholeAnswer(status, body, [
            'content-type: text/odd',
            'retry-after: 3',
            'x-should-retry: false',
          ]),
        )
      const answer = await ask(harness, { body: `{"model":"m",${M}}` })
      expect(answer.status).toBe(status)
      expect(answer.body.toString()).toBe(body)
      expect(answer.headers).toMatchObject({
        'content-type': 'text/odd',
        'retry-after': '3',
        'x-should-retry': 'false',
      })
    },
  )

  const STREAMS = [
    'text',
    'tools',
    'azure',
    'reasoning',
    'two-choices',
    'comments',
    'bom',
    'no-space',
    'crlf',
    'cr',
    'usage-with-content',
    'spaced-json',
    'no-last-blank-line',
  ]

  it.each(STREAMS)('streamed as %s arrives byte for byte', async (name) => {
    const bytes = chatFixture(`${name}.sse`)
    upstream.play = ({ socket }) => void socket.write(streamAnswer([bytes]))
    const body = `{"model":"m",${M},"stream":true,"stream_options":{"include_usage":true}}`
    const answer = await ask(harness, { body })
    expect(answer.body.equals(bytes)).toBe(true)
    expect(answer.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    })
    expect(answer.headers['content-length']).toBe(undefined)
  })

  it.each([
    'text',
    'tools',
    'thinking',
    'cached',
    'comments',
    'bom',
    'crlf',
    'cr',
    'no-last-blank-line',
  ])('on Messages streamed as %s arrives byte for byte', async (name) => {
    const bytes = messagesFixture(`${name}.sse`)
    upstream.play = ({ socket }) => void socket.write(streamAnswer([bytes]))
    const body = `{"model":"m","max_tokens":5,${M},"stream":true}`
    expect((await ask(harness, { path: '/v1/messages', body })).body.equals(bytes)).toBe(true)
  })

  it('loses only the usage chunk that nobody asked for', async () => {
    const bytes = chatFixture('usage-asked.sse').toString()
    upstream.play = ({ socket }) => void socket.write(streamAnswer([bytes]))
    const answer = await ask(harness, { body: `{"model":"m",${M},"stream":true}` })
    const frames = bytes.split(/(?<=\n\n)/)
    expect(answer.body.toString()).toBe(
      frames.filter((frame) => !frame.includes('"choices":[]')).join(''),
    )
    expect(harness.records.at(-1)?.usage.outputTokens).toBe(10)
  })

  it('streamed is the same however the upstream cuts it', async () => {
    const whole = Buffer.from(
      'data: {"choices":[{"delta":{"content":"é😀"},"finish_reason":null}]}\r\n\r\n: c\r\n\r\n' +
        'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\rdata: [DONE]\r\n\r\n',
    )
    let pieces: readonly Buffer[] = []
    upstream.play = ({ socket }) =>
      void socket.write(
        Buffer.concat([Buffer.from(STREAM_HEAD), ...pieces.map(chunk), Buffer.from(LAST_CHUNK)]),
      )
    const body = `{"model":"m",${M},"stream":true,"stream_options":{"include_usage":true}}`
    for (pieces of everySplit(whole)) {
      const answer = await ask(harness, { body })
      expect(answer.body.toString('latin1')).toBe(whole.toString('latin1'))
    }
  }, 30_000)
})

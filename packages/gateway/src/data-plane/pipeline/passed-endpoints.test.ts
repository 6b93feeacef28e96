import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  ask,
  type Answered,
  type Harness,
  leftovers,
  NOTHING_LEFT,
  openRaw,
  rawPost,
  startHarness,
} from '../../testing/data-plane-harness.ts'
import {
  chunk,
  LAST_CHUNK,
  type ScriptedUpstream,
  startScriptedUpstream,
  streamAnswer,
  wholeAnswer,
} from '../../testing/scripted-upstream.ts'

const PRICE = { input: 1, output: 2 }
const BOUNDARY = '----formdata-0123456789'
const SOUND_HEAD =
  'HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n'
const SOUND = Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 31) % 256))

let upstream: ScriptedUpstream
let harness: Harness
beforeAll(async () => {
  upstream = await startScriptedUpstream()
  harness = await startHarness({
    upstreamUrl: upstream.url,
    config: {
      models: {
        public: { targets: [{ provider: 'up', model: 'vendor/real' }], price: PRICE },
        'omni-moderation-latest': { targets: [{ provider: 'up', model: 'moderator' }] },
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
  harness.records.length = 0
})

function sentBody(): Buffer {
  const [exchange] = upstream.exchanges
  if (exchange === undefined) throw new Error('nothing was sent upstream')
  return exchange.received.body
}

function answerWith(answer: Buffer | readonly Buffer[]): void {
  upstream.play = ({ socket }) => {
    for (const bytes of Array.isArray(answer) ? answer : [answer]) socket.write(bytes)
  }
}

function post(path: string, body: unknown): Promise<Answered> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return ask(harness, { path, body: text })
}

function formBody(fields: readonly (readonly [string, string | Buffer])[]): Buffer {
  const parts = fields.flatMap(([head, content]) => [
    Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; ${head}\r\n\r\n`),
    Buffer.from(content),
    Buffer.from('\r\n'),
  ])
  return Buffer.concat([...parts, Buffer.from(`--${BOUNDARY}--\r\n`)])
}

function postForm(path: string, body: Buffer, boundary = BOUNDARY): Promise<Answered> {
  const headers = { 'content-type': `multipart/form-data; boundary=${boundary}` }
  return ask(harness, { path, headers, body })
}

const FILE = ['name="file"; filename="a.mp3"', SOUND] as const
const AUDIO = '/v1/audio/transcriptions'

describe('completions', () => {
  it('passes the body but for the name, and reads usage', async () => {
    const answer =
      '{"choices":[{"text":"yes","finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}'
    answerWith(wholeAnswer(200, answer))
    const body = '{ "prompt":["a",[1,2]], "suffix":"z","n":2,"best_of":3,"model":"public" }'
    const answered = await post('/v1/completions', body)
    expect(answered.body.toString()).toBe(answer)
    expect(sentBody().toString()).toContain(
      '{ "prompt":["a",[1,2]], "suffix":"z","n":2,"best_of":3,"model":"vendor/real"',
    )
    expect(harness.records[0]).toMatchObject({
      endpoint: 'completions',
      usage: { inputTokens: 3, outputTokens: 1 },
      costNanoUsd: 5000,
      complete: true,
    })
  })

  it('asks for usage on a stream, and keeps it to itself', async () => {
    const text = 'data: {"choices":[{"text":"yes","finish_reason":null}]}\n\n'
    const last = 'data: {"choices":[{"text":"","finish_reason":"stop"}]}\n\n'
    const usage = 'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n'
    answerWith(streamAnswer([text + last + usage + 'data: [DONE]\n\n']))
    const answered = await post('/v1/completions', { model: 'public', prompt: 'a', stream: true })
    expect(answered.body.toString()).toBe(`${text}${last}data: [DONE]\n\n`)
    expect(sentBody().toString()).toContain('"stream_options":{"include_usage":true}')
    expect(harness.records[0]).toMatchObject({ usage: { outputTokens: 1 }, estimated: false })
  })

  it.each([
    ['{"model":"public"}', 'prompt'],
    ['{"model":"public","prompt":[]}', 'prompt'],
    ['{"model":"public","prompt":"a","best_of":0}', 'best_of'],
    ['{"model":"public","prompt":"a","Prompt":"b"}', 'prompt'],
  ])('refuses %s', async (body, param) => {
    const answered = await post('/v1/completions', body)
    expect(answered.status).toBe(400)
    expect(JSON.parse(answered.body.toString())).toMatchObject({ error: { param } })
  })

  it('takes a cap of nothing', async () => {
    answerWith(wholeAnswer(200, '{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":0}}'))
    const body = { model: 'public', prompt: 'a', max_tokens: 0, echo: true }
    expect((await post('/v1/completions', body)).status).toBe(200)
  })
})

describe('moderations', () => {
  it('are free, and may name no model', async () => {
    answerWith(wholeAnswer(200, '{"id":"modr","model":"m","results":[{"flagged":false}]}'))
    const answered = await post('/v1/moderations', '{"input":"a"}')
    expect(answered.status).toBe(200)
    expect(sentBody().toString()).toBe('{"input":"a","model":"moderator"}')
    expect(harness.records[0]).toMatchObject({ endpoint: 'moderations', costNanoUsd: 0 })
  })
})

describe('rerank', () => {
  it.each([
    ['{"results":[],"usage":{"total_tokens":7}}', 7, false],
    ['{"results":[],"meta":{"billed_units":{"input_tokens":8}}}', 8, false],
    ['{"data":[],"usage":{"prompt_tokens":9}}', 9, false],
  ])('%s', async (answer, inputTokens, estimated) => {
    answerWith(wholeAnswer(200, answer))
    const body = { model: 'public', query: 'q', documents: ['a', { text: 'b' }] }
    expect((await post('/v1/rerank', body)).body.toString()).toBe(answer)
    expect(harness.records[0]).toMatchObject({ usage: { inputTokens, outputTokens: 0 }, estimated })
  })
})

describe('images', () => {
  const ASKED = { model: 'public', prompt: 'a cat' }
  const USAGE = '{"input_tokens":10,"output_tokens":20,"input_tokens_details":{"text_tokens":10}}'

  it('reads the usage of an answer', async () => {
    const answer = `{"created":1,"data":[{"b64_json":"AAAA"}],"usage":${USAGE}}`
    answerWith(wholeAnswer(200, answer))
    expect((await post('/v1/images/generations', ASKED)).body.toString()).toBe(answer)
    expect(harness.records[0]).toMatchObject({ endpoint: 'images', costNanoUsd: 50_000 })
  })

  it.each([
    ['without usage', '{"data":[{"url":"https://x"}]}'],
    ['with a second model', `{"data":[],"usage":${USAGE},"svg_usage":{"input_tokens":1}}`],
  ])('costs nobody knows what %s', async (_, answer) => {
    answerWith(wholeAnswer(200, answer))
    await post('/v1/images/generations', ASKED)
    expect(harness.records[0]).toMatchObject({
      costNanoUsd: null,
      estimated: false,
      usage: { inputTokens: null, outputTokens: null },
    })
  })

  it('passes partial images, and adds up the usage of several', async () => {
    const partial =
      'event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image","b64_json":"AAAA"}\n\n'
    const done = `event: image_generation.completed\ndata: {"type":"image_generation.completed","b64_json":"AAAA","usage":${USAGE}}\n\n`
    answerWith(streamAnswer([partial + done + partial + done]))
    const answered = await post('/v1/images/generations', { ...ASKED, stream: true, n: 2 })
    expect(answered.body.toString()).toBe(partial + done + partial + done)
    expect(harness.records[0]).toMatchObject({ complete: true, costNanoUsd: 100_000 })
  })

  it('tells a stream that broke off', async () => {
    answerWith(
      streamAnswer(['data: {"type":"image_generation.partial_image","b64_json":"AA"}\n\n']),
    )
    const answered = await post('/v1/images/generations', { ...ASKED, stream: true })
    expect(answered.body.toString()).toContain('upstream_truncated')
    expect(harness.records[0]).toMatchObject({ complete: false, costNanoUsd: null })
  })

  it('takes edits as a form and as JSON', async () => {
    const answer = `{"data":[{}],"usage":${USAGE}}`
    answerWith(wholeAnswer(200, answer))
    const body = formBody([
      ['name="image[]"; filename="a.png"', SOUND],
      ['name="image[]"; filename="b.png"', SOUND],
      ['name="prompt"', 'a hat'],
      ['name="model"', 'public'],
      ['name="n"', '2'],
    ])
    expect((await postForm('/v1/images/edits', body)).body.toString()).toBe(answer)
    const expected = body.toString('latin1').replace('\r\npublic\r\n', '\r\nvendor/real\r\n')
    expect(sentBody().toString('latin1')).toBe(expected)
    expect((await post('/v1/images/edits', { ...ASKED, images: ['https://x'] })).status).toBe(200)
    expect((await post('/v1/images/variations', ASKED)).status).toBe(415)
  })
})

describe('speech', () => {
  const ASKED = { model: 'public', input: 'hello', voice: 'alloy' }

  it('passes sound byte for byte as it comes, and does not know its cost', async () => {
    let seen = 0
    upstream.play = async ({ socket }) => {
      socket.write(SOUND_HEAD)
      for (let at = 0; at < SOUND.length; at += 1000) {
        socket.write(chunk(SOUND.subarray(at, at + 1000)))
        await new Promise((resolve) => setImmediate(resolve))
        seen++
      }
      socket.write(LAST_CHUNK)
    }
    const answered = await post('/v1/audio/speech', ASKED)
    expect(answered.body.equals(SOUND)).toBe(true)
    expect(answered.headers['content-type']).toBe('audio/mpeg')
    expect(seen).toBe(5)
    expect(harness.records[0]).toMatchObject({
      endpoint: 'audio',
      complete: true,
      costNanoUsd: null,
      estimated: false,
    })
  })

  it('ends short when the upstream does, and adds nothing to the sound', async () => {
    upstream.play = ({ socket }) => {
      socket.write(SOUND_HEAD)
      socket.write(chunk(SOUND))
      setTimeout(() => socket.destroy(), 20)
    }
    const answered = await post('/v1/audio/speech', ASKED)
    expect(answered).toMatchObject({ aborted: true, body: SOUND })
    expect(harness.records[0]).toMatchObject({ complete: false, errorClass: 'upstream_truncated' })
  })

  it('ends short when the ledger cannot be written', async () => {
    upstream.play = ({ socket }) => {
      socket.write(SOUND_HEAD)
      socket.write(chunk(SOUND))
      setTimeout(() => {
        harness.setHealthy(false)
        socket.write(LAST_CHUNK)
      }, 20)
    }
    const answered = await post('/v1/audio/speech', ASKED)
    harness.setHealthy(true)
    expect(answered).toMatchObject({ aborted: true, body: SOUND })
  })

  it('is left alone in its gaps', async () => {
    const quick = await startHarness({
      upstreamUrl: upstream.url,
      silence: { keepAliveMs: 20, stalledReaderMs: 60_000 },
    })
    upstream.play = ({ socket }) => {
      socket.write(SOUND_HEAD)
      socket.write(chunk(SOUND))
      setTimeout(() => socket.write(chunk(SOUND)), 300)
      setTimeout(() => socket.write(LAST_CHUNK), 320)
    }
    const body = '{"model":"tts","input":"hello"}'
    const answered = await ask(quick, { path: '/v1/audio/speech', body })
    expect(answered.body.equals(Buffer.concat([SOUND, SOUND]))).toBe(true)
    await quick.close()
  })

  it('stops when the client leaves, and was not free', async () => {
    upstream.play = ({ socket }) => {
      socket.write(SOUND_HEAD)
      socket.write(chunk('sound'))
    }
    const client = await openRaw(harness.port)
    client.socket.write(rawPost(harness, JSON.stringify(ASKED), '/v1/audio/speech'))
    await vi.waitFor(() => expect(client.text()).toContain('sound'))
    client.socket.destroy()
    await vi.waitFor(() => expect(upstream.exchanges[0]?.closedAtMs).not.toBe(null))
    await vi.waitFor(() => expect(harness.records).toHaveLength(1))
    expect(harness.records[0]).toMatchObject({
      errorClass: 'cancelled',
      complete: false,
      costNanoUsd: null,
    })
  })

  it('reads the usage of events', async () => {
    const events =
      'data: {"type":"speech.audio.delta","audio":"AAAA"}\n\n' +
      'data: {"type":"speech.audio.done","usage":{"input_tokens":2,"output_tokens":5}}\n\n'
    answerWith(streamAnswer([events]))
    const answered = await post('/v1/audio/speech', { ...ASKED, stream_format: 'sse' })
    expect(answered.body.toString()).toBe(events)
    expect(harness.records[0]).toMatchObject({ complete: true, costNanoUsd: 12_000 })
  })

  it.each([
    ['a page', 'text/html', '<html>', 'upstream_invalid'],
    ['an error', 'application/json', '{"error":{"message":"x"}}', 'upstream_failed'],
  ])('takes %s for no sound', async (_, type, body, code) => {
    answerWith(wholeAnswer(200, body, [`content-type: ${type}`]))
    const answered = await post('/v1/audio/speech', ASKED)
    expect(JSON.parse(answered.body.toString())).toMatchObject({ error: { code } })
  })
})

describe('transcriptions', () => {
  const FORM = formBody([FILE, ['name="model"', 'public']])

  it.each([
    ['{"text":"hi","usage":{"type":"tokens","input_tokens":4,"output_tokens":3}}', 10_000],
    ['{"text":"hi","usage":{"type":"duration","seconds":9}}', null],
    ['hi\n', null],
    ['1\n00:00:00,000 --> 00:00:01,000\nhi\n', null],
    ['WEBVTT\n', null],
  ])('%j', async (answer, costNanoUsd) => {
    answerWith(wholeAnswer(200, answer, ['content-type: text/plain']))
    const answered = await postForm(AUDIO, FORM)
    expect(answered.body.toString()).toBe(answer)
    expect(answered.headers['content-type']).toBe('text/plain')
    expect(harness.records[0]).toMatchObject({ endpoint: 'audio', costNanoUsd, complete: true })
    expect(sentBody().length).toBe(FORM.length + 'vendor/real'.length - 'public'.length)
  })

  it('streams, or answers whole where the model does not', async () => {
    const events =
      'data: {"type":"transcript.text.delta","delta":"hi"}\n\n' +
      'data: {"type":"transcript.text.done","text":"hi","usage":{"input_tokens":4,"output_tokens":3}}\n\n'
    const form = formBody([FILE, ['name="model"', 'public'], ['name="stream"', 'true']])
    answerWith(streamAnswer([events]))
    expect((await postForm(AUDIO, form)).body.toString()).toBe(events)
    answerWith(wholeAnswer(200, '{"text":"hi"}'))
    expect((await postForm('/v1/audio/translations', form)).body.toString()).toBe('{"text":"hi"}')
    expect(harness.records.map(({ complete }) => complete)).toEqual([true, true])
  })

  it.each<[string, Parameters<typeof formBody>[0]]>([
    ['no model', [FILE]],
    ['two models', [['name="model"', 'public'], FILE, ['name="model"', 'other']]],
    [
      'a model in brackets',
      [
        ['name="model"', 'public'],
        ['name="model[]"', 'other'],
      ],
    ],
    [
      'a model in capitals',
      [
        ['name="model"', 'public'],
        ['name="Model"', 'other'],
      ],
    ],
    ['a model as a file', [['name="model"; filename="m"', 'public']]],
    ['an odd model', [['name="model"', 'pub lic']]],
    ['a long model', [['name="model"', 'a'.repeat(1000)]]],
    [
      'two streams',
      [
        ['name="model"', 'public'],
        ['name="stream"', 'false'],
        ['name="stream"', 'true'],
      ],
    ],
    [
      'an odd stream',
      [
        ['name="model"', 'public'],
        ['name="stream"', '1'],
      ],
    ],
    [
      'another host',
      [
        ['name="model"', 'public'],
        ['name="api_base"', 'https://x'],
      ],
    ],
    [
      'another encoding',
      [
        ['name="model"', 'public'],
        ['name="_charset_"', 'utf-7'],
      ],
    ],
    [
      'a model in another encoding',
      [['name="model"\r\nContent-Type: text/plain; charset=utf-16', 'public']],
    ],
  ])('refuses %s', async (_, parts) => {
    const answered = await postForm(AUDIO, formBody(parts))
    expect(answered.status).toBe(400)
    expect(upstream.exchanges).toEqual([])
  })

  it.each([
    'multipart/form-data',
    'multipart/form-data; boundary=',
    'multipart/form-data; boundary="a b"',
    `multipart/form-data; boundary=${BOUNDARY}; boundary=other`,
    `multipart/form-data; boundary=${BOUNDARY}; ;`,
    `multipart/form-data; boundary="${BOUNDARY}\\""`,
    'multipart/form-data; boundary=other',
    `multipart/form-data; boundary=${'a'.repeat(71)}`,
  ])('refuses %s', async (type) => {
    const answered = await ask(harness, {
      path: AUDIO,
      headers: { 'content-type': type },
      body: FORM,
    })
    expect(answered.status).toBe(400)
  })

  it('takes a quoted boundary', async () => {
    answerWith(wholeAnswer(200, '{"text":"hi"}'))
    expect((await postForm(AUDIO, FORM, `"${BOUNDARY}"; charset=utf-8`)).status).toBe(200)
  })

  it('takes forms nowhere else, no other kind of parts, and no JSON', async () => {
    expect((await postForm('/v1/chat/completions', FORM)).status).toBe(415)
    const headers = { 'content-type': `multipart/mixed; boundary=${BOUNDARY}` }
    expect((await ask(harness, { path: AUDIO, headers, body: FORM })).status).toBe(415)
    expect((await post(AUDIO, { model: 'public' })).status).toBe(415)
  })
})

describe('the native envelope', () => {
  const CHAT = '{"model":"public","messages":[{"role":"user","content":"hi"}]}'
  const ANSWER =
    '{"choices":[{"message":{"content":"yes"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}'

  it('goes the way of every chat', async () => {
    answerWith(wholeAnswer(200, ANSWER))
    const answered = await post('/v1/chat', `{"request":${CHAT}}`)
    expect(sentBody().toString()).toContain('{"model":"vendor/real","messages":[')
    expect(upstream.exchanges[0]?.received.head).toContain('POST /v1/chat/completions')
    expect(JSON.parse(answered.body.toString())).toEqual({
      negotiated_model: 'vendor/real',
      estimated_cost_usd: 0.000005,
      routing_reason: 'explicit-model',
      response: JSON.parse(ANSWER),
    })
    expect(harness.records[0]).toMatchObject({ endpoint: 'chat', costNanoUsd: 5000 })
  })

  it('passes refusals and streams as they came', async () => {
    answerWith(wholeAnswer(400, '{"error":{"message":"no"}}'))
    expect((await post('/v1/chat', `{"request":${CHAT}}`)).body.toString()).toBe(
      '{"error":{"message":"no"}}',
    )
    const stream =
      'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    answerWith(streamAnswer([stream]))
    const body = `{"request":{"stream":true,${CHAT.slice(1)}}`
    expect((await post('/v1/chat', body)).body.toString()).toBe(stream)
  })

  it('has no side door', async () => {
    const headers = { authorization: 'Bearer nobody' }
    const body = `{"request":${CHAT}}`
    expect((await ask(harness, { path: '/v1/chat', headers, body })).status).toBe(401)
    expect((await post('/v1/chat', CHAT)).status).toBe(400)
  })
})

describe('a limit', () => {
  it('is charged the worst case where nobody tells the usage', async () => {
    const limited = await startHarness({
      upstreamUrl: upstream.url,
      config: { models: { public: { targets: [{ provider: 'up', model: 'm' }], price: PRICE } } },
      keyPolicy: {
        limits: [{ id: 'usd', scope: 'key', unit: 'usd', algorithm: 'lifetime', amount: 0.01 }],
      },
    })
    upstream.play = ({ socket }) => {
      socket.write(SOUND_HEAD)
      socket.write(chunk(SOUND))
      socket.write(LAST_CHUNK)
    }
    const speak = (): Promise<Answered> =>
      ask(limited, { path: '/v1/audio/speech', body: '{"model":"public","input":"hello"}' })
    const statuses: number[] = []
    for (let i = 0; i < 5; i++) statuses.push((await speak()).status)
    expect(statuses).toEqual([200, 200, 200, 429, 429])
    expect(leftovers(limited)).toEqual(NOTHING_LEFT)
    await limited.close()
  })

  it('of money refuses what has no price', async () => {
    const limited = await startHarness({
      upstreamUrl: upstream.url,
      keyPolicy: {
        limits: [{ id: 'usd', scope: 'key', unit: 'usd', algorithm: 'lifetime', amount: 1 }],
      },
    })
    const body = '{"model":"tts-1","input":"hello"}'
    const answered = await ask(limited, { path: '/v1/audio/speech', body })
    expect(JSON.parse(answered.body.toString())).toMatchObject({
      error: { code: 'model_unpriced' },
    })
    await limited.close()
  })
})

it('nothing is left open', () => {
  expect(leftovers(harness)).toEqual(NOTHING_LEFT)
})

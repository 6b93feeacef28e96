import OpenAI, { toFile } from 'openai'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { UsageRecordView } from '../packages/gateway/src/control-plane/admin-api.ts'
import { closeAll } from './harness/cleanup.ts'
import { type Gateway, startGateway } from './harness/gateway.ts'
import { nothingOpen } from './harness/nothing-open.ts'
import { type SandboxProcess, startSandboxProcess } from './harness/sandbox.ts'

const PRICE = { input: 1, output: 2 }
const WHOLE = { complete: true, status: 200, estimated: false }
const SOUND = Buffer.from(Array.from({ length: 40_000 }, (_, i) => (i * 31 + (i >> 8)) % 256))

/** One exchange between the official client and what it talks to. */
type Exchange = {
  readonly path: string
  readonly type: string
  readonly sent: Buffer
  readonly got: Buffer
  readonly requestId: string
}

let gateway: Gateway
let sandbox: SandboxProcess
let secret = ''
let seen: Exchange[] = []

function priced(model: string): object {
  return { price: PRICE, targets: [{ provider: 'local', model }] }
}

beforeAll(async () => {
  sandbox = await startSandboxProcess()
  gateway = await startGateway({
    config: {
      providers: { local: sandbox.provider },
      policy: { default_provider: 'local' },
      models: {
        writer: priced('words-7'),
        painter: priced('gpt-image-1'),
        speaker: priced('gpt-4o-mini-tts'),
        listener: priced('gpt-4o-transcribe'),
      },
    },
  })
  secret = (await gateway.admin.createKey()).key
})
beforeEach(async () => {
  seen = []
  await sandbox.forget()
})
afterAll(closeAll)

function client(): OpenAI {
  return new OpenAI({
    apiKey: secret,
    baseURL: `${gateway.proxyUrl}/v1`,
    maxRetries: 0,
    fetch: keepBytes,
  })
}

/** The client's own request and answer, byte for byte, kept on the way. */
async function keepBytes(url: string | URL | Request, init?: RequestInit): Promise<Response> {
  const request = new Request(url, init)
  const sent = Buffer.from(await request.arrayBuffer())
  const { headers, method } = request
  const answer = await fetch(request.url, { headers, method, body: new Uint8Array(sent) })
  const got = Buffer.from(await answer.clone().arrayBuffer())
  const { pathname } = new URL(request.url)
  const requestId = answer.headers.get('x-request-id') ?? ''
  seen.push({ path: pathname, type: headers.get('content-type') ?? '', sent, got, requestId })
  return answer
}

function last(): Exchange {
  const exchange = seen.at(-1)
  if (exchange === undefined) throw new Error('the client sent nothing')
  return exchange
}

/** What the sandbox was sent last, byte for byte. */
async function received(): Promise<Buffer> {
  const requests = await sandbox.requests()
  return requests.at(-1)?.bytes ?? Buffer.alloc(0)
}

/** The same request sent to the sandbox itself. */
async function directly({ path, type, sent }: Exchange): Promise<Buffer> {
  const answer = await fetch(sandbox.url + path, {
    method: 'POST',
    headers: { 'content-type': type },
    body: new Uint8Array(sent),
  })
  return Buffer.from(await answer.arrayBuffer())
}

async function expectSameBytes(): Promise<void> {
  const exchange = last()
  expect((await received()).equals(exchange.sent)).toBe(true)
  expect((await directly(exchange)).equals(exchange.got)).toBe(true)
}

async function lastRecord(): Promise<UsageRecordView> {
  return await gateway.admin.record(last().requestId)
}

/** The ledger says what the sandbox wrote on its bill. */
async function expectBilled(endpoint: string): Promise<void> {
  const { items } = await sandbox.bill()
  const { inputTokens = 0, outputTokens = 0 } = items.at(-1) ?? {}
  expect(await lastRecord()).toMatchObject({
    endpoint,
    ...WHOLE,
    usage: { input: inputTokens, output: outputTokens },
    cost_nanousd: inputTokens * 1000 + outputTokens * 2000,
  })
}

/** Nobody told what was used. */
async function expectUnknown(endpoint: string): Promise<void> {
  expect(await lastRecord()).toMatchObject({
    endpoint,
    ...WHOLE,
    usage: { input: null, output: null },
    cost_nanousd: null,
  })
}

describe('completions', () => {
  it('answers several prompts, with a suffix', async () => {
    const answer = await client().completions.create({
      model: 'writer',
      prompt: ['one', 'two'],
      suffix: 'end',
      n: 2,
      best_of: 3,
    })
    expect(answer.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3])
    expect(answer.usage?.completion_tokens).toBe(7 * 6)
    expect((await received()).toString()).toBe(
      last().sent.toString().replace('"writer"', '"words-7"'),
    )
    await expectBilled('completions')
  })

  it('takes token ids, and streams with and without usage', async () => {
    for (const stream_options of [undefined, { include_usage: true }]) {
      const stream = await client().completions.create({
        model: 'writer',
        prompt: [[1, 2, 3], [4]],
        stream: true,
        ...(stream_options === undefined ? {} : { stream_options }),
      })
      let text = ''
      const usages: unknown[] = []
      for await (const { choices, usage } of stream) {
        text += choices[0]?.text ?? ''
        if (usage) usages.push(usage)
      }
      expect(text).not.toBe('')
      expect(usages).toHaveLength(stream_options === undefined ? 0 : 1)
      await expectBilled('completions')
    }
  })

  it('refuses as OpenAI does', async () => {
    const refused = client().completions.create({ model: 'writer', prompt: [] })
    await expect(refused).rejects.toMatchObject({ status: 400, param: 'prompt' })
    const failed = client().completions.create({ model: 'error-500', prompt: 'a' })
    await expect(failed).rejects.toBeInstanceOf(OpenAI.InternalServerError)
  })
})

it('moderations are free', async () => {
  const answer = await client().moderations.create({ input: ['peace', 'violence'] })
  expect(answer.results.map(({ flagged }) => flagged)).toEqual([false, true])
  expect((await received()).equals(last().sent)).toBe(true)
  expect(await lastRecord()).toMatchObject({ endpoint: 'moderations', cost_nanousd: 0 })
})

it('embeddings come in both encodings', async () => {
  for (const encoding_format of ['float', 'base64'] as const) {
    const answer = await client().embeddings.create({
      model: 'sandbox-embed',
      input: ['a', 'b'],
      encoding_format,
    })
    expect(answer.data).toHaveLength(2)
    await expectSameBytes()
  }
})

it('rerank orders documents', async () => {
  const documents = ['zzz', 'a query of letters']
  const answer = await client().post<{ results: readonly { index: number }[] }>('/rerank', {
    body: { model: 'rerank-v3.5', query: 'a query', documents },
  })
  expect(answer.results[0]?.index).toBe(1)
  expect((await received()).equals(last().sent)).toBe(true)
  const { items } = await sandbox.bill()
  expect((await lastRecord()).usage.input).toBe(items[0]?.inputTokens)
})

describe('images', () => {
  it('are made, and their tokens are read', async () => {
    const answer = await client().images.generate({ model: 'painter', prompt: 'a cat', n: 2 })
    expect(answer.data).toHaveLength(2)
    await expectBilled('images')
  })

  it('stream', async () => {
    const stream = await client().images.generate({
      model: 'painter',
      prompt: 'a cat',
      stream: true,
      partial_images: 2,
    })
    const types: string[] = []
    for await (const { type } of stream) types.push(type)
    expect(types).toEqual([
      'image_generation.partial_image',
      'image_generation.partial_image',
      'image_generation.completed',
    ])
    await expectBilled('images')
  })

  it('are edited: the form passes but for the name', async () => {
    const image = [await toFile(SOUND, 'a "1".png'), await toFile(SOUND, 'b.png')]
    await client().images.edit({ model: 'painter', prompt: 'a hat', image })
    const sent = last().sent.toString('latin1')
    const expected = sent.replace('\r\npainter\r\n', '\r\ngpt-image-1\r\n')
    expect((await received()).toString('latin1')).toBe(expected)
    await expectBilled('images')
    await client().images.edit({ model: 'gpt-image-1', prompt: 'a hat', image })
    expect((await received()).equals(last().sent)).toBe(true)
  })

  it('without usage cost nobody knows what', async () => {
    const answer = await client().images.generate({ model: 'no-usage', prompt: 'a cat' })
    expect(answer.usage).toBeUndefined()
    await expectUnknown('images')
  })
})

describe('audio', () => {
  const SAID = { input: 'five words are spoken here', voice: 'alloy' } as const

  it('is spoken byte for byte', async () => {
    const answer = await client().audio.speech.create({ model: 'tts-1', ...SAID })
    expect(answer.headers.get('content-type')).toBe('audio/mpeg')
    expect((await answer.arrayBuffer()).byteLength).toBe(5 * 500)
    await expectSameBytes()
    await expectUnknown('audio')
  })

  it('is spoken in events, which tell the tokens', async () => {
    const answer = await client().audio.speech.create({
      model: 'speaker',
      stream_format: 'sse',
      ...SAID,
    })
    expect(await answer.text()).toContain('speech.audio.done')
    await expectBilled('audio')
  })

  it('is written down in every format', async () => {
    const file = await toFile(SOUND, 'a.mp3')
    for (const response_format of ['json', 'verbose_json', 'text', 'srt', 'vtt'] as const) {
      await client().audio.transcriptions.create({ model: 'whisper-1', file, response_format })
      await expectSameBytes()
      await expectUnknown('audio')
    }
    const answer = await client().audio.transcriptions.create({ model: 'listener', file })
    expect(answer.text).toContain('40000 bytes')
    await expectBilled('audio')
  })

  it('is written down as a stream', async () => {
    const stream = await client().audio.transcriptions.create({
      model: 'listener',
      file: await toFile(SOUND, 'a.mp3'),
      stream: true,
    })
    let text = ''
    for await (const event of stream) {
      if (event.type === 'transcript.text.delta') text += event.delta
    }
    expect(text).toContain('40000 bytes')
    await expectBilled('audio')
  })

  it('is translated', async () => {
    const file = await toFile(SOUND, 'a.mp3')
    const answer = await client().audio.translations.create({ model: 'whisper-1', file })
    expect(answer.text).toContain('40000 bytes')
    await expectSameBytes()
  })

  it('refuses a form without a file as the provider does', async () => {
    const body = new FormData()
    body.set('model', 'whisper-1')
    const answer = await fetch(`${gateway.proxyUrl}/v1/audio/transcriptions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}` },
      body,
    })
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ error: { param: 'file' } })
  })
})

it('keys may be held to some endpoints', async () => {
  const { key } = await gateway.admin.createKey({ scopes: ['images'] })
  const limited = client().withOptions({ apiKey: key })
  await limited.images.generate({ model: 'painter', prompt: 'a cat' })
  const refused = limited.moderations.create({ input: 'a' })
  await expect(refused).rejects.toMatchObject({ status: 403, code: 'endpoint_not_allowed' })
})

it('nothing is left open', async () => {
  expect(await nothingOpen(gateway.admin)).toEqual({ reservations: 0, inFlight: 0 })
})

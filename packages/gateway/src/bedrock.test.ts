import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { writeAwsEvent } from './lib/aws-event-stream.ts'
import { AwsSigner } from './lib/aws-signature.ts'
import { bedrock } from './providers/catalog/bedrock.ts'
import {
  ask,
  type Answered,
  type Harness,
  leftovers,
  NOTHING_LEFT,
  startHarness,
} from './testing/data-plane-harness.ts'
import {
  chunk,
  fieldOf,
  LAST_CHUNK,
  type Received,
  type ScriptedUpstream,
  startScriptedUpstream,
  wholeAnswer,
} from './testing/scripted-upstream.ts'

const MODEL = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0'
const PAIR = { AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret/key+1' }
const STREAM_HEAD =
  'HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\ntransfer-encoding: chunked\r\n\r\n'
const ANSWER = JSON.stringify({
  output: { message: { role: 'assistant', content: [{ text: 'Hello.' }] } },
  stopReason: 'end_turn',
  usage: { inputTokens: 7, outputTokens: 3, totalTokens: 10 },
})
const CHAT = { model: MODEL, messages: [{ role: 'user', content: 'hi' }] }
const MESSAGES = { ...CHAT, max_tokens: 100 }

let upstream: ScriptedUpstream
let harness: Harness
let script: Buffer

beforeEach(async () => {
  script = wholeAnswer(200, ANSWER)
  upstream = await startScriptedUpstream(({ socket }) => void socket.end(script))
})
afterEach(async () => {
  await harness.close()
  await upstream.close()
})

async function serve(env: Readonly<Record<string, string>>): Promise<void> {
  const up = {
    extends: 'bedrock',
    base_url: upstream.url,
    params: { region: 'eu-west-1' },
    allow_private: true,
  }
  harness = await startHarness({
    upstreamUrl: upstream.url,
    config: { providers: { up } },
    plan: { env, catalogue: new Map([['bedrock', bedrock]]) },
  })
}

function askMessages(body: Readonly<Record<string, unknown>>): Promise<Answered> {
  return ask(harness, { path: '/v1/messages', body: JSON.stringify(body) })
}

function received(): Received {
  const [exchange] = upstream.exchanges
  if (exchange === undefined) throw new Error('nothing was received')
  return exchange.received
}

function pathOf({ head }: Received): string {
  return head.split(' ')[1] ?? ''
}

/** As the service does: what it received, signed with the secret that it knows, must be what it was sent. */
function expectSigned(request: Received, sessionToken: string | null): void {
  const date = fieldOf(request, 'x-amz-date') ?? ''
  const iso = date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z')
  const credentials = {
    accessKeyId: PAIR.AWS_ACCESS_KEY_ID,
    secretAccessKey: PAIR.AWS_SECRET_ACCESS_KEY,
    sessionToken,
  }
  const fields = new AwsSigner(credentials, { region: 'eu-west-1', service: 'bedrock' }).sign(
    {
      method: 'POST',
      host: fieldOf(request, 'host') ?? '',
      path: pathOf(request),
      contentType: fieldOf(request, 'content-type') ?? null,
      body: request.body,
    },
    Date.parse(iso),
  )
  expect(fieldOf(request, 'authorization')).toBe(fields[3])
  expect(fieldOf(request, 'x-amz-security-token') ?? null).toBe(sessionToken)
}

function stream(...frames: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from(STREAM_HEAD), ...frames.map(chunk), Buffer.from(LAST_CHUNK)])
}

function event(name: string, data: unknown): Buffer {
  return writeAwsEvent({ ':message-type': 'event', ':event-type': name }, JSON.stringify(data))
}

const START = event('messageStart', { role: 'assistant' })
const DELTA = event('contentBlockDelta', { contentBlockIndex: 0, delta: { text: 'Hello.' } })
const REST = [
  event('contentBlockStop', { contentBlockIndex: 0 }),
  event('messageStop', { stopReason: 'end_turn' }),
  event('metadata', { usage: { inputTokens: 7, outputTokens: 3 } }),
]

describe('a chat call at Bedrock', () => {
  it('is signed over the bytes that are sent, with the model encoded in the path', async () => {
    await serve(PAIR)
    const answer = await ask(harness, { body: JSON.stringify(CHAT) })
    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.body.toString())).toMatchObject({
      object: 'chat.completion',
      model: MODEL,
      choices: [{ message: { content: 'Hello.' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 7, completion_tokens: 3 },
    })
    expect(pathOf(received())).toBe(`/model/${encodeURIComponent(MODEL)}/converse`)
    expect(pathOf(received())).toContain('%3A0/converse')
    expectSigned(received(), null)
    expect(JSON.parse(received().body.toString())).toMatchObject({
      messages: [{ role: 'user', content: [{ text: 'hi' }] }],
    })
    expect(harness.records[0]).toMatchObject({ usage: { inputTokens: 7, outputTokens: 3 } })
    expect(leftovers(harness)).toEqual(NOTHING_LEFT)
  })

  it('signs with a session token', async () => {
    await serve({ ...PAIR, AWS_SESSION_TOKEN: 'tok/en==' })
    expect((await ask(harness, { body: JSON.stringify(CHAT) })).status).toBe(200)
    expectSigned(received(), 'tok/en==')
  })

  it('calls an inference profile by its name, slashes and all', async () => {
    await serve(PAIR)
    const model = 'arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-pro-v1:0'
    const answer = await ask(harness, { body: JSON.stringify({ ...CHAT, model: `up/${model}` }) })
    expect(answer.status).toBe(200)
    expect(pathOf(received())).toBe(`/model/${encodeURIComponent(model)}/converse`)
    expectSigned(received(), null)
  })

  it('sends an API key as a bearer, and prefers it', async () => {
    await serve({ ...PAIR, AWS_BEARER_TOKEN_BEDROCK: 'ABSKabc=' })
    expect((await ask(harness, { body: JSON.stringify(CHAT) })).status).toBe(200)
    expect(fieldOf(received(), 'authorization')).toBe('Bearer ABSKabc=')
    expect(fieldOf(received(), 'x-amz-date')).toBeUndefined()
  })

  it('is refused without a credential', async () => {
    await serve({ AWS_ACCESS_KEY_ID: PAIR.AWS_ACCESS_KEY_ID })
    const answer = await ask(harness, { body: JSON.stringify(CHAT) })
    expect(answer.status).toBe(503)
    expect(answer.body.toString()).toContain('credential')
    expect(upstream.exchanges).toHaveLength(0)
  })
})

describe('a Messages call at Bedrock', () => {
  it('streams frames as events', async () => {
    await serve(PAIR)
    script = stream(START, DELTA, ...REST)
    const answer = await askMessages({ ...MESSAGES, stream: true })
    const text = answer.body.toString()
    expect(answer.headers['content-type']).toContain('text/event-stream')
    expect([...text.matchAll(/^event: (\w+)/gm)].map(([, name]) => name)).toEqual([
      'message_start',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ])
    expect(pathOf(received())).toContain('/converse-stream')
    expectSigned(received(), null)
    expect(harness.records[0]).toMatchObject({
      complete: true,
      usage: { inputTokens: 7, outputTokens: 3 },
    })
    expect(leftovers(harness)).toEqual(NOTHING_LEFT)
  })

  it.each([
    ['an exception', [START, DELTA, exception('modelStreamErrorException')]],
    ['an end without its last frames', [START, DELTA]],
    ['half a frame', [START, DELTA, DELTA.subarray(0, 20)]],
    ['a broken frame', [START, DELTA, broken(DELTA), ...REST]],
  ])('tells of %s inside the stream', async (_name, frames) => {
    await serve(PAIR)
    script = stream(...frames)
    const text = (await askMessages({ ...MESSAGES, stream: true })).body.toString()
    expect(text).toContain('Hello.')
    expect(text).toContain('event: error')
    expect(text).not.toContain('message_stop')
    expect(harness.records[0]).toMatchObject({ complete: false })
    expect(leftovers(harness)).toEqual(NOTHING_LEFT)
  })

  it('hears of a prompt that is too long in its own words', async () => {
    await serve(PAIR)
    script = wholeAnswer(400, '{"message":"Input is too long for requested model."}')
    const answer = await askMessages(MESSAGES)
    expect(answer.status).toBe(400)
    expect(JSON.parse(answer.body.toString())).toMatchObject({
      type: 'error',
      error: {
        type: 'invalid_request_error',
        message: expect.stringMatching(/^prompt is too long/),
      },
    })
  })
})

function exception(name: string): Buffer {
  return writeAwsEvent({ ':message-type': 'exception', ':exception-type': name }, '{"message":"x"}')
}

function broken(frame: Buffer): Buffer {
  const copy = Buffer.from(frame)
  copy[copy.length - 6] = (copy[copy.length - 6] ?? 0) ^ 1
  return copy
}

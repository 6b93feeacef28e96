import { existsSync, readFileSync, readdirSync } from 'node:fs'
import type { Conversation } from '../packages/gateway/src/contracts/conversation.ts'
import type {
  AnswerOptions,
  Dialect,
  RenderOptions,
} from '../packages/gateway/src/contracts/dialect.ts'
import type { SseFrame } from '../packages/gateway/src/contracts/protocol.ts'
import { isRecord } from '../packages/gateway/src/lib/is-record.ts'
import { SseFrameSplitter } from '../packages/gateway/src/lib/sse-frames.ts'
import { CustomTools } from '../packages/gateway/src/protocols/translation/custom-tools.ts'
import { fitNames } from '../packages/gateway/src/protocols/translation/fit-names.ts'
import { Losses } from '../packages/gateway/src/protocols/translation/losses.ts'
import { PROTOCOLS } from '../packages/gateway/src/registry.ts'
import { conversation, textBlock } from '../packages/gateway/src/testing/conversations.ts'

/**
 * Microseconds of a translation, best of several rounds: a request of 4 KB from the client's bytes to the provider's, and
 * one event of a stream from the provider's frame to the client's. Run: `node bench/translation.ts`.
 */
const ROUNDS = 15
const REQUESTS = 2000
const STREAMS = 300
const REQUEST_BYTES = 4096

const renderOptions = (): RenderOptions => ({
  maxOutputTokens: 4096,
  outputCapMember: null,
  refusesUsageOption: false,
  keeps: () => true,
  losses: new Losses(),
})

const SENTENCE = 'Tell me about the road, the gate and the toll that every car has to pay here. '
const TOOL = {
  kind: 'function',
  name: 'get_weather',
  description: 'The weather of a city.',
  schema: {
    type: 'object',
    properties: { city: { type: 'string' }, unit: { type: 'string', enum: ['c', 'f'] } },
    required: ['city'],
  },
  strict: null,
  cache: null,
} as const

/** An agent's turn: system prompt, two tools, a call and its result, and a question, in 4 KB. */
function sample(words: string): Conversation {
  return conversation({
    system: [textBlock(words)],
    tools: [TOOL, { ...TOOL, name: 'search' }],
    maxOutputTokens: 1024,
    sampling: { ...conversation().sampling, temperature: 0.5 },
    turns: [
      { role: 'user', blocks: [textBlock(words)] },
      {
        role: 'assistant',
        blocks: [
          {
            type: 'tool_call',
            id: 'call_0123456789abcdef',
            name: 'get_weather',
            input: '{"city":"Berne"}',
            custom: false,
            signature: null,
            cache: null,
          },
        ],
      },
      {
        role: 'user',
        blocks: [
          {
            type: 'tool_result',
            callId: 'call_0123456789abcdef',
            content: [textBlock(words)],
            isError: false,
            cache: null,
          },
        ],
      },
    ],
  })
}

type Named = { readonly id: string; readonly dialect: Dialect }

const dialects: readonly Named[] = PROTOCOLS.flatMap(({ id, dialect }) =>
  dialect === null ? [] : [{ id, dialect }],
)

function requestOf(dialect: Dialect): Buffer {
  let words = SENTENCE
  for (;;) {
    const body = Buffer.from(dialect.writeRequest(sample(words), renderOptions()))
    if (body.length >= REQUEST_BYTES) return body
    words += SENTENCE
  }
}

function translate(body: Buffer, client: Dialect, upstream: Dialect): number {
  const value: unknown = JSON.parse(body.toString('utf8'))
  const losses = new Losses()
  const request = isRecord(value) ? value : {}
  const asked = client.readRequest(request, { model: 'm', stream: false, losses })
  const wrapped = upstream.customTools ? asked : new CustomTools(asked.tools).wrapRequest(asked)
  const fitted = fitNames(wrapped, upstream)
  return Buffer.from(upstream.writeRequest(fitted.conversation, { ...renderOptions(), losses }))
    .length
}

function bestMicros(times: number, work: () => void): number {
  let best = Infinity
  for (let round = 0; round < ROUNDS; round++) {
    const startedMs = performance.now()
    for (let i = 0; i < times; i++) work()
    best = Math.min(best, ((performance.now() - startedMs) * 1000) / times)
  }
  return best
}

function framesOf(id: string): readonly SseFrame[] | null {
  const folder = new URL(`../packages/gateway/src/protocols/${id}/fixtures/`, import.meta.url)
  if (!existsSync(folder)) return null
  const name = readdirSync(folder).find((one) => one === 'text.sse')
  if (name === undefined) return null
  const frames: SseFrame[] = []
  new SseFrameSplitter(1 << 24).push(readFileSync(new URL(name, folder)), (bytes, start, end) =>
    frames.push({ bytes, start, end }),
  )
  return frames
}

/** The deltas alone, many times: what a long stream is made of. */
function deltasOf(frames: readonly SseFrame[]): readonly SseFrame[] {
  const middle = frames.slice(Math.floor(frames.length / 2), Math.floor(frames.length / 2) + 1)
  const head = frames.slice(0, Math.floor(frames.length / 2))
  return [...head, ...Array.from({ length: 200 }, () => middle).flat()]
}

function tell(frames: readonly SseFrame[], client: Dialect, upstream: Dialect): number {
  const options: AnswerOptions = {
    conversation: conversation({ stream: true }),
    requestId: 'req_0123456789',
    createdAtMs: 1_760_000_000_000,
    streamUsage: true,
  }
  const reader = upstream.streamReader()
  const writer = client.streamWriter(options)
  let length = 0
  for (const frame of frames) {
    for (const event of reader.read(frame)) length += writer.write(event).length
  }
  return length
}

let sink = 0
for (const client of dialects) {
  for (const upstream of dialects) {
    if (client === upstream) continue
    const body = requestOf(client.dialect)
    const request = bestMicros(REQUESTS, () => {
      sink += translate(body, client.dialect, upstream.dialect)
    })
    const frames = framesOf(upstream.id)
    const long = frames === null ? null : deltasOf(frames)
    const event =
      long === null
        ? NaN
        : bestMicros(STREAMS, () => {
            sink += tell(long, client.dialect, upstream.dialect)
          }) / long.length
    console.log(
      `${`${client.id} -> ${upstream.id}`.padEnd(42)} request ${request.toFixed(1).padStart(6)} us   event ${event.toFixed(2).padStart(5)} us`,
    )
  }
}
if (sink === 0) throw new Error('nothing was translated')

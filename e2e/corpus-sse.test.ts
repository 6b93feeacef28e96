import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseSseFrame, SseFrameSplitter } from '../packages/gateway/src/lib/sse-frames.ts'
import { CLIENT_CALLS, CLIENT_IDS } from '../packages/gateway/src/testing/client-calls.ts'
import {
  ask,
  type Harness,
  startHarness,
} from '../packages/gateway/src/testing/data-plane-harness.ts'
import {
  chunk,
  LAST_CHUNK,
  type ScriptedUpstream,
  startScriptedUpstream,
  STREAM_HEAD,
} from '../packages/gateway/src/testing/scripted-upstream.ts'
import { everySplit } from '../packages/gateway/src/testing/tap-replay.ts'

/** Long data is given by its hash. */
type Event = { readonly type: string; readonly data?: string; readonly dataSha256?: string }
type Case = {
  readonly id: string
  readonly b64: string
  readonly events: readonly Event[] | string
}

const corpus: { readonly cases: readonly Case[] } = JSON.parse(
  readFileSync(new URL('./corpora/sse/sse-cases.json', import.meta.url), 'utf8'),
)
/** Larger streams are cut at this many places, evenly. */
const MAX_SPLITS = 600
const LONG_CHARS = 20_000
const BEFORE = 'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
const AFTER = 'data: [DONE]\n\n'
const MESSAGES = { '/v1/messages': '"max_tokens":5,', '/v1/chat/completions': '' } as const

/** Cuts are found in the splitter, which all protocols share; here they only pass through. */
const FEW_SPLITS = 40
/** What makes a stream of the newer protocols whole around any bytes. */
const AROUND = {
  'openai-responses': {
    before: 'event: response.created\ndata: {"type":"response.created","response":{}}\n\n',
    after:
      '\n\nevent: response.completed\ndata: {"type":"response.completed","response":{"output":[]}}\n\n',
  },
  gemini: {
    before: 'data: {"candidates":[{"content":{"parts":[{"text":"a"}]}}]}\n\n',
    after: '\n\ndata: {"candidates":[{"finishReason":"STOP"}]}\n\n',
  },
} as const
const NEWER = (['openai-responses', 'gemini'] as const).flatMap((client) =>
  corpus.cases.map(({ id, b64 }) => ({ id, b64, client })),
)

let upstream: ScriptedUpstream
let harness: Harness
let pieces: readonly Buffer[] = []
let relayed = 0
beforeAll(async () => {
  upstream = await startScriptedUpstream(({ socket }) => {
    const body = pieces.map(chunk)
    socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), ...body, Buffer.from(LAST_CHUNK)]))
  })
  harness = await startHarness({
    upstreamUrl: upstream.url,
    provider: { protocol: [...CLIENT_IDS] },
  })
})
afterAll(async () => {
  process.stdout.write(
    `sse: ${corpus.cases.length} cases, ${relayed} streams relayed byte for byte\n`,
  )
  await harness.close()
  await upstream.close()
})

/** Some splits of a stream: all, when there are few enough. */
function splitsOf(bytes: Buffer, most = MAX_SPLITS): readonly (readonly Buffer[])[] {
  if (bytes.length <= most) return [...everySplit(bytes)]
  const step = Math.ceil(bytes.length / most)
  const splits: Buffer[][] = [[bytes]]
  for (let at = 1; at < bytes.length; at += step) {
    splits.push([bytes.subarray(0, at), bytes.subarray(at)])
  }
  return splits
}

function eventsOf(chunks: readonly Buffer[]): readonly Event[] {
  const splitter = new SseFrameSplitter(1 << 24)
  const events: Event[] = []
  for (const one of chunks) {
    splitter.push(one, (bytes, start, end) => {
      const event = parseSseFrame(bytes, start, end)
      if (event === null) return
      const { name: type, data } = event
      const long = data.length > LONG_CHARS
      events.push(long ? { type, dataSha256: hash('sha256', data) } : { type, data })
    })
  }
  return events
}

function plain({ type, data, dataSha256 }: Event): Event {
  return dataSha256 === undefined ? { type, data: data ?? '' } : { type, dataSha256 }
}

describe('event streams', () => {
  it.each(corpus.cases)(
    '$id: the events are what the standard says, however it is split',
    (one) => {
      const bytes = Buffer.from(one.b64, 'base64')
      const whole = JSON.stringify(eventsOf([bytes]))
      const wrong = splitsOf(bytes).filter((chunks) => JSON.stringify(eventsOf(chunks)) !== whole)
      expect(wrong.length).toBe(0)
      const wanted = typeof one.events === 'string' ? JSON.parse(whole) : one.events.map(plain)
      expect(JSON.parse(whole)).toEqual(wanted)
    },
  )

  it.each(NEWER)('$id: passes byte for byte on $client', async ({ client, b64 }) => {
    const { before, after } = AROUND[client]
    const whole = Buffer.concat([
      Buffer.from(before),
      Buffer.from(b64, 'base64'),
      Buffer.from(after),
    ])
    for (pieces of splitsOf(whole, FEW_SPLITS)) {
      const answer = await ask(harness, CLIENT_CALLS[client].stream)
      expect(answer.body.equals(whole)).toBe(true)
      relayed++
    }
  })

  it.each(corpus.cases)('$id: passes byte for byte, however it is split', async ({ id, b64 }) => {
    const bytes = Buffer.from(b64, 'base64')
    const isMessages = id.startsWith('anthropic')
    const path = isMessages ? '/v1/messages' : '/v1/chat/completions'
    const whole = isMessages
      ? bytes
      : Buffer.concat([Buffer.from(BEFORE), bytes, Buffer.from(AFTER)])
    const body = `{"model":"m",${MESSAGES[path]}"stream":true,"messages":[{"role":"user","content":"hi"}]}`
    for (pieces of splitsOf(whole)) {
      const answer = await ask(harness, { path, body })
      expect(answer.body.equals(whole)).toBe(true)
      relayed++
    }
  })
})

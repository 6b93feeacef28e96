import { readdirSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SseFrameSplitter } from '../../lib/sse-frames.ts'
import { PROTOCOLS } from '../../registry.ts'
import {
  ask,
  type Asked,
  type Harness,
  leftovers,
  NOTHING_LEFT,
  startHarness,
} from '../../testing/data-plane-harness.ts'
import {
  chunk,
  LAST_CHUNK,
  type ScriptedUpstream,
  startScriptedUpstream,
  STREAM_HEAD,
} from '../../testing/scripted-upstream.ts'
import { fixture } from '../../testing/tap-replay.ts'

const FOLDER = new URL('../../protocols/', import.meta.url)

/** How each protocol's clients ask for a stream, and what they take for its whole end and for its failure. */
type Side = { readonly asked: Asked; readonly end: RegExp; readonly failure: RegExp }

const SIDES: Readonly<Record<string, Side>> = {
  'openai-chat': {
    asked: {
      body: '{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}',
    },
    end: /^data: \[DONE\]/m,
    failure: /^data: \{"error":/m,
  },
  'openai-responses': {
    asked: { path: '/v1/responses', body: '{"model":"m","stream":true,"input":"hi"}' },
    end: /^event: response\.(?:completed|incomplete)/m,
    failure: /^event: (?:error|response\.failed)/m,
  },
  'anthropic-messages': {
    asked: {
      path: '/v1/messages',
      body: '{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}',
    },
    end: /^event: message_stop/m,
    failure: /^event: error/m,
  },
  gemini: {
    asked: {
      path: '/v1beta/models/m:streamGenerateContent?alt=sse',
      body: '{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}',
    },
    end: /"finishReason":"/,
    failure: /^data: \{"error":/m,
  },
}

/** Streams that are whole on their own, of every protocol that has fixtures of SSE. */
const WHOLE = /^(?:text|tools|thinking|reasoning|cached|azure|usage-with-content|crlf|calls)\.sse$/

type Pair = { readonly client: string; readonly upstream: string; readonly name: string }

const speakers = PROTOCOLS.filter(({ id, dialect }) => dialect !== null && id in SIDES)
const pairs: readonly Pair[] = speakers.flatMap((client) =>
  speakers
    .filter(({ id }) => id !== client.id)
    .flatMap((upstream) =>
      fixturesOf(upstream.id).map((name) => ({ client: client.id, upstream: upstream.id, name })),
    ),
)

function fixturesOf(id: string): readonly string[] {
  return readdirSync(new URL(`${id}/fixtures/`, FOLDER)).filter((name) => WHOLE.test(name))
}

function framesOf(bytes: Buffer): readonly Buffer[] {
  const frames: Buffer[] = []
  const splitter = new SseFrameSplitter(1 << 24)
  splitter.push(bytes, (from, start, end) => frames.push(Buffer.from(from.subarray(start, end))))
  return frames
}

function sideOf(id: string): Side {
  const side = SIDES[id]
  if (side === undefined) throw new Error(id)
  return side
}

let upstream: ScriptedUpstream
let harness: Harness
/** What is sent in answer to each request, in the order in which they come. */
let scripts: (readonly Buffer[])[] = []
let how: 'end' | 'reset' = 'end'

beforeEach(async () => {
  upstream = await startScriptedUpstream(({ socket }) => {
    socket.write(STREAM_HEAD)
    for (const frame of scripts.shift() ?? []) socket.write(chunk(frame))
    if (how === 'end') socket.end(LAST_CHUNK)
    else setTimeout(() => socket.resetAndDestroy(), 5)
  })
})
afterEach(async () => {
  await harness.close()
  await upstream.close()
})

async function serve(protocol: string): Promise<void> {
  harness = await startHarness({ upstreamUrl: upstream.url, provider: { protocol: [protocol] } })
}

describe.each(pairs)('$upstream $name told to $client', (pair) => {
  const { asked, end, failure } = sideOf(pair.client)
  const frames = framesOf(fixture(new URL(`${pair.upstream}/`, FOLDER), pair.name))

  it('ends as the client expects it, with its usage', async () => {
    await serve(pair.upstream)
    how = 'end'
    scripts = [frames]
    const answer = await ask(harness, asked)
    const text = answer.body.toString()
    expect({ status: answer.status, ends: end.test(text), fails: failure.test(text) }).toEqual({
      status: 200,
      ends: true,
      fails: false,
    })
    expect(harness.records[0]).toMatchObject({ complete: true, status: 200 })
    expect(outputTold(text)).toBe(harness.records[0]?.usage.outputTokens)
    expect(leftovers(harness)).toEqual(NOTHING_LEFT)
  })

  it.each(['end', 'reset'] as const)('never ends well when it is cut (%s)', async (cutBy) => {
    await serve(pair.upstream)
    how = cutBy
    scripts = frames
      .slice(1, terminalOf(frames, pair.upstream))
      .map((_, i) => frames.slice(0, i + 1))
    const answers = await Promise.all(scripts.map(() => ask(harness, asked)))
    const clean = answers.filter(({ status, body }) => {
      const text = body.toString()
      return end.test(text) || (status < 400 && !failure.test(text))
    })
    expect(clean).toEqual([])
    await vi.waitFor(() => expect(leftovers(harness)).toEqual(NOTHING_LEFT))
    expect(harness.records.filter(({ complete }) => complete)).toEqual([])
  })
})

/** What the client is told of the output: thoughts are part of it, or stand beside it. */
function outputTold(text: string): number | null {
  const [, tokens] =
    /.*"(?:completion_tokens|output_tokens|candidatesTokenCount)": ?(\d+)/s.exec(text) ?? []
  const [, beside] = /"thoughtsTokenCount":(\d+)/.exec(text) ?? []
  return tokens === undefined ? null : Number(tokens) + Number(beside ?? 0)
}

/** Cuts from here on leave a whole answer. */
function terminalOf(frames: readonly Buffer[], upstreamId: string): number {
  if (upstreamId !== 'gemini') return frames.length
  return frames.findIndex((frame) => frame.includes('finishReason')) + 1
}

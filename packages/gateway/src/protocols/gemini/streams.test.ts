import { describe, expect, it } from 'vitest'
import type { ConversationEvent } from '../../contracts/conversation.ts'
import type { AnswerOptions } from '../../contracts/dialect.ts'
import { NO_USAGE } from '../../contracts/usage.ts'
import { SseFrameSplitter } from '../../lib/sse-frames.ts'
import { conversation } from '../../testing/conversations.ts'
import { fixture, replay } from '../../testing/tap-replay.ts'
import { GeminiTap } from './gemini-tap.ts'
import { GeminiReader } from './stream-reader.ts'
import { GeminiWriter } from './stream-writer.ts'

const HERE = new URL('./', import.meta.url)
const OPTIONS: AnswerOptions = {
  conversation: conversation({ model: 'asked-for' }),
  requestId: 'req_1',
  createdAtMs: 0,
  streamUsage: true,
}
const SIGNATURE = { value: 'sig', origin: 'anthropic' }
const NO_PLACE = { url: 'u', title: 't', citedText: null, start: null, end: null }

function read(bytes: Buffer): readonly ConversationEvent[] {
  const reader = new GeminiReader()
  const events: ConversationEvent[] = []
  const splitter = new SseFrameSplitter(1 << 24)
  splitter.push(
    bytes,
    (frame, start, end) => void events.push(...reader.read({ bytes: frame, start, end })),
  )
  return events
}

const chunks = (...values: readonly unknown[]): Buffer =>
  Buffer.from(values.map((value) => `data: ${JSON.stringify(value)}\n\n`).join(''))
const parts = (list: readonly unknown[], more: Record<string, unknown> = {}) => ({
  candidates: [{ content: { parts: list, role: 'model' }, index: 0, ...more }],
})

function write(events: readonly ConversationEvent[]): string {
  const writer = new GeminiWriter(OPTIONS)
  return events.map((event) => writer.write(event)).join('') + writer.end()
}

function framesOf(text: string): readonly unknown[] {
  return text
    .split('\n\n')
    .filter((frame) => frame !== '')
    .map((frame): unknown => JSON.parse(frame.slice('data: '.length)))
}

const partial = (call: unknown): Record<string, unknown> => parts([{ functionCall: call }])

describe('GeminiReader', () => {
  it('reads text chunk by chunk', () => {
    expect(read(fixture(HERE, 'text.sse'))).toMatchObject([
      {
        type: 'start',
        id: 'r1',
        model: 'gemini-2.5-flash',
        usage: { inputTokens: 7, outputTokens: null },
      },
      { type: 'open', at: 0, block: { type: 'text' } },
      { type: 'delta', at: 0, text: 'Hel' },
      { type: 'delta', at: 0, text: 'lo é 🙂 "finishReason"' },
      { type: 'close', at: 0 },
      { type: 'stop', stop: 'end' },
      { type: 'usage', usage: { inputTokens: 3, outputTokens: 7, reasoningTokens: 2 } },
    ])
  })

  it('reads thoughts, calls with and without signature, and usage behind the end', () => {
    expect(read(fixture(HERE, 'tools.sse'))).toMatchObject([
      { type: 'start' },
      { type: 'open', at: 0, block: { type: 'thinking', redacted: false } },
      { type: 'delta', at: 0, text: 'Let me look.' },
      { type: 'close', at: 0 },
      {
        type: 'open',
        at: 1,
        block: { type: 'tool_call', id: 'call__1', signature: { value: 'c2ln' } },
      },
      { type: 'delta', at: 1, text: '{"city":"Oslo","finishReason":"x"}' },
      { type: 'close', at: 1 },
      { type: 'open', at: 2, block: { type: 'tool_call', id: 'call__2', signature: null } },
      { type: 'delta', at: 2, text: '{"city":"Bergen"}' },
      { type: 'close', at: 2 },
      { type: 'stop', stop: 'tool_use' },
      { type: 'usage', usage: { inputTokens: 20, outputTokens: 18 } },
    ])
  })

  it('tells the signature of a text behind it, and where it is cited', () => {
    const groundingMetadata = {
      groundingChunks: [{ web: { uri: 'u', title: 't' } }],
      groundingSupports: [
        { segment: { startIndex: 2, endIndex: 7, text: '🙂b' }, groundingChunkIndices: [0, 5] },
      ],
    }
    const stream = chunks(
      parts([{ text: 'é🙂' }]),
      parts([{ text: 'b' }]),
      parts([{ text: '', thoughtSignature: 'sig' }], { finishReason: 'STOP', groundingMetadata }),
    )
    expect(read(stream).slice(2)).toMatchObject([
      { type: 'delta', text: 'é🙂' },
      { type: 'delta', text: 'b' },
      { type: 'citation', at: 0, citation: { url: 'u', title: 't', start: 1, end: 4 } },
      { type: 'close', at: 0 },
      { type: 'open', at: 1, block: { type: 'thinking', redacted: false } },
      { type: 'signature', at: 1, signature: { value: 'sig', origin: null } },
      { type: 'close', at: 1 },
      { type: 'stop', stop: 'end' },
    ])
  })

  it('reads arguments that come value by value', () => {
    const stream = chunks(
      partial({ name: 'f', id: 'x', willContinue: true }),
      partial({
        partialArgs: [{ jsonPath: '$.city', stringValue: 'Os', willContinue: true }],
        willContinue: true,
      }),
      partial({
        partialArgs: [
          { jsonPath: '$.city', stringValue: 'lo' },
          { jsonPath: '$.days[0].n', numberValue: 1 },
          { jsonPath: "$['__proto__'].polluted", boolValue: true },
          { jsonPath: '$.days[999999]', nullValue: 'NULL_VALUE' },
        ],
        willContinue: true,
      }),
      partial({}),
      { candidates: [{ finishReason: 'STOP' }] },
    )
    const events = read(stream)
    const delta = events.find(({ type }) => type === 'delta')
    expect(delta).toMatchObject({
      text: '{"city":"Oslo","days":[{"n":1}],"__proto__":{"polluted":true}}',
    })
    expect(Object.prototype).not.toHaveProperty('polluted')
    expect(events.filter(({ type }) => type === 'open')).toHaveLength(1)
  })

  it.each([
    ['MAX_TOKENS', 'length'],
    ['SAFETY', 'content_filter'],
    ['MALFORMED_FUNCTION_CALL', 'malformed_call'],
    ['A_NEW_ONE', 'other'],
  ])('reads the end %s', (finishReason, stop) => {
    const events = read(chunks({ candidates: [{ finishReason }] }))
    expect(events.at(-1)).toMatchObject({ type: 'stop', stop })
  })

  it('reads a blocked prompt and an error', () => {
    expect(read(fixture(HERE, 'blocked.sse')).slice(1)).toMatchObject([
      { type: 'stop', stop: 'content_filter' },
      { type: 'usage', usage: { inputTokens: 7, outputTokens: 0 } },
    ])
    expect(read(fixture(HERE, 'error-inside.sse')).at(-1)).toEqual({
      type: 'error',
      refusal: {
        status: 503,
        kind: 'overloaded',
        message: 'The model is overloaded.',
        code: 'UNAVAILABLE',
      },
    })
  })

  it('makes nothing of what it cannot read', () => {
    const odd = [
      'nonsense',
      '[]',
      '{"candidates":[null,{"content":{"parts":[1,{"odd":{}}]}}]}',
      '{}',
    ]
    const stream = Buffer.from(odd.map((one) => `data: ${one}\n\n`).join(''))
    expect(read(stream).map(({ type }) => type)).toEqual(['start'])
  })
})

const call = (at: number, id: string): ConversationEvent => ({
  type: 'open',
  at,
  block: { type: 'tool_call', id, name: 'f', custom: false, signature: null },
})

function said(events: readonly ConversationEvent[]): readonly string[] {
  return events.flatMap((event) => (event.type === 'delta' ? [event.text] : []))
}

describe('GeminiWriter', () => {
  const start: ConversationEvent = { type: 'start', id: 'msg_1', model: 'x', usage: NO_USAGE }
  const usage = {
    ...NO_USAGE,
    inputTokens: 10,
    cacheReadTokens: 5,
    outputTokens: 9,
    reasoningTokens: 4,
  }
  const end: readonly ConversationEvent[] = [
    { type: 'stop', stop: 'tool_use', stopSequence: null },
    { type: 'usage', usage },
  ]
  it('writes texts as they come, interleaved calls whole, and a last chunk with a part', () => {
    const text = write([
      start,
      { type: 'open', at: 0, block: { type: 'text' } },
      { type: 'delta', at: 0, text: 'Hi "é"' },
      { type: 'close', at: 0 },
      call(1, 'a'),
      call(2, 'b'),
      { type: 'delta', at: 1, text: '{"x"' },
      { type: 'delta', at: 2, text: '{}' },
      { type: 'delta', at: 1, text: ':1}' },
      { type: 'close', at: 1 },
      { type: 'close', at: 2 },
      ...end,
    ])
    const identity = { modelVersion: 'asked-for', responseId: 'msg_1' }
    expect(framesOf(text)).toEqual([
      { ...parts([{ text: 'Hi "é"' }]), ...identity },
      { ...parts([{ functionCall: { id: 'a', name: 'f', args: { x: 1 } } }]), ...identity },
      {
        ...parts([{ functionCall: { id: 'b', name: 'f', args: {} } }], { finishReason: 'STOP' }),
        usageMetadata: {
          promptTokenCount: 15,
          candidatesTokenCount: 5,
          totalTokenCount: 24,
          cachedContentTokenCount: 5,
          thoughtsTokenCount: 4,
        },
        ...identity,
      },
    ])
    expect(replay(new GeminiTap(), [Buffer.from(text)])).toMatchObject({
      complete: true,
      verdicts: 'ppe',
    })
  })

  it('writes thoughts with their signature, also those without words', () => {
    const text = write([
      { type: 'open', at: 0, block: { type: 'thinking', redacted: false } },
      { type: 'delta', at: 0, text: 'hm' },
      { type: 'signature', at: 0, signature: { value: 'sig', origin: null } },
      { type: 'close', at: 0 },
      { type: 'open', at: 1, block: { type: 'thinking', redacted: true } },
      { type: 'signature', at: 1, signature: SIGNATURE },
      { type: 'close', at: 1 },
    ])
    expect(framesOf(text)).toMatchObject([
      parts([{ text: 'hm', thought: true }]),
      parts([{ text: '', thought: true, thoughtSignature: 'sig' }]),
      parts([{ thought: true, thoughtSignature: expect.stringMatching(/^tgseal_/) }]),
    ])
  })

  it('writes citations with the end, in bytes of the whole text', () => {
    const text = write([
      { type: 'open', at: 0, block: { type: 'text' } },
      { type: 'delta', at: 0, text: 'é' },
      { type: 'close', at: 0 },
      { type: 'open', at: 1, block: { type: 'text' } },
      { type: 'delta', at: 1, text: '🙂b' },
      { type: 'citation', at: 1, citation: { ...NO_PLACE, start: 0, end: 3 } },
      { type: 'close', at: 1 },
    ])
    expect(framesOf(text).at(-1)).toMatchObject({
      candidates: [
        {
          groundingMetadata: {
            groundingChunks: [{ web: { uri: 'u', title: 't' } }],
            groundingSupports: [
              { segment: { startIndex: 2, endIndex: 7, text: '🙂b' }, groundingChunkIndices: [0] },
            ],
          },
        },
      ],
    })
  })

  it('writes an empty answer, an image and an error', () => {
    expect(framesOf(write([]))).toMatchObject([parts([{ text: '' }], { finishReason: 'OTHER' })])
    const source = { kind: 'base64', mediaType: 'image/png', data: 'AA' } as const
    const shown = write([
      { type: 'open', at: 0, block: { type: 'image', source } },
      { type: 'close', at: 0 },
    ])
    expect(framesOf(shown)).toMatchObject([
      parts([{ inlineData: { mimeType: 'image/png', data: 'AA' } }]),
    ])
    const refusal = {
      status: 529,
      kind: 'overloaded',
      message: 'busy',
      code: 'overloaded_error',
    } as const
    expect(framesOf(new GeminiWriter(OPTIONS).write({ type: 'error', refusal }))).toMatchObject([
      { error: { code: 503, status: 'UNAVAILABLE', message: 'busy' } },
    ])
  })

  it('writes what it reads', () => {
    for (const name of ['text', 'tools']) {
      const events = read(fixture(HERE, `${name}.sse`))
      const again = read(Buffer.from(write(events)))
      expect(said(again)).toEqual(said(events))
      expect(again.at(-2)).toEqual(events.at(-2))
      expect(again.at(-1)).toMatchObject({ usage: { outputTokens: name === 'text' ? 7 : 18 } })
    }
  })
})

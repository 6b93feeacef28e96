import { describe, expect, it } from 'vitest'
import type { Block, ConversationAnswer, StopReason } from '../../contracts/conversation.ts'
import type { AnswerOptions } from '../../contracts/dialect.ts'
import { NO_USAGE } from '../../contracts/usage.ts'
import { isRecord } from '../../lib/is-record.ts'
import { conversation } from '../../testing/conversations.ts'
import { Losses } from '../translation/losses.ts'
import { readAnswer } from './read-answer.ts'
import { readRequest } from './read-request.ts'
import { readRefusal, writeRefusal } from './refusals.ts'
import { writeAnswer } from './write-answer.ts'

const asked = { model: 'asked-for', stream: false, losses: new Losses() }
const OPTIONS: AnswerOptions = {
  conversation: conversation({ model: 'asked-for' }),
  requestId: 'req_1',
  createdAtMs: 0,
  streamUsage: true,
}

function read(value: unknown): ConversationAnswer | null {
  return readAnswer(Buffer.from(JSON.stringify(value)))
}

function written(answer: Partial<ConversationAnswer>): unknown {
  const whole: ConversationAnswer = {
    id: 'msg_1',
    model: 'theirs',
    blocks: [],
    stop: 'end',
    stopSequence: null,
    usage: NO_USAGE,
    serviceTier: null,
    ...answer,
  }
  return JSON.parse(writeAnswer(whole, OPTIONS))
}

function contentOf(body: unknown): unknown {
  const candidates: unknown = isRecord(body) ? body['candidates'] : null
  const first: unknown = Array.isArray(candidates) ? candidates[0] : null
  return isRecord(first) ? first['content'] : null
}

const candidate = (parts: readonly unknown[], more: Record<string, unknown> = {}) => ({
  candidates: [{ content: { parts, role: 'model' }, finishReason: 'STOP', ...more }],
})
const text = (value: string): Extract<Block, { type: 'text' }> => ({
  type: 'text',
  text: value,
  citations: [],
  cache: null,
})

describe('readAnswer', () => {
  it('reads parts, ids and usage', () => {
    const answer = read({
      ...candidate([
        { text: 'hm', thought: true },
        { text: 'so', thoughtSignature: 's1' },
        { functionCall: { name: 'f', args: { a: [1] } }, thoughtSignature: 's2' },
        { functionCall: { name: 'f', id: 'own' } },
        { inlineData: { mimeType: 'image/png', data: 'AA' } },
        { executableCode: { language: 'PYTHON', code: 'x' } },
      ]),
      responseId: 'abc',
      modelVersion: 'gemini-x-1',
      usageMetadata: {
        promptTokenCount: 5,
        candidatesTokenCount: 6,
        totalTokenCount: 11,
        serviceTier: 'flex',
      },
    })
    expect(answer).toMatchObject({
      id: 'abc',
      model: 'gemini-x-1',
      stop: 'tool_use',
      serviceTier: 'flex',
    })
    expect(answer?.usage).toMatchObject({ inputTokens: 5, outputTokens: 6 })
    expect(answer?.blocks).toMatchObject([
      { type: 'thinking', text: 'hm', signature: null, redacted: false },
      text('so'),
      { type: 'thinking', text: '', signature: { value: 's1', origin: null } },
      { type: 'tool_call', id: 'call_abc_3', input: '{"a":[1]}', signature: { value: 's2' } },
      { type: 'tool_call', id: 'own', input: '{}', signature: null },
      { type: 'image' },
      text('\n```python\nx\n```\n'),
    ])
  })

  it('reads grounding and recitals with offsets in UTF-16 units', () => {
    const answer = read(
      candidate([{ text: 'thinking', thought: true }, { text: 'é🙂b' }], {
        groundingMetadata: {
          groundingChunks: [
            { web: { uri: 'u', title: 't' } },
            { retrievedContext: { title: 'd', text: 'x' } },
          ],
          groundingSupports: [
            {
              segment: { partIndex: 1, startIndex: 2, endIndex: 6 },
              groundingChunkIndices: [0, 1, 9],
            },
          ],
        },
      }),
    )
    expect(answer?.blocks[1]).toEqual({
      ...text('é🙂b'),
      citations: [
        { url: 'u', title: 't', citedText: null, start: 1, end: 3 },
        { url: null, title: 'd', citedText: 'x', start: 1, end: 3 },
      ],
    })
    const citations = [{ startIndex: 0, endIndex: 2, uri: 'v' }]
    expect(
      read(candidate([{ text: 'abc' }], { citationMetadata: { citations } }))?.blocks[0],
    ).toMatchObject({
      citations: [{ url: 'v', start: 0, end: 2 }],
    })
  })

  it.each([
    [{ promptFeedback: { blockReason: 'SAFETY' } }, 'content_filter'],
    [{ candidates: [{ finishReason: 'RECITATION' }] }, 'content_filter'],
    [{ candidates: [{ finishReason: 'MAX_TOKENS' }] }, 'length'],
    [{ candidates: [{ finishReason: 'UNEXPECTED_TOOL_CALL' }] }, 'malformed_call'],
    [{ candidates: [{}] }, 'other'],
  ])('reads the end of %j', (value, stop) => {
    expect(read(value)).toMatchObject({ stop, blocks: [] })
  })

  it.each([[[]], [{}], [{ candidates: 1 }], [null]])('knows that %j is no answer', (value) => {
    expect(read(value)).toBeNull()
  })
})

describe('writeAnswer', () => {
  it('writes blocks, usage and the name that the client used', () => {
    const signature = { value: 'sig', origin: 'anthropic' }
    const body = written({
      blocks: [
        { type: 'thinking', text: 'hm', signature, redacted: false },
        { type: 'thinking', text: '', signature, redacted: true },
        text('so'),
        { type: 'refusal', text: 'no' },
        {
          type: 'tool_call',
          id: 'a',
          name: 'f',
          input: '{"a":9007199254740993}',
          custom: false,
          signature: null,
          cache: null,
        },
      ],
      stop: 'tool_use',
      usage: {
        ...NO_USAGE,
        inputTokens: 3,
        cacheWrite5mTokens: 2,
        outputTokens: 4,
        audioInputTokens: 1,
      },
    })
    expect(body).toMatchObject({
      candidates: [
        {
          content: {
            role: 'model',
            parts: [
              { text: 'hm', thought: true },
              { thought: true },
              { text: 'so' },
              { text: 'no' },
              { functionCall: { id: 'a', name: 'f' } },
            ],
          },
          finishReason: 'STOP',
          index: 0,
        },
      ],
      usageMetadata: {
        promptTokenCount: 5,
        candidatesTokenCount: 4,
        totalTokenCount: 9,
        promptTokensDetails: [{ modality: 'AUDIO', tokenCount: 1 }],
      },
      modelVersion: 'asked-for',
      responseId: 'msg_1',
    })
  })

  it('gives a client what it can send back whole', () => {
    const signature = { value: 'sig', origin: 'anthropic' }
    const blocks: readonly Block[] = [
      { type: 'thinking', text: 'hm', signature, redacted: false },
      { type: 'thinking', text: '', signature, redacted: true },
      text('so'),
      { type: 'tool_call', id: 'a', name: 'f', input: '{}', custom: false, signature, cache: null },
    ]
    const body = written({ blocks })
    expect(readRequest({ contents: [contentOf(body)] }, asked).turns).toEqual([
      { role: 'assistant', blocks },
    ])
  })

  it.each<[StopReason, string]>([
    ['end', 'STOP'],
    ['stop_sequence', 'STOP'],
    ['length', 'MAX_TOKENS'],
    ['context_overflow', 'MAX_TOKENS'],
    ['refusal', 'SAFETY'],
    ['content_filter', 'SAFETY'],
    ['malformed_call', 'MALFORMED_FUNCTION_CALL'],
    ['pause', 'OTHER'],
    ['other', 'OTHER'],
  ])('writes the end %s', (stop, finishReason) => {
    const body = written({ stop })
    expect(body).toMatchObject({
      candidates: [{ finishReason, content: { parts: [{ text: '' }] } }],
    })
    expect(body).not.toHaveProperty('usageMetadata')
  })

  it('writes citations', () => {
    const citation = { url: null, title: 'd', citedText: 'x', start: 1, end: 3 }
    expect(
      written({ blocks: [text('a'), { ...text('é🙂b'), citations: [citation] }] }),
    ).toMatchObject({
      candidates: [
        {
          groundingMetadata: {
            groundingChunks: [{ retrievedContext: { title: 'd', text: 'x' } }],
            groundingSupports: [
              { segment: { partIndex: 1, startIndex: 2, endIndex: 6, text: '🙂' } },
            ],
          },
        },
      ],
    })
  })
})

const refused = (status: number, error: Record<string, unknown>) =>
  readRefusal(status, Buffer.from(JSON.stringify({ error })))

describe('refusals', () => {
  it.each([
    [400, { status: 'INVALID_ARGUMENT', message: 'x' }, 'invalid_request'],
    [
      400,
      { status: 'INVALID_ARGUMENT', message: 'The input token count (9) exceeds the maximum' },
      'context_overflow',
    ],
    [429, { status: 'RESOURCE_EXHAUSTED', message: 'x' }, 'rate_limit'],
    [503, { status: 'UNAVAILABLE', message: 'x' }, 'overloaded'],
    [500, { status: 'INTERNAL', message: 'x' }, 'upstream'],
    [404, {}, 'not_found'],
    [502, {}, 'upstream'],
  ])('reads %i %j', (status, error, kind) => {
    expect(refused(status, error)).toMatchObject({ status, kind })
  })

  it('reads a list, and what is no JSON', () => {
    const list = Buffer.from('[{"error":{"message":"m","status":"NOT_FOUND"}}]')
    expect(readRefusal(404, list)).toMatchObject({ message: 'm', code: 'NOT_FOUND' })
    expect(readRefusal(500, Buffer.from('<html>'))).toMatchObject({ kind: 'upstream', code: null })
  })

  it('writes them in the words that clients know', () => {
    const overflow = {
      status: 400,
      kind: 'context_overflow',
      message: 'prompt is too long',
      code: null,
    } as const
    const { status, body } = writeRefusal(overflow, 'req_1')
    expect(status).toBe(400)
    expect(JSON.parse(body)).toMatchObject({
      error: {
        code: 400,
        status: 'INVALID_ARGUMENT',
        message: expect.stringContaining('exceeds the maximum number of tokens allowed'),
        details: [{ reason: 'CONTEXT_OVERFLOW' }],
      },
    })
    const filtered = { status: 400, kind: 'content_filter', message: 'm', code: 'x' } as const
    expect(writeRefusal(filtered, 'r').body).toContain('CONTENT_FILTER')
  })
})

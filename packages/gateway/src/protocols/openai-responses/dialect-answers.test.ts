import { describe, expect, it } from 'vitest'
import type {
  ConversationAnswer,
  ConversationEvent,
  ProviderRefusal,
  StopReason,
} from '../../contracts/conversation.ts'
import type { AnswerOptions } from '../../contracts/dialect.ts'
import { NO_USAGE } from '../../contracts/usage.ts'
import { isRecord } from '../../lib/is-record.ts'
import { SseFrameSplitter } from '../../lib/sse-frames.ts'
import { conversation, textBlock } from '../../testing/conversations.ts'
import { fixture } from '../../testing/tap-replay.ts'
import { sealCallId, sealSignature } from '../translation/seal.ts'
import { RESPONSES_DIALECT } from './dialect.ts'
import { ResponsesTap } from './responses-tap.ts'

const HERE = new URL('./', import.meta.url)
const SIGNATURE = { value: 'S', origin: 'claude' }
const USAGE = {
  ...NO_USAGE,
  inputTokens: 15,
  cacheReadTokens: 4,
  outputTokens: 10,
  reasoningTokens: 2,
}
const WIRE_USAGE = {
  input_tokens: 19,
  input_tokens_details: { cached_tokens: 4, cache_write_tokens: 0 },
  output_tokens: 10,
  output_tokens_details: { reasoning_tokens: 2 },
  total_tokens: 29,
}
const CITATION = { url: 'u', title: 't', citedText: null, start: 0, end: 2 }

function options(part: Partial<AnswerOptions> = {}): AnswerOptions {
  return {
    conversation: conversation({ model: 'public' }),
    requestId: 'r1',
    createdAtMs: 1_700_000_000_500,
    streamUsage: true,
    ...part,
  }
}

function toolCall(id: string, name: string, input: string, custom = false) {
  return { type: 'tool_call', id, name, input, custom, signature: null, cache: null } as const
}

const writeAnswer = (part: Partial<ConversationAnswer>, more: Partial<AnswerOptions> = {}) =>
  JSON.parse(
    RESPONSES_DIALECT.writeAnswer(
      {
        id: 'x',
        model: 'up',
        blocks: [textBlock('hi')],
        stop: 'end',
        stopSequence: null,
        usage: NO_USAGE,
        serviceTier: null,
        ...part,
      },
      options(more),
    ),
  )
const readAnswer = (body: unknown) =>
  RESPONSES_DIALECT.readAnswer(Buffer.from(JSON.stringify(body)))

describe('whole answers', () => {
  it('are read with all that they hold', () => {
    expect(RESPONSES_DIALECT.readAnswer(fixture(HERE, 'whole.json'))).toMatchObject({
      model: 'gpt-5-2025-08-07',
      serviceTier: 'default',
      stop: 'tool_use',
      usage: { inputTokens: 15, cacheReadTokens: 4, outputTokens: 10, reasoningTokens: 2 },
      blocks: [
        {
          type: 'thinking',
          text: '**Let** me\n\nthink',
          signature: { value: 'gAAAAABoWhole', origin: null },
        },
        {
          type: 'text',
          text: 'Rome',
          citations: [{ url: 'https://example.com', start: 0, end: 4 }],
        },
        { type: 'tool_call', id: 'call_a', name: 'weather', input: '{"city":"Rome"}' },
      ],
    })
  })

  it.each<[Record<string, unknown>, StopReason]>([
    [{ status: 'completed', output: [] }, 'end'],
    [
      { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' }, output: [] },
      'length',
    ],
    [
      { status: 'incomplete', incomplete_details: { reason: 'content_filter' }, output: [] },
      'content_filter',
    ],
    [{ status: 'incomplete', output: [] }, 'other'],
    [{ output: [{ type: 'message', content: [{ type: 'refusal', refusal: 'no' }] }] }, 'refusal'],
    [{ output: [{ type: 'custom_tool_call', call_id: 'c', name: 'n', input: 'x' }] }, 'tool_use'],
  ])('%j stopped for %s', (body, stop) => {
    expect(readAnswer(body)?.stop).toBe(stop)
  })

  it('are read with pictures, and without what the provider did by itself', () => {
    expect(
      readAnswer({
        output: [
          { type: 'web_search_call', id: 'ws' },
          { type: 'image_generation_call', result: 'AA' },
          1,
        ],
      })?.blocks,
    ).toEqual([
      {
        type: 'image',
        source: { kind: 'base64', mediaType: 'image/png', data: 'AA' },
        detail: null,
        cache: null,
      },
    ])
  })

  it.each([['{}'], ['[]'], ['nope'], ['{"output":[],"error":{"message":"m"}}']])(
    'are none: %s',
    (body) => {
      expect(RESPONSES_DIALECT.readAnswer(Buffer.from(body))).toBeNull()
    },
  )

  it('are written as a whole response', () => {
    const said = writeAnswer({
      blocks: [
        { type: 'thinking', text: 'hm', signature: SIGNATURE, redacted: false },
        { ...textBlock('hello'), citations: [CITATION] },
        textBlock('!'),
        { ...toolCall('a', 'f', ''), signature: SIGNATURE },
        toolCall('b', 'c', 'free', true),
      ],
      stop: 'tool_use',
      usage: USAGE,
      serviceTier: 'flex',
    })
    expect(said).toMatchObject({
      id: 'resp_r1',
      object: 'response',
      created_at: 1_700_000_000,
      status: 'completed',
      error: null,
      incomplete_details: null,
      model: 'public',
      parallel_tool_calls: true,
      previous_response_id: null,
      service_tier: 'flex',
      store: false,
      text: { format: { type: 'text' } },
      tool_choice: 'auto',
      tools: [],
      usage: WIRE_USAGE,
    })
    expect(said.output).toEqual([
      {
        id: 'rs_r1_0',
        type: 'reasoning',
        summary: [{ type: 'summary_text', text: 'hm' }],
        encrypted_content: sealSignature(SIGNATURE),
      },
      {
        id: 'msg_r1_1',
        type: 'message',
        status: 'completed',
        role: 'assistant',
        content: [
          {
            type: 'output_text',
            text: 'hello',
            annotations: [
              { type: 'url_citation', url: 'u', title: 't', start_index: 0, end_index: 2 },
            ],
            logprobs: [],
          },
          { type: 'output_text', text: '!', annotations: [], logprobs: [] },
        ],
      },
      {
        id: 'fc_r1_2',
        type: 'function_call',
        status: 'completed',
        call_id: sealCallId('a', SIGNATURE),
        name: 'f',
        arguments: '{}',
      },
      {
        id: 'ctc_r1_3',
        type: 'custom_tool_call',
        status: 'completed',
        call_id: 'b',
        name: 'c',
        input: 'free',
      },
    ])
  })

  it('echo what the client asked for', () => {
    const tool = {
      kind: 'function',
      name: 'f',
      description: null,
      schema: null,
      strict: null,
      cache: null,
    } as const
    const said = writeAnswer(
      {},
      {
        conversation: conversation({
          tools: [tool],
          toolChoice: { kind: 'named', name: 'f' },
          reasoning: { effort: 'low', budgetTokens: null, shown: true },
          metadata: { a: 'b' },
        }),
      },
    )
    expect(said).toMatchObject({
      tools: [{ type: 'function', name: 'f', strict: false }],
      tool_choice: { type: 'function', name: 'f' },
      reasoning: { effort: 'low', summary: 'auto' },
      metadata: { a: 'b' },
      usage: null,
    })
  })

  it.each<[StopReason, string, string | null]>([
    ['end', 'completed', null],
    ['stop_sequence', 'completed', null],
    ['tool_use', 'completed', null],
    ['pause', 'completed', null],
    ['malformed_call', 'completed', null],
    ['other', 'completed', null],
    ['length', 'incomplete', 'max_output_tokens'],
    ['context_overflow', 'incomplete', 'max_output_tokens'],
    ['content_filter', 'incomplete', 'content_filter'],
    ['refusal', 'incomplete', 'content_filter'],
  ])('say %s as %s for %s', (stop, status, reason) => {
    expect(writeAnswer({ stop })).toMatchObject({
      status,
      incomplete_details: reason === null ? null : { reason },
    })
  })

  it('say a refusal in words as a part', () => {
    const said = writeAnswer({ blocks: [{ type: 'refusal', text: 'no' }], stop: 'refusal' })
    expect(said.status).toBe('completed')
    expect(said.output[0].content).toEqual([{ type: 'refusal', refusal: 'no' }])
  })
})

function eventsOf(bytes: Buffer): readonly ConversationEvent[] {
  const reader = RESPONSES_DIALECT.streamReader()
  const events: ConversationEvent[] = []
  const splitter = new SseFrameSplitter(1 << 24)
  splitter.push(bytes, (from, start, end) =>
    events.push(...reader.read({ bytes: from, start, end })),
  )
  return events
}

const stream = (...list: readonly Record<string, unknown>[]) =>
  eventsOf(Buffer.from(list.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')))

const openCall = (at: number, id: string, name: string, custom = false): ConversationEvent => ({
  type: 'open',
  at,
  block: { type: 'tool_call', id, name, custom, signature: null },
})
const openText = (at: number): ConversationEvent => ({ type: 'open', at, block: { type: 'text' } })
const openThinking = (at: number, redacted = false): ConversationEvent => ({
  type: 'open',
  at,
  block: { type: 'thinking', redacted },
})
const delta = (at: number, text: string): ConversationEvent => ({ type: 'delta', at, text })
const close = (at: number): ConversationEvent => ({ type: 'close', at })
const stop = (reason: StopReason): ConversationEvent => ({
  type: 'stop',
  stop: reason,
  stopSequence: null,
})

describe('streams of providers', () => {
  it.each(['text', 'crlf', 'cr', 'bom', 'no-space', 'no-event-line', 'comments'])(
    'are read however they are spelt: %s',
    (name) => {
      const whole = Buffer.concat([fixture(HERE, `${name}.sse`)])
      expect(eventsOf(whole)).toMatchObject([
        { type: 'start', model: 'gpt-5-2025-08-07' },
        openText(0),
        delta(0, 'Hello '),
        delta(0, 'é漢😀 "usage":{}'),
        delta(0, ' event: response.completed'),
        close(0),
        stop('end'),
        { type: 'usage', usage: { inputTokens: 15, outputTokens: 10 } },
      ])
    },
  )

  it('are read with reasoning, calls, custom calls, citations', () => {
    expect(eventsOf(fixture(HERE, 'reasoning.sse')).slice(1, -1)).toEqual([
      openThinking(0),
      delta(0, '**Let'),
      delta(0, '** me'),
      delta(0, '\n\n'),
      delta(0, 'think'),
      { type: 'signature', at: 0, signature: { value: 'gAAAAABoWhole', origin: null } },
      close(0),
      openText(1),
      delta(1, '42'),
      close(1),
      stop('end'),
    ])
    expect(eventsOf(fixture(HERE, 'tools.sse')).slice(1, -1)).toEqual([
      openCall(0, 'call_a', 'weather'),
      delta(0, '{"ci'),
      delta(0, 'ty":"Rome"}'),
      close(0),
      openCall(1, 'call_b', 'time'),
      delta(1, '{}'),
      close(1),
      stop('tool_use'),
    ])
    expect(eventsOf(fixture(HERE, 'custom-tool.sse')).slice(1, -1)).toEqual([
      openCall(0, 'call_c', 'apply_patch', true),
      delta(0, '*** Begin'),
      delta(0, '\n+é'),
      close(0),
      stop('tool_use'),
    ])
    expect(eventsOf(fixture(HERE, 'web-search.sse'))).toContainEqual({
      type: 'citation',
      at: 0,
      citation: { url: 'https://example.com', title: 'T', citedText: null, start: 0, end: 4 },
    })
  })

  it('end incomplete, failed, or with an error, flat or nested', () => {
    expect(eventsOf(fixture(HERE, 'incomplete.sse')).at(-2)).toEqual(stop('length'))
    expect(eventsOf(fixture(HERE, 'failed.sse')).at(-1)).toMatchObject({
      type: 'error',
      refusal: { kind: 'upstream', code: 'server_error' },
    })
    expect(eventsOf(fixture(HERE, 'error-inside.sse')).at(-1)).toMatchObject({
      type: 'error',
      refusal: { message: 'Something broke.' },
    })
    expect(eventsOf(fixture(HERE, 'error-first.sse'))).toMatchObject([
      { type: 'error', refusal: { kind: 'rate_limit', message: 'Rate limit reached.' } },
    ])
  })

  it('may leave out what only announces, and give calls whole', () => {
    const item = { type: 'function_call', call_id: 'a', name: 'f', arguments: '{}' }
    expect(
      stream(
        { type: 'response.output_text.delta', output_index: 0, content_index: 0, delta: 'a' },
        { type: 'response.reasoning_text.delta', output_index: 1, delta: 'hm' },
        { type: 'response.output_item.done', output_index: 1, item: { type: 'reasoning' } },
        { type: 'response.output_item.done', output_index: 2, item },
        { type: 'response.completed', response: {} },
      ),
    ).toEqual([
      openText(0),
      delta(0, 'a'),
      openThinking(1),
      delta(1, 'hm'),
      { type: 'signature', at: 1, signature: { value: 'reasoning_text', origin: null } },
      close(1),
      openCall(2, 'a', 'f'),
      delta(2, '{}'),
      close(2),
      close(0),
      stop('tool_use'),
      { type: 'usage', usage: NO_USAGE },
    ])
  })

  it('may hold anything', () => {
    const types = [
      'response.created',
      'response.output_item.added',
      'response.output_item.done',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.annotation.added',
      'response.function_call_arguments.delta',
      'response.failed',
      'error',
      'constructor',
    ]
    for (const type of types) {
      for (const value of [undefined, 1, [], { type: 'message', content: [1] }]) {
        const event = {
          type,
          item: value,
          part: value,
          delta: value,
          response: value,
          output_index: value,
        }
        expect(() => stream(event, event)).not.toThrow()
      }
    }
  })
})

function written(events: readonly ConversationEvent[]): readonly Record<string, unknown>[] {
  const writer = RESPONSES_DIALECT.streamWriter(options())
  const text = events.map((event) => writer.write(event)).join('') + writer.end()
  const frames = text.split('\n\n').filter((frame) => frame !== '')
  return frames.map((frame) => {
    const [name = '', data = ''] = frame.split('\n')
    const event: unknown = JSON.parse(data.slice('data: '.length))
    if (!isRecord(event)) throw new TypeError(frame)
    expect(name).toBe(`event: ${String(event['type'])}`)
    return event
  })
}

/** Types of events without their common head, with the place of the item. */
function outline(events: readonly Record<string, unknown>[]): readonly string[] {
  return events.map(({ type, output_index: at }) => {
    const name = String(type).replace('response.', '')
    return typeof at === 'number' ? `${name} ${at}` : name
  })
}

const START: ConversationEvent = { type: 'start', id: 'x', model: 'up', usage: NO_USAGE }

describe('streams for clients', () => {
  const EVENTS: readonly ConversationEvent[] = [
    START,
    openThinking(0),
    delta(0, 'hm'),
    { type: 'signature', at: 0, signature: SIGNATURE },
    close(0),
    openText(1),
    delta(1, 'Hi'),
    { type: 'citation', at: 1, citation: CITATION },
    close(1),
    openText(2),
    delta(2, '!'),
    close(2),
    openCall(3, 'a', 'f'),
    openCall(4, 'b', 'p', true),
    delta(4, 'free'),
    delta(3, '{"x":1}'),
    close(4),
    close(3),
    openThinking(5, true),
    { type: 'signature', at: 5, signature: SIGNATURE },
    close(5),
    stop('tool_use'),
    { type: 'usage', usage: USAGE },
  ]

  it('are complete and in order', () => {
    expect(outline(written(EVENTS))).toEqual([
      'created',
      'in_progress',
      'output_item.added 0',
      'reasoning_summary_part.added 0',
      'reasoning_summary_text.delta 0',
      'reasoning_summary_text.done 0',
      'reasoning_summary_part.done 0',
      'output_item.done 0',
      'output_item.added 1',
      'content_part.added 1',
      'output_text.delta 1',
      'output_text.annotation.added 1',
      'output_text.done 1',
      'content_part.done 1',
      'content_part.added 1',
      'output_text.delta 1',
      'output_text.done 1',
      'content_part.done 1',
      'output_item.done 1',
      'output_item.added 2',
      'output_item.added 3',
      'custom_tool_call_input.delta 3',
      'function_call_arguments.delta 2',
      'custom_tool_call_input.done 3',
      'output_item.done 3',
      'function_call_arguments.done 2',
      'output_item.done 2',
      'output_item.added 4',
      'output_item.done 4',
      'completed',
    ])
  })

  it('number their events without a gap, and hold at the end what was streamed', () => {
    const events = written(EVENTS)
    expect(events.map((event) => event['sequence_number'])).toEqual([...events.keys()])
    const items = events
      .filter(({ type }) => type === 'response.output_item.done')
      .toSorted((a, b) => Number(a['output_index']) - Number(b['output_index']))
      .map(({ item }) => item)
    expect(events.at(-1)).toMatchObject({
      response: { id: 'resp_r1', status: 'completed', output: items, usage: WIRE_USAGE },
    })
    expect(events[0]).toMatchObject({
      response: { id: 'resp_r1', status: 'in_progress', output: [], usage: null },
    })
  })

  it('say what the whole answer says', () => {
    const whole = writeAnswer({
      blocks: [
        { type: 'thinking', text: 'hm', signature: SIGNATURE, redacted: false },
        { ...textBlock('Hi'), citations: [CITATION] },
        textBlock('!'),
        toolCall('a', 'f', '{"x":1}'),
        toolCall('b', 'p', 'free', true),
        { type: 'thinking', text: '', signature: SIGNATURE, redacted: true },
      ],
      stop: 'tool_use',
      usage: USAGE,
    })
    expect(written(EVENTS).at(-1)).toMatchObject({ response: whole })
  })

  it('convince the tap that they are whole', () => {
    const writer = RESPONSES_DIALECT.streamWriter(options())
    const text = EVENTS.map((event) => writer.write(event)).join('') + writer.end()
    const tap = new ResponsesTap()
    const splitter = new SseFrameSplitter(1 << 24)
    splitter.push(Buffer.from(text), (bytes, start, end) => tap.readFrame({ bytes, start, end }))
    expect(tap.complete()).toBe(true)
    expect(tap.usage()).toMatchObject({ inputTokens: 15, outputTokens: 10 })
  })

  it('close what a provider left open, as incomplete when the answer is', () => {
    const events = written([
      START,
      openText(0),
      delta(0, 'a'),
      openCall(1, 'a', 'f'),
      delta(1, '{'),
      stop('length'),
    ])
    expect(events.at(-1)).toMatchObject({
      type: 'response.incomplete',
      response: {
        status: 'incomplete',
        incomplete_details: { reason: 'max_output_tokens' },
        output: [
          { type: 'message', content: [{ text: 'a' }] },
          { type: 'function_call', status: 'incomplete', arguments: '{' },
        ],
      },
    })
  })

  it('give calls without arguments an empty object, and leave empty texts out', () => {
    const events = written([
      START,
      openText(0),
      close(0),
      openCall(1, 'a', 'f'),
      close(1),
      stop('tool_use'),
    ])
    expect(outline(events).slice(2)).toEqual([
      'output_item.added 0',
      'function_call_arguments.delta 0',
      'function_call_arguments.done 0',
      'output_item.done 0',
      'completed',
    ])
    expect(events[3]).toMatchObject({ delta: '{}' })
  })

  it('tell refusals and pictures', () => {
    const events = written([
      START,
      { type: 'open', at: 0, block: { type: 'refusal' } },
      delta(0, 'no'),
      close(0),
      {
        type: 'open',
        at: 1,
        block: { type: 'image', source: { kind: 'base64', mediaType: 'image/png', data: 'AA' } },
      },
      close(1),
      stop('refusal'),
    ])
    expect(events.at(-1)).toMatchObject({
      type: 'response.completed',
      response: {
        output: [
          { type: 'message', content: [{ type: 'refusal', refusal: 'no' }] },
          { type: 'image_generation_call', result: 'AA' },
        ],
      },
    })
    expect(outline(events)).toContain('refusal.delta 0')
  })

  it.each<[ProviderRefusal['kind'], string]>([
    ['context_overflow', 'context_length_exceeded'],
    ['rate_limit', 'rate_limit_exceeded'],
    ['quota', 'insufficient_quota'],
    ['overloaded', 'server_error'],
    ['upstream', 'server_error'],
  ])('end with response.failed for %s, and nothing behind it', (kind, code) => {
    const refusal = { status: 500, kind, message: 'm', code: null }
    const events = written([
      START,
      openText(0),
      delta(0, 'a'),
      { type: 'error', refusal },
      delta(0, 'b'),
    ])
    expect(events.at(-2)).toMatchObject({ type: 'error', code, message: 'm' })
    expect(events.at(-1)).toMatchObject({
      type: 'response.failed',
      response: { id: 'resp_r1', status: 'failed', error: { code, message: 'm' } },
    })
  })
})

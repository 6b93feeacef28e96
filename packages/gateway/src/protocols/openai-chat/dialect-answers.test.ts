import { describe, expect, it } from 'vitest'
import type {
  ConversationAnswer,
  ConversationEvent,
  ProviderRefusal,
  StopReason,
} from '../../contracts/conversation.ts'
import type { AnswerOptions } from '../../contracts/dialect.ts'
import { NO_USAGE } from '../../contracts/usage.ts'
import { SseFrameSplitter } from '../../lib/sse-frames.ts'
import { conversation, textBlock } from '../../testing/conversations.ts'
import { fixture } from '../../testing/tap-replay.ts'
import { sealCallId, sealSignature } from '../translation/seal.ts'
import { CHAT_DIALECT } from './dialect.ts'

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
  prompt_tokens: 19,
  completion_tokens: 10,
  total_tokens: 29,
  prompt_tokens_details: { cached_tokens: 4 },
  completion_tokens_details: { reasoning_tokens: 2 },
}

function options(part: Partial<AnswerOptions> = {}): AnswerOptions {
  return {
    conversation: conversation({ model: 'public' }),
    requestId: 'r1',
    createdAtMs: 1_700_000_000_500,
    streamUsage: false,
    ...part,
  }
}

function answer(part: Partial<ConversationAnswer>): ConversationAnswer {
  return {
    id: 'x',
    model: 'up',
    blocks: [textBlock('hi')],
    stop: 'end',
    stopSequence: null,
    usage: NO_USAGE,
    serviceTier: null,
    ...part,
  }
}

const readAnswer = (body: unknown) => CHAT_DIALECT.readAnswer(Buffer.from(JSON.stringify(body)))
const withMessage = (message: unknown, finish_reason = 'stop') =>
  readAnswer({ id: 'c', model: 'up', choices: [{ index: 0, message, finish_reason }] })
const writeAnswer = (part: Partial<ConversationAnswer>, more: Partial<AnswerOptions> = {}) =>
  JSON.parse(CHAT_DIALECT.writeAnswer(answer(part), options(more)))

describe('whole answers', () => {
  it('are read with all that they hold', () => {
    const read = withMessage(
      {
        role: 'assistant',
        content: 'hi',
        refusal: null,
        reasoning_content: 'hm',
        annotations: [
          {
            type: 'url_citation',
            url_citation: { url: 'u', title: 't', start_index: 0, end_index: 2 },
          },
        ],
        images: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AA' } }],
        tool_calls: [
          { id: 'a', type: 'function', function: { name: 'f', arguments: '{"x"' } },
          { id: 'b', type: 'custom', custom: { name: 'c', input: 'free' } },
          { type: 'function', function: { name: 'g', arguments: { y: 1 } } },
          { id: 'bad', type: 'function' },
        ],
      },
      'stop',
    )
    expect(read).toMatchObject({ id: 'c', model: 'up', stop: 'tool_use' })
    expect(read?.blocks).toEqual([
      {
        type: 'thinking',
        text: 'hm',
        signature: { value: 'reasoning_content', origin: null },
        redacted: false,
      },
      {
        ...textBlock('hi'),
        citations: [{ url: 'u', title: 't', citedText: null, start: 0, end: 2 }],
      },
      {
        type: 'image',
        source: { kind: 'base64', mediaType: 'image/png', data: 'AA' },
        detail: null,
        cache: null,
      },
      toolCall('a', 'f', '{"x"'),
      { ...toolCall('b', 'c', 'free'), custom: true },
      toolCall('call_2', 'g', '{"y":1}'),
    ])
  })

  it('are read in the words of other vendors', () => {
    expect(
      withMessage({
        content: [
          { type: 'thinking', thinking: [{ type: 'text', text: 'hm' }] },
          { type: 'text', text: 'a' },
        ],
      })?.blocks,
    ).toEqual([{ type: 'thinking', text: 'hm', signature: null, redacted: false }, textBlock('a')])
    expect(
      withMessage(
        { content: null, function_call: { name: 'f', arguments: '{}' } },
        'function_call',
      ),
    ).toMatchObject({
      stop: 'tool_use',
      blocks: [toolCall('call_0', 'f', '{}')],
    })
    expect(withMessage({ refusal: 'no' })).toMatchObject({
      stop: 'refusal',
      blocks: [{ type: 'refusal', text: 'no' }],
    })
  })

  it.each([['{}'], ['[]'], ['{"choices":[]}'], ['{"choices":[{}]}'], ['nope'], ['{"error":{}}']])(
    'are none: %s',
    (body) => {
      expect(CHAT_DIALECT.readAnswer(Buffer.from(body))).toBeNull()
    },
  )

  it('are written with all that they hold', () => {
    const citation = { url: 'u', title: null, citedText: 'q', start: null, end: null }
    const said = writeAnswer({
      blocks: [
        { type: 'thinking', text: 'hm', signature: SIGNATURE, redacted: false },
        textBlock('Hello '),
        { ...textBlock('you'), citations: [citation] },
        { ...toolCall('a', 'f', ''), signature: SIGNATURE },
        { ...toolCall('b', 'c', 'free'), custom: true },
      ],
      stop: 'tool_use',
      usage: USAGE,
      serviceTier: 'flex',
    })
    expect(said).toEqual({
      id: 'chatcmpl-r1',
      object: 'chat.completion',
      created: 1_700_000_000,
      model: 'public',
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: 'Hello you',
            refusal: null,
            reasoning_content: 'hm',
            reasoning_details: [
              { type: 'reasoning.text', text: 'hm', signature: sealSignature(SIGNATURE) },
            ],
            annotations: [
              {
                type: 'url_citation',
                url_citation: { url: 'u', title: '', start_index: 6, end_index: 9, content: 'q' },
              },
            ],
            tool_calls: [
              {
                id: sealCallId('a', SIGNATURE),
                type: 'function',
                function: { name: 'f', arguments: '{}' },
              },
              { id: 'b', type: 'custom', custom: { name: 'c', input: 'free' } },
            ],
          },
          logprobs: null,
          finish_reason: 'tool_calls',
        },
      ],
      usage: WIRE_USAGE,
      service_tier: 'flex',
    })
  })

  it('tell no usage that nobody told', () => {
    expect(writeAnswer({})['usage']).toBeUndefined()
  })

  it('use the older form for clients that know only that', () => {
    const more = { conversation: conversation({ clientMark: 'functions' }) }
    const { choices } = writeAnswer({ blocks: [toolCall('a', 'f', '{}')], stop: 'tool_use' }, more)
    expect(choices).toMatchObject([
      {
        message: { function_call: { name: 'f', arguments: '{}' } },
        finish_reason: 'function_call',
      },
    ])
  })

  it.each<[StopReason, string]>([
    ['end', 'stop'],
    ['length', 'length'],
    ['stop_sequence', 'stop'],
    ['tool_use', 'tool_calls'],
    ['refusal', 'content_filter'],
    ['content_filter', 'content_filter'],
    ['pause', 'stop'],
    ['context_overflow', 'length'],
    ['malformed_call', 'stop'],
    ['other', 'stop'],
  ])('say %s as %s', (stop, reason) => {
    expect(writeAnswer({ stop })['choices'][0]['finish_reason']).toBe(reason)
  })

  it('say a refusal in words as an ordinary end', () => {
    const said = writeAnswer({ blocks: [{ type: 'refusal', text: 'no' }], stop: 'refusal' })
    expect(said['choices'][0]).toMatchObject({
      message: { content: null, refusal: 'no' },
      finish_reason: 'stop',
    })
  })

  it.each<[string, StopReason]>([
    ['stop', 'end'],
    ['length', 'length'],
    ['max_tokens', 'length'],
    ['model_length', 'context_overflow'],
    ['content_filter', 'content_filter'],
    ['eos', 'end'],
    ['error', 'other'],
    ['constructor', 'other'],
  ])('take %s for %s', (reason, stop) => {
    expect(withMessage({ content: 'a' }, reason)?.stop).toBe(stop)
  })
})

function toolCall(id: string, name: string, input: string) {
  return {
    type: 'tool_call',
    id,
    name,
    input,
    custom: false,
    signature: null,
    cache: null,
  } as const
}

function eventsOf(bytes: Buffer): readonly ConversationEvent[] {
  const reader = CHAT_DIALECT.streamReader()
  const events: ConversationEvent[] = []
  const splitter = new SseFrameSplitter(1 << 24)
  splitter.push(bytes, (from, start, end) =>
    events.push(...reader.read({ bytes: from, start, end })),
  )
  return events
}

/** Chunks of one choice: deltas, or whole chunks. */
function stream(...parts: readonly Record<string, unknown>[]): readonly ConversationEvent[] {
  const frames = parts.map((part) => {
    const chunk =
      part['choices'] === undefined && part['error'] === undefined && part['usage'] === undefined
        ? { id: 'c', model: 'up', choices: [{ index: 0, delta: part, finish_reason: null }] }
        : part
    return `data: ${JSON.stringify(chunk)}\n\n`
  })
  return eventsOf(Buffer.from(`${frames.join('')}data: [DONE]\n\n`)).slice(1)
}

const finish = (reason: string) => ({ choices: [{ index: 0, delta: {}, finish_reason: reason }] })
const open = (at: number, id: string, name: string): ConversationEvent => ({
  type: 'open',
  at,
  block: { type: 'tool_call', id, name, custom: false, signature: null },
})
const delta = (at: number, text: string): ConversationEvent => ({ type: 'delta', at, text })
const close = (at: number): ConversationEvent => ({ type: 'close', at })
const stop = (reason: StopReason): ConversationEvent => ({
  type: 'stop',
  stop: reason,
  stopSequence: null,
})

const piece = (index: number | undefined, more: Record<string, unknown>) => ({
  tool_calls: [{ index, ...more }],
})

const detail = (more: Record<string, unknown>) => ({
  reasoning: more['text'] ?? '',
  reasoning_details: [{ type: 'reasoning.text', index: 0, format: 'f', ...more }],
})

describe('streams of providers', () => {
  it('are read as they came: thinking, text, usage', () => {
    expect(eventsOf(fixture(HERE, 'reasoning.sse'))).toMatchObject([
      { type: 'start' },
      { type: 'open', at: 0, block: { type: 'thinking', redacted: false } },
      delta(0, 'Let me'),
      delta(0, ' think'),
      { type: 'signature', at: 0, signature: { value: 'reasoning_content', origin: null } },
      close(0),
      { type: 'open', at: 1, block: { type: 'text' } },
      delta(1, '42'),
      close(1),
      stop('end'),
      { type: 'usage', usage: { outputTokens: 10, reasoningTokens: 2 } },
    ])
  })

  it('may interleave calls, leave indexes out, repeat names and give every call the same index', () => {
    const interleaved = stream(
      piece(0, { id: 'a', type: 'function', function: { name: 'f', arguments: '' } }),
      piece(1, { id: 'b', type: 'function', function: { name: 'g', arguments: '{' } }),
      piece(0, { id: 'a', function: { name: 'f', arguments: '{"x"' } }),
      piece(1, { function: { arguments: '}' } }),
      piece(0, { function: { arguments: ':1}' } }),
      finish('tool_calls'),
    )
    expect(interleaved).toEqual([
      open(0, 'a', 'f'),
      open(1, 'b', 'g'),
      delta(1, '{'),
      delta(0, '{"x"'),
      delta(1, '}'),
      delta(0, ':1}'),
      close(0),
      close(1),
      stop('tool_use'),
    ])
    for (const index of [0, undefined]) {
      expect(
        stream(
          piece(index, { id: 'a', function: { name: 'f', arguments: '{}' } }),
          piece(index, { id: 'b', function: { name: 'f', arguments: '{"y":' } }),
          piece(index, { function: { arguments: '2}' } }),
          finish('stop'),
        ),
      ).toEqual([
        open(0, 'a', 'f'),
        delta(0, '{}'),
        open(1, 'b', 'f'),
        delta(1, '{"y":'),
        delta(1, '2}'),
        close(0),
        close(1),
        stop('tool_use'),
      ])
    }
  })

  it('may name a call late, and leave its id out', () => {
    expect(
      stream(
        { tool_calls: [{ index: 0, function: { arguments: '{' } }] },
        { tool_calls: [{ index: 0, function: { name: 'f', arguments: '}' } }] },
        finish('tool_calls'),
      ),
    ).toEqual([open(0, 'call_0', 'f'), delta(0, '{}'), close(0), stop('tool_use')])
  })

  it('may carry details of reasoning, which go back as they came', () => {
    const events = stream(
      detail({ text: 'h', signature: null }),
      detail({ text: 'm' }),
      { reasoning_details: [{ type: 'reasoning.text', index: 0, signature: 'SIG' }] },
      { content: 'a' },
      finish('stop'),
    )
    expect(events).toEqual([
      { type: 'open', at: 0, block: { type: 'thinking', redacted: false } },
      delta(0, 'h'),
      delta(0, 'm'),
      {
        type: 'signature',
        at: 0,
        signature: {
          value: '[{"type":"reasoning.text","index":0,"format":"f","signature":"SIG","chars":2}]',
          origin: null,
        },
      },
      close(0),
      { type: 'open', at: 1, block: { type: 'text' } },
      delta(1, 'a'),
      close(1),
      stop('end'),
    ])
  })

  it('may hide reasoning whole, and repeat at the end what was told before', () => {
    expect(
      stream({ reasoning_details: [{ type: 'reasoning.encrypted', data: 'd' }] }, finish('stop')),
    ).toMatchObject([
      { type: 'open', block: { type: 'thinking', redacted: true } },
      {
        type: 'signature',
        signature: { value: '[{"type":"reasoning.encrypted","data":"d","chars":0}]' },
      },
      close(0),
      stop('end'),
    ])
    const said = stream(
      { reasoning_content: 'hm' },
      { content: 'a' },
      { reasoning_details: [{ type: 'reasoning.text', text: 'hm', signature: 'S' }] },
      finish('stop'),
    )
    expect(said.filter((event) => event.type === 'delta')).toEqual([delta(0, 'hm'), delta(1, 'a')])
    expect(said.filter((event) => event.type === 'signature')).toMatchObject([
      { at: 0, signature: { value: 'reasoning_content' } },
      { at: 2, signature: { value: '[{"text":"hm","type":"reasoning.text","signature":"S"}]' } },
    ])
  })

  it('tell refusals, citations, pictures, errors, and nothing of further choices', () => {
    expect(
      stream(
        { choices: [{ index: 1, delta: { content: 'no' } }] },
        { content: 'a', annotations: [{ type: 'url_citation', url_citation: { url: 'u' } }] },
        { images: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AA' } }] },
        { refusal: 'no' },
        finish('stop'),
        { content: 'late' },
        { error: { message: 'gone', code: 503 } },
      ),
    ).toMatchObject([
      { type: 'open', at: 0, block: { type: 'text' } },
      delta(0, 'a'),
      { type: 'citation', at: 0, citation: { url: 'u' } },
      close(0),
      { type: 'open', at: 1, block: { type: 'image' } },
      close(1),
      { type: 'open', at: 2, block: { type: 'refusal' } },
      delta(2, 'no'),
      close(2),
      stop('refusal'),
      { type: 'error', refusal: { status: 503, kind: 'overloaded', message: 'gone' } },
    ])
  })

  it('begin behind the empty chunk of Azure', () => {
    expect(eventsOf(fixture(HERE, 'azure.sse'))[0]).toMatchObject({ type: 'start' })
  })

  it('may hold anything', () => {
    const odd = [
      '[]',
      '1',
      '{',
      '{"choices":1}',
      '{"choices":[1]}',
      '{"choices":[{"delta":1}]}',
      '{"choices":[{"delta":{"tool_calls":[1,{"function":1}],"content":7,"images":[1],"reasoning_details":[1]}}]}',
    ]
    const text = odd.map((data) => `data: ${data}\n\n`).join('')
    expect(() => eventsOf(Buffer.from(text))).not.toThrow()
  })
})

function written(
  events: readonly ConversationEvent[],
  more: Partial<AnswerOptions> = {},
): readonly unknown[] {
  const writer = CHAT_DIALECT.streamWriter(options(more))
  const text = events.map((event) => writer.write(event)).join('') + writer.end()
  return text
    .split('\n\n')
    .filter((frame) => frame !== '')
    .map((frame) => frame.slice('data: '.length))
    .map((data) => (data === '[DONE]' ? data : JSON.parse(data)))
}

const START: ConversationEvent = { type: 'start', id: 'x', model: 'up', usage: NO_USAGE }
const TEXT: readonly ConversationEvent[] = [
  { type: 'open', at: 0, block: { type: 'text' } },
  delta(0, 'a'),
  close(0),
]

function deltasOf(
  events: readonly ConversationEvent[],
  more: Partial<AnswerOptions> = {},
): unknown {
  return written(events, more).flatMap((chunk) =>
    typeof chunk === 'object' &&
    chunk !== null &&
    'choices' in chunk &&
    Array.isArray(chunk.choices)
      ? chunk.choices.map((choice) => choice.finish_reason ?? choice.delta)
      : [],
  )
}

describe('streams for clients', () => {
  it('are chunks with the role first and the reason last, and usage only where it was asked for', () => {
    const head = {
      id: 'chatcmpl-r1',
      object: 'chat.completion.chunk',
      created: 1_700_000_000,
      model: 'public',
    }
    const chunk = (said: unknown, reason: string | null) => ({
      ...head,
      choices: [{ index: 0, delta: said, logprobs: null, finish_reason: reason }],
    })
    const events = [START, ...TEXT, stop('end'), { type: 'usage', usage: USAGE } as const]
    const chunks = [
      chunk({ role: 'assistant', content: '', refusal: null }, null),
      chunk({ content: 'a' }, null),
      chunk({}, 'stop'),
    ]
    expect(written(events)).toEqual([...chunks, '[DONE]'])
    expect(written(events, { streamUsage: true })).toEqual([
      ...chunks.map((one) => Object.assign({}, one, { usage: null })),
      { ...head, choices: [], usage: WIRE_USAGE },
      '[DONE]',
    ])
  })

  it('key calls by index, with id, type and name once', () => {
    expect(
      deltasOf([
        START,
        {
          type: 'open',
          at: 0,
          block: { type: 'tool_call', id: 'a', name: 'f', custom: false, signature: SIGNATURE },
        },
        open(1, 'b', 'g'),
        delta(1, '{}'),
        delta(0, '{"x":'),
        delta(0, '1}'),
        close(1),
        close(0),
        open(2, 'c', 'h'),
        close(2),
        stop('tool_use'),
      ]),
    ).toEqual([
      { role: 'assistant', content: '', refusal: null },
      {
        tool_calls: [
          {
            index: 0,
            id: sealCallId('a', SIGNATURE),
            type: 'function',
            function: { name: 'f', arguments: '' },
          },
        ],
      },
      {
        tool_calls: [
          { index: 1, id: 'b', type: 'function', function: { name: 'g', arguments: '' } },
        ],
      },
      { tool_calls: [{ index: 1, function: { arguments: '{}' } }] },
      { tool_calls: [{ index: 0, function: { arguments: '{"x":' } }] },
      { tool_calls: [{ index: 0, function: { arguments: '1}' } }] },
      {
        tool_calls: [
          { index: 2, id: 'c', type: 'function', function: { name: 'h', arguments: '' } },
        ],
      },
      { tool_calls: [{ index: 2, function: { arguments: '{}' } }] },
      'tool_calls',
    ])
  })

  it('use the older form for clients that know only that', () => {
    const more = { conversation: conversation({ clientMark: 'functions' }) }
    expect(
      deltasOf([START, open(0, 'a', 'f'), delta(0, '{}'), close(0), stop('tool_use')], more),
    ).toEqual([
      { role: 'assistant', content: '', refusal: null },
      { function_call: { name: 'f', arguments: '' } },
      { function_call: { arguments: '{}' } },
      'function_call',
    ])
  })

  it('show thinking, and give signatures and citations once at the end', () => {
    expect(
      deltasOf([
        START,
        { type: 'open', at: 0, block: { type: 'thinking', redacted: false } },
        delta(0, 'hm'),
        { type: 'signature', at: 0, signature: SIGNATURE },
        close(0),
        { type: 'open', at: 1, block: { type: 'thinking', redacted: true } },
        { type: 'signature', at: 1, signature: SIGNATURE },
        close(1),
        { type: 'open', at: 2, block: { type: 'text' } },
        delta(2, 'abc'),
        {
          type: 'citation',
          at: 2,
          citation: { url: 'u', title: 't', citedText: null, start: null, end: null },
        },
        close(2),
        stop('end'),
      ]),
    ).toEqual([
      { role: 'assistant', content: '', refusal: null },
      { reasoning_content: 'hm' },
      { content: 'abc' },
      {
        reasoning_details: [
          { type: 'reasoning.text', text: 'hm', signature: sealSignature(SIGNATURE), index: 0 },
          { type: 'reasoning.encrypted', data: sealSignature(SIGNATURE), index: 1 },
        ],
        annotations: [
          {
            type: 'url_citation',
            url_citation: { url: 'u', title: 't', start_index: 0, end_index: 3 },
          },
        ],
      },
      'stop',
    ])
  })

  it('end with an error chunk, and nothing behind it', () => {
    const refusal: ProviderRefusal = {
      status: 529,
      kind: 'overloaded',
      message: 'busy',
      code: null,
    }
    expect(written([START, ...TEXT, { type: 'error', refusal }]).at(-1)).toEqual({
      error: { message: 'busy', type: 'server_error', param: null, code: null },
    })
  })

  it('begin even where the provider had no start', () => {
    expect(deltasOf([stop('end')])).toEqual([
      { role: 'assistant', content: '', refusal: null },
      'stop',
    ])
  })
})

const read = (status: number, body: unknown) =>
  CHAT_DIALECT.readRefusal(
    status,
    Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
  )

it.each([
  [400, { error: { message: 'm', code: 'context_length_exceeded' } }, 'context_overflow'],
  [
    400,
    { error: { message: "This model's maximum context length is 4096 tokens" } },
    'context_overflow',
  ],
  [400, { error: { message: 'm', code: 'content_policy_violation' } }, 'content_filter'],
  [
    400,
    { error: { message: 'm', innererror: { code: 'ResponsibleAIPolicyViolation' } } },
    'content_filter',
  ],
  [429, { error: { message: 'm', type: 'insufficient_quota' } }, 'quota'],
  [429, { error: { message: 'm', type: 'requests' } }, 'rate_limit'],
  [401, { error: { message: 'm' } }, 'authentication'],
  [402, { error: 'no money' }, 'quota'],
  [403, {}, 'permission'],
  [404, { error: { message: 'm', code: 'model_not_found' } }, 'not_found'],
  [422, { detail: [{ msg: 'bad' }] }, 'invalid_request'],
  [500, '<html>', 'upstream'],
  [503, { message: 'm' }, 'overloaded'],
  [504, '', 'timeout'],
  [529, '', 'overloaded'],
])('of status %i with %j are of the kind %s', (status, body, kind) => {
  expect(read(status, body)).toMatchObject({ status, kind })
})

describe('refusals', () => {
  it('keep the words, bounded', () => {
    expect(read(400, { error: { message: 'x'.repeat(9000) } }).message).toHaveLength(2000)
    expect(read(422, { detail: [{ msg: 'bad' }] }).message).toBe('[{"msg":"bad"}]')
    expect(read(500, '').message).toBe('The provider answered 500.')
  })

  it.each<[ProviderRefusal['kind'], number, string, string | null]>([
    ['context_overflow', 400, 'invalid_request_error', 'context_length_exceeded'],
    ['content_filter', 400, 'invalid_request_error', 'content_filter'],
    ['quota', 429, 'insufficient_quota', 'insufficient_quota'],
    ['rate_limit', 429, 'rate_limit_exceeded', 'rate_limit_exceeded'],
    ['overloaded', 503, 'server_error', null],
    ['invalid_request', 400, 'invalid_request_error', null],
  ])('of the kind %s are said with status %i', (kind, status, type, code) => {
    const said = CHAT_DIALECT.writeRefusal({ status: 400, kind, message: 'm', code: null }, 'r')
    expect(said.status).toBe(status)
    expect(JSON.parse(said.body)).toEqual({ error: { message: 'm', type, param: null, code } })
  })
})

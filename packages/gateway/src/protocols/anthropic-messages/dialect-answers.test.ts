import { describe, expect, it } from 'vitest'
import type {
  Block,
  Conversation,
  ConversationAnswer,
  ConversationEvent,
  OpenBlock,
  StopReason,
} from '../../contracts/conversation.ts'
import type { AnswerOptions } from '../../contracts/dialect.ts'
import { NO_USAGE, type Usage } from '../../contracts/usage.ts'
import { SseFrameSplitter } from '../../lib/sse-frames.ts'
import { fixture } from '../../testing/tap-replay.ts'
import { sealSignature } from '../translation/seal.ts'
import { MESSAGES_DIALECT } from './dialect.ts'
import { MessagesTap } from './messages-tap.ts'

const HERE = new URL('./', import.meta.url)
const CONVERSATION: Conversation = MESSAGES_DIALECT.readRequest(
  { max_tokens: 100, messages: [{ role: 'user', content: 'q' }] },
  { model: 'my-model', stream: true, losses: { add: () => undefined } },
)
const OPTIONS: AnswerOptions = {
  conversation: CONVERSATION,
  requestId: 'req_01abc',
  createdAtMs: 0,
  streamUsage: true,
}
const USAGE: Usage = {
  ...NO_USAGE,
  inputTokens: 10,
  outputTokens: 7,
  cacheReadTokens: 100,
  cacheWrite5mTokens: 20,
  cacheWrite1hTokens: 3,
  reasoningTokens: 4,
}
const ANSWER: ConversationAnswer = {
  id: 'chatcmpl-1',
  model: 'gpt-5',
  blocks: [],
  stop: 'end',
  stopSequence: null,
  usage: USAGE,
  serviceTier: 'default',
}

function text(value: string): Block {
  return { type: 'text', text: value, citations: [], cache: null }
}

function written(more: Partial<ConversationAnswer>): Record<string, unknown> {
  return JSON.parse(MESSAGES_DIALECT.writeAnswer({ ...ANSWER, ...more }, OPTIONS))
}

function readBack(answer: Record<string, unknown>): ConversationAnswer | null {
  return MESSAGES_DIALECT.readAnswer(Buffer.from(JSON.stringify(answer)))
}

describe('an answer as a message', () => {
  it('has every member that clients count on', () => {
    expect(written({ blocks: [text('Hi'), text('')] })).toEqual({
      id: 'msg_01abc',
      type: 'message',
      role: 'assistant',
      model: 'my-model',
      content: [{ type: 'text', text: 'Hi', citations: null }],
      stop_reason: 'end_turn',
      stop_sequence: null,
      stop_details: null,
      container: null,
      usage: {
        input_tokens: 10,
        output_tokens: 7,
        cache_read_input_tokens: 100,
        cache_creation_input_tokens: 23,
        cache_creation: { ephemeral_5m_input_tokens: 20, ephemeral_1h_input_tokens: 3 },
        output_tokens_details: { thinking_tokens: 4 },
        server_tool_use: null,
        service_tier: 'standard',
      },
    })
  })

  it('keeps an id of its own kind', () => {
    expect(written({ id: 'msg_9' })['id']).toBe('msg_9')
  })

  it('does not make zero of cache counts that nobody stated', () => {
    const { usage } = written({ usage: NO_USAGE })
    expect(usage).toMatchObject({ cache_read_input_tokens: null, cache_creation: null })
  })

  it('seals the thinking of others, and calls that have a signature', () => {
    const signature = { value: 'enc', origin: 'openai' }
    const call = {
      type: 'tool_call',
      id: 'c',
      name: 'f',
      input: '',
      custom: false,
      signature,
      cache: null,
    } as const
    const { content, stop_reason } = written({
      blocks: [
        { type: 'thinking', text: 't', signature, redacted: false },
        { type: 'thinking', text: '', signature, redacted: true },
        { type: 'thinking', text: 'unsigned', signature: null, redacted: false },
        call,
      ],
    })
    expect(content).toEqual([
      { type: 'thinking', thinking: 't', signature: sealSignature(signature) },
      { type: 'redacted_thinking', data: sealSignature(signature) },
      { type: 'thinking', thinking: 'unsigned', signature: '' },
      { type: 'tool_use', id: `c_${sealSignature(signature)}`, name: 'f', input: {} },
    ])
    expect(stop_reason).toBe('tool_use')
  })

  it('says refusals as text, citations with their address, and that there was an image', () => {
    const citation = { url: 'https://x.example', title: 'T', citedText: 'c', start: 0, end: 2 }
    const { content, stop_reason } = written({
      blocks: [
        { type: 'text', text: 'a', citations: [citation, { ...citation, url: null }], cache: null },
        { type: 'refusal', text: 'No.' },
        {
          type: 'image',
          source: { kind: 'base64', mediaType: 'image/png', data: 'AA' },
          detail: null,
          cache: null,
        },
      ],
    })
    expect(content).toMatchObject([
      {
        citations: [
          {
            type: 'web_search_result_location',
            url: 'https://x.example',
            title: 'T',
            cited_text: 'c',
          },
        ],
      },
      { type: 'text', text: 'No.' },
      { type: 'text', text: expect.stringContaining('image') },
    ])
    expect(stop_reason).toBe('refusal')
  })

  it.each<[StopReason, string]>([
    ['end', 'end_turn'],
    ['length', 'max_tokens'],
    ['stop_sequence', 'stop_sequence'],
    ['tool_use', 'tool_use'],
    ['refusal', 'refusal'],
    ['content_filter', 'refusal'],
    ['pause', 'pause_turn'],
    ['context_overflow', 'model_context_window_exceeded'],
    ['malformed_call', 'end_turn'],
    ['other', 'end_turn'],
  ])('says that it stopped for %s as %s', (stop, reason) => {
    expect(written({ stop })['stop_reason']).toBe(reason)
  })
})

describe('a message as an answer', () => {
  it('is the same when it was written here', () => {
    const blocks: readonly Block[] = [
      { type: 'thinking', text: 't', signature: { value: 's', origin: null }, redacted: false },
      text('Hi'),
      { type: 'thinking', text: '', signature: { value: 'd', origin: null }, redacted: true },
      {
        type: 'tool_call',
        id: 'c',
        name: 'f',
        input: '{"a":1}',
        custom: false,
        signature: null,
        cache: null,
      },
    ]
    const answer = { ...ANSWER, id: 'msg_1', model: 'my-model', blocks, stop: 'tool_use' } as const
    expect(readBack(written(answer))).toEqual(answer)
  })

  it('reads the recorded answer', () => {
    const answer = MESSAGES_DIALECT.readAnswer(fixture(HERE, 'whole.json'))
    expect(answer?.blocks.length).toBeGreaterThan(0)
    expect(answer?.usage.outputTokens).toBeGreaterThan(0)
  })

  it('leaves out what the vendor’s own tools did, and reads why it refused', () => {
    const answer = readBack({
      content: [
        { type: 'server_tool_use', id: 's', name: 'web_search', input: {} },
        {
          type: 'text',
          text: 'a',
          citations: [{ type: 'char_location', document_title: 'D', cited_text: 'c' }],
        },
        null,
      ],
      stop_reason: 'refusal',
      stop_details: { type: 'refusal', category: 'bio', explanation: 'Not this.' },
    })
    expect(answer).toMatchObject({
      stop: 'refusal',
      blocks: [
        { type: 'text', citations: [{ url: null, title: 'D', citedText: 'c' }] },
        { type: 'refusal', text: 'Not this.' },
      ],
      usage: NO_USAGE,
    })
  })

  it.each(['', 'x', '[]', '{}', '{"type":"error","content":[]}', '{"content":5}'])(
    'is none in %j',
    (body) => {
      expect(MESSAGES_DIALECT.readAnswer(Buffer.from(body))).toBeNull()
    },
  )
})

function framesOf(bytes: Buffer): Buffer[] {
  const frames: Buffer[] = []
  const splitter = new SseFrameSplitter(1 << 24)
  splitter.push(bytes, (chunk, start, end) => frames.push(chunk.subarray(start, end)))
  const rest = splitter.rest()
  return rest.length === 0 ? frames : [...frames, rest]
}

function readStream(stream: Buffer | string): readonly ConversationEvent[] {
  const reader = MESSAGES_DIALECT.streamReader()
  return framesOf(Buffer.from(stream)).flatMap((bytes) =>
    reader.read({ bytes, start: 0, end: bytes.length }),
  )
}

function writeStream(events: readonly ConversationEvent[]): string {
  const writer = MESSAGES_DIALECT.streamWriter(OPTIONS)
  return events.map((event) => writer.write(event)).join('') + writer.end()
}

type Parsed = { readonly event: string; readonly data: Record<string, unknown> }

function parsed(stream: string): readonly Parsed[] {
  return framesOf(Buffer.from(stream)).map((frame) => {
    const match = /^event: (\w+)\ndata: (.*)\n\n$/.exec(frame.toString())
    return { event: match?.[1] ?? '', data: JSON.parse(match?.[2] ?? 'null') }
  })
}

/** One letter of each event with its index. */
function shape(stream: string): string {
  return parsed(stream)
    .map(({ event, data }) => {
      const index = typeof data['index'] === 'number' ? data['index'] : ''
      return event.replace('content_block_', '').replace('message_', 'm_') + index
    })
    .join(' ')
}

function open(at: number, block: OpenBlock): ConversationEvent {
  return { type: 'open', at, block }
}

function openCall(at: number): ConversationEvent {
  return open(at, { type: 'tool_call', id: `c${at}`, name: 'f', custom: false, signature: null })
}

function delta(at: number, value: string): ConversationEvent {
  return { type: 'delta', at, text: value }
}

function steps(events: readonly ConversationEvent[]): unknown {
  return events.filter(({ type }) => type !== 'usage')
}

const START: ConversationEvent = { type: 'start', id: 'x', model: 'm', usage: NO_USAGE }
const STOP: ConversationEvent = { type: 'stop', stop: 'end', stopSequence: null }

describe('a stream of Messages as events', () => {
  it('reads a text', () => {
    expect(readStream(fixture(HERE, 'text.sse'))).toMatchObject([
      { type: 'start', usage: { inputTokens: 25, outputTokens: null } },
      { type: 'open', at: 0, block: { type: 'text' } },
      { type: 'delta', at: 0 },
      { type: 'delta', at: 0 },
      { type: 'close', at: 0 },
      { type: 'stop', stop: 'end' },
      { type: 'usage', usage: { inputTokens: 25, outputTokens: 15 } },
    ])
  })

  it('reads calls of tools, and leaves out what the vendor’s own did', () => {
    const types = readStream(fixture(HERE, 'thinking.sse')).map((event) => event.type)
    expect(types.filter((type) => type === 'open').length).toBe(
      types.filter((type) => type === 'close').length,
    )
    expect(types).toContain('signature')
    const calls = readStream(fixture(HERE, 'tools.sse'))
    expect(calls).toContainEqual(
      expect.objectContaining({
        type: 'open',
        block: expect.objectContaining({ type: 'tool_call' }),
      }),
    )
    const input = calls.filter((event) => event.type === 'delta' && event.at === 1)
    expect(input.map((event) => (event.type === 'delta' ? event.text : '')).join('')).toBe(
      '{"location": "Rome"}',
    )
  })

  it('gives an object as the arguments of a call that has none', () => {
    const stream = [
      '{"type":"content_block_start","index":4,"content_block":{"type":"tool_use","id":"a","name":"f","input":{}}}',
      '{"type":"content_block_delta","index":4,"delta":{"type":"input_json_delta","partial_json":""}}',
      '{"type":"content_block_stop","index":4}',
    ]
    expect(readStream(stream.map((data) => `event: x\ndata: ${data}\n\n`).join(''))).toMatchObject([
      { type: 'open', at: 0 },
      { type: 'delta', at: 0, text: '{}' },
      { type: 'close', at: 0 },
    ])
  })

  it('reads redacted thinking, citations and why a model refused', () => {
    const stream = [
      '{"type":"content_block_start","index":0,"content_block":{"type":"redacted_thinking","data":"enc"}}',
      '{"type":"content_block_stop","index":0}',
      '{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}',
      '{"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{"url":"u","cited_text":"c"}}}',
      '{"type":"message_delta","delta":{"stop_reason":"refusal","stop_details":{"explanation":"No."}},"usage":{"output_tokens":1}}',
    ]
    expect(readStream(stream.map((data) => `event: x\ndata: ${data}\n\n`).join(''))).toMatchObject([
      { type: 'open', block: { type: 'thinking', redacted: true } },
      { type: 'signature', signature: { value: 'enc', origin: null } },
      { type: 'close' },
      { type: 'open', at: 1 },
      { type: 'citation', at: 1, citation: { url: 'u', citedText: 'c' } },
      { type: 'open', at: 2, block: { type: 'refusal' } },
      { type: 'delta', at: 2, text: 'No.' },
      { type: 'close', at: 2 },
      { type: 'stop', stop: 'refusal' },
      { type: 'usage' },
    ])
  })

  it('reads an error inside the stream', () => {
    expect(readStream(fixture(HERE, 'error-inside.sse')).at(-1)).toMatchObject({
      type: 'error',
      refusal: { kind: 'overloaded', status: 529 },
    })
  })

  it.each([
    '',
    ':\n\n',
    'data: x\n\n',
    'data: []\n\n',
    'data: {"type":"ping"}\n\n',
    'data: {"type":"content_block_delta"}\n\n',
  ])('makes nothing of %j', (frame) => {
    expect(readStream(frame)).toEqual([])
  })
})

describe('events as a stream of Messages', () => {
  it('is whole by the tap’s own evidence, with the usage in both places', () => {
    const stream = writeStream([
      { ...START, usage: { ...USAGE, outputTokens: null } },
      open(0, { type: 'text' }),
      delta(0, 'Hi'),
      { type: 'close', at: 0 },
      STOP,
      { type: 'usage', usage: USAGE },
    ])
    expect(shape(stream)).toBe('m_start start0 delta0 stop0 m_delta m_stop')
    const tap = new MessagesTap()
    for (const bytes of framesOf(Buffer.from(stream))) {
      tap.readFrame({ bytes, start: 0, end: bytes.length })
    }
    expect(tap.complete()).toBe(true)
    expect(tap.usage()).toMatchObject(USAGE)
    expect(parsed(stream)[0]?.data).toMatchObject({
      message: { id: 'msg_01abc', model: 'my-model', usage: { input_tokens: 10 } },
    })
    expect(parsed(stream).at(-2)?.data).toMatchObject({
      delta: { stop_reason: 'end_turn' },
      usage: { input_tokens: 10, output_tokens: 7, cache_read_input_tokens: 100 },
    })
  })

  it('holds calls that come at once until the one before is whole', () => {
    const stream = writeStream([
      START,
      open(0, { type: 'text' }),
      openCall(1),
      delta(1, '{"a"'),
      openCall(2),
      delta(2, '{"b"'),
      delta(0, 'Both.'),
      { type: 'close', at: 0 },
      delta(1, ':1}'),
      delta(2, ':2}'),
      { type: 'close', at: 2 },
      { type: 'close', at: 1 },
      STOP,
    ])
    expect(shape(stream)).toBe(
      'm_start start0 delta0 stop0 start1 delta1 delta1 stop1 start2 delta2 delta2 stop2 m_delta m_stop',
    )
    const events = readStream(stream)
    expect(events.filter((event) => event.type === 'open')).toHaveLength(3)
    expect(
      events
        .filter((event) => event.type === 'delta')
        .map((event) => `${event.at}${event.text}`)
        .join(' '),
    ).toBe('0Both. 1{"a" 1:1} 2{"b" 2:2}')
    expect(events.at(-2)).toMatchObject({ type: 'stop', stop: 'tool_use' })
  })

  it('takes no index for texts that say nothing', () => {
    const stream = writeStream([
      START,
      open(0, { type: 'text' }),
      delta(0, ''),
      { type: 'close', at: 0 },
      openCall(1),
      open(2, { type: 'text' }),
      { type: 'close', at: 2 },
      { type: 'close', at: 1 },
    ])
    expect(shape(stream)).toBe('m_start start0 stop0 m_delta m_stop')
  })

  it('writes thinking with its signature before its end, and redacted thinking whole', () => {
    const signature = { value: 's', origin: 'openai' }
    const stream = writeStream([
      START,
      open(0, { type: 'thinking', redacted: false }),
      delta(0, 'hm'),
      { type: 'signature', at: 0, signature },
      { type: 'close', at: 0 },
      open(1, { type: 'thinking', redacted: true }),
      { type: 'signature', at: 1, signature },
      { type: 'close', at: 1 },
      open(2, { type: 'thinking', redacted: true }),
      { type: 'close', at: 2 },
      open(3, { type: 'refusal' }),
      delta(3, 'No.'),
    ])
    expect(shape(stream)).toBe(
      'm_start start0 delta0 delta0 stop0 start1 stop1 start2 delta2 stop2 m_delta m_stop',
    )
    expect(parsed(stream)[3]?.data['delta']).toEqual({
      type: 'signature_delta',
      signature: sealSignature(signature),
    })
    expect(parsed(stream)[5]?.data['content_block']).toEqual({
      type: 'redacted_thinking',
      data: sealSignature(signature),
    })
    expect(parsed(stream).at(-2)?.data['delta']).toMatchObject({ stop_reason: 'refusal' })
  })

  it('writes redacted thinking that had to wait', () => {
    const stream = writeStream([
      START,
      openCall(0),
      open(1, { type: 'thinking', redacted: true }),
      { type: 'signature', at: 1, signature: { value: 's', origin: null } },
      { type: 'close', at: 1 },
      { type: 'close', at: 0 },
    ])
    expect(shape(stream)).toBe('m_start start0 stop0 start1 stop1 m_delta m_stop')
  })

  it('writes citations into their text, and a note for an image', () => {
    const citation = { url: 'u', title: null, citedText: null, start: 0, end: 1 }
    const stream = writeStream([
      open(0, { type: 'text' }),
      delta(0, 'a'),
      { type: 'citation', at: 0, citation },
      { type: 'citation', at: 0, citation: { ...citation, url: null } },
      { type: 'close', at: 0 },
      open(1, { type: 'image', source: { kind: 'url', url: 'u', mediaType: null } }),
    ])
    expect(shape(stream)).toBe(
      'm_start start0 delta0 delta0 stop0 start1 delta1 stop1 m_delta m_stop',
    )
  })

  it('is a whole message even when nothing came', () => {
    expect(shape(writeStream([]))).toBe('m_start m_delta m_stop')
  })

  it('ends with an error and nothing after it', () => {
    const refusal = { status: 503, kind: 'overloaded', message: 'busy', code: null } as const
    const stream = writeStream([START, { type: 'error', refusal }])
    expect(shape(stream)).toBe('m_start error')
    expect(parsed(stream).at(-1)?.data).toEqual({
      type: 'error',
      error: { type: 'overloaded_error', message: 'busy' },
      request_id: 'req_01abc',
    })
  })

  it.each(['text', 'tools', 'thinking', 'cached'])('says %s as it was read', (name) => {
    const events = readStream(fixture(HERE, `${name}.sse`)).filter(({ type }) => type !== 'start')
    const again = readStream(writeStream(events)).filter(({ type }) => type !== 'start')
    expect(steps(again)).toEqual(steps(events))
  })

  it('ignores deltas of blocks that are not open', () => {
    const citation = { url: 'u', title: null, citedText: null, start: null, end: null }
    const stream = writeStream([
      START,
      delta(7, 'x'),
      { type: 'close', at: 7 },
      { type: 'citation', at: 7, citation },
      { type: 'signature', at: 7, signature: { value: 's', origin: null } },
    ])
    expect(shape(stream)).toBe('m_start m_delta m_stop')
  })
})

describe('refusals', () => {
  it.each([
    [400, 'invalid_request_error', 'max_tokens: too large', 'invalid_request'],
    [400, 'invalid_request_error', 'prompt is too long: 5 tokens > 4 maximum', 'context_overflow'],
    [400, 'invalid_request_error', 'Output blocked by content filtering policy', 'content_filter'],
    [401, 'authentication_error', 'm', 'authentication'],
    [402, 'billing_error', 'm', 'quota'],
    [403, 'permission_error', 'm', 'permission'],
    [404, 'not_found_error', 'm', 'not_found'],
    [409, 'conflict_error', 'm', 'upstream'],
    [413, 'request_too_large', 'm', 'too_large'],
    [429, 'rate_limit_error', 'm', 'rate_limit'],
    [500, 'api_error', 'm', 'upstream'],
    [504, 'timeout_error', 'm', 'timeout'],
    [529, 'overloaded_error', 'm', 'overloaded'],
    [412, 'memory_precondition_failed_error', 'm', 'invalid_request'],
    [409, 'memory_path_conflict_error', 'm', 'upstream'],
  ])('reads %i %s %s as %s', (status, type, message, kind) => {
    const body = Buffer.from(JSON.stringify({ type: 'error', error: { type, message } }))
    expect(MESSAGES_DIALECT.readRefusal(status, body)).toEqual({
      status,
      kind,
      message,
      code: type,
    })
  })

  it.each([
    [502, 'upstream'],
    [429, 'rate_limit'],
    [422, 'invalid_request'],
    [418, 'invalid_request'],
  ])('reads a page with %i as %s', (status, kind) => {
    const refusal = MESSAGES_DIALECT.readRefusal(status, Buffer.from('<html>secret</html>'))
    expect(refusal).toMatchObject({ status, kind, code: null })
    expect(refusal.message).not.toContain('secret')
  })

  it.each([
    ['quota', 402, 'billing_error'],
    ['overloaded', 529, 'overloaded_error'],
    ['upstream', 500, 'api_error'],
    ['content_filter', 400, 'invalid_request_error'],
    ['rate_limit', 429, 'rate_limit_error'],
  ] as const)('says %s with %i', (kind, status, type) => {
    const reply = MESSAGES_DIALECT.writeRefusal(
      { status: 0, kind, message: 'm', code: null },
      'req_1',
    )
    expect(reply).toMatchObject({ status, headers: { 'request-id': 'req_1' } })
    expect(JSON.parse(reply.body)).toEqual({
      type: 'error',
      error: { type, message: 'm' },
      request_id: 'req_1',
    })
  })

  it.each([
    [
      'This model has a maximum context length of 128000 tokens, but your messages resulted in 130412 tokens.',
      'prompt is too long: 130412 tokens > 128000 maximum',
    ],
    ['Too much.', 'prompt is too long: Too much.'],
    ['prompt is too long: 2 tokens > 1 maximum', 'prompt is too long: 2 tokens > 1 maximum'],
  ])('says that a prompt is too long in words that agents know', (message, wanted) => {
    const refusal = { status: 400, kind: 'context_overflow', message, code: null } as const
    const { body } = MESSAGES_DIALECT.writeRefusal(refusal, 'req_1')
    expect(JSON.parse(body)).toMatchObject({ error: { message: wanted } })
  })
})

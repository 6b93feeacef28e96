import { describe, expect, it } from 'vitest'
import type { Block, Conversation, ConversationEvent, Turn } from '../../contracts/conversation.ts'
import type { RenderOptions } from '../../contracts/dialect.ts'
import { NO_USAGE } from '../../contracts/usage.ts'
import { writeAwsEvent } from '../../lib/aws-event-stream.ts'
import { conversation, textBlock } from '../../testing/conversations.ts'
import { Losses } from '../translation/losses.ts'
import { BEDROCK_CONVERSE } from './bedrock-converse.ts'
import { CONVERSE_STREAM } from './converse.ts'
import { ConverseTap } from './converse-tap.ts'
import { CONVERSE_DIALECT } from './dialect.ts'
import { DocumentNames } from './write-blocks.ts'

const CLAUDE = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0'
const NEW_CLAUDE = 'global.anthropic.claude-opus-4-7'
const NOVA = 'amazon.nova-pro-v1:0'
const GPT = 'openai.gpt-oss-120b-1:0'
const SAMPLING = conversation().sampling
const TOOL = {
  kind: 'function',
  name: 'look',
  description: 'Looks.',
  schema: { type: 'object', properties: {} },
  strict: true,
  cache: null,
} as const

type Written = { readonly body: Record<string, unknown>; readonly losses: readonly string[] }

function write(part: Partial<Conversation>, more: Partial<RenderOptions> = {}): Written {
  const losses = new Losses()
  const json = CONVERSE_DIALECT.writeRequest(conversation({ model: CLAUDE, ...part }), {
    maxOutputTokens: 4096,
    outputCapMember: null,
    refusesUsageOption: false,
    keeps: ({ origin }) => origin === 'bedrock',
    losses,
    ...more,
  })
  return { body: JSON.parse(json), losses: losses.list }
}

function call(id: string, input = '{"a":1}'): Block {
  return { type: 'tool_call', id, name: 'look', input, custom: false, signature: null, cache: null }
}

function result(callId: string, texts: readonly string[], isError = false): Block {
  return { type: 'tool_result', callId, content: texts.map(textBlock), isError, cache: null }
}

function user(...blocks: readonly Block[]): Turn {
  return { role: 'user', blocks }
}

function assistant(...blocks: readonly Block[]): Turn {
  return { role: 'assistant', blocks }
}

function document(name: string | null, mediaType = 'application/pdf'): Block {
  return {
    type: 'document',
    source: { kind: 'base64', mediaType, data: 'JVBE' },
    name,
    cache: null,
  }
}

describe('a conversation as a Converse request', () => {
  it('says texts, system, sampling and stop sequences', () => {
    expect(
      write({
        system: [textBlock('S'), textBlock(' ')],
        sampling: { ...SAMPLING, temperature: 0.2, topK: 5 },
        stop: ['END'],
        maxOutputTokens: 100,
        serviceTier: 'priority',
        metadata: { team: 'a' },
      }),
    ).toEqual({
      body: {
        system: [{ text: 'S' }],
        messages: [{ role: 'user', content: [{ text: 'hi' }] }],
        inferenceConfig: { maxTokens: 100, temperature: 0.2, stopSequences: ['END'] },
        additionalModelRequestFields: { top_k: 5 },
        serviceTier: { type: 'priority' },
        requestMetadata: { team: 'a' },
      },
      losses: [],
    })
  })

  it('groups results in one turn, before everything else', () => {
    const { body, losses } = write({
      tools: [TOOL],
      toolChoice: { kind: 'named', name: 'look' },
      turns: [
        user(textBlock('q')),
        assistant(call('1'), call('2', '')),
        user(textBlock('and?')),
        user(result('1', ['one']), result('2', [], true)),
      ],
    })
    expect(body).toMatchObject({
      toolConfig: {
        tools: [
          {
            toolSpec: {
              name: 'look',
              description: 'Looks.',
              strict: true,
              inputSchema: { json: TOOL.schema },
            },
          },
        ],
        toolChoice: { tool: { name: 'look' } },
      },
      messages: [
        { role: 'user' },
        {
          role: 'assistant',
          content: [
            { toolUse: { toolUseId: '1', name: 'look', input: { a: 1 } } },
            { toolUse: { toolUseId: '2', input: {} } },
          ],
        },
        {
          role: 'user',
          content: [
            { toolResult: { toolUseId: '1', content: [{ text: 'one' }] } },
            { toolResult: { toolUseId: '2', content: [{ text: '(no output)' }], status: 'error' } },
            { text: 'and?' },
          ],
        },
      ],
    })
    expect(losses).toEqual([])
  })

  it.each([
    [{ kind: 'auto' }, { auto: {} }, []],
    [{ kind: 'required' }, { any: {} }, []],
    [null, undefined, []],
  ] as const)('writes the tool choice %j', (toolChoice, wanted, losses) => {
    const written = write({ tools: [TOOL], toolChoice })
    expect(written.body).toMatchObject({ toolConfig: { tools: [{}] } })
    expect(written.body['toolConfig']).toEqual(
      expect.objectContaining(wanted === undefined ? {} : { toolChoice: wanted }),
    )
    expect(written.losses).toEqual(losses)
  })

  it('sends no tools where none may be called, unless calls were made', () => {
    const none = { tools: [TOOL], toolChoice: { kind: 'none' } } as const
    expect(write(none)).toMatchObject({ losses: [] })
    expect(write(none).body['toolConfig']).toBeUndefined()
    const turns = [user(textBlock('q')), assistant(call('1')), user(result('1', ['r']))]
    expect(write({ ...none, turns }).losses).toEqual(['tool_choice'])
  })

  it('names the tools of calls that were made, where the client names none', () => {
    const turns = [user(textBlock('q')), assistant(call('1')), user(result('1', ['r']))]
    expect(write({ turns }).body['toolConfig']).toEqual({
      tools: [{ toolSpec: { name: 'look', inputSchema: { json: { type: 'object' } } } }],
    })
  })

  it('carries images and documents as base64, under names that are allowed', () => {
    const image: Block = {
      type: 'image',
      source: { kind: 'base64', mediaType: 'image/jpeg', data: 'AA==' },
      detail: null,
      cache: null,
    }
    const stored: Block = {
      type: 'image',
      source: { kind: 'url', url: 's3://bucket/cat.JPG', mediaType: null },
      detail: null,
      cache: null,
    }
    const plain: Block = {
      type: 'document',
      source: { kind: 'text', text: 'hé' },
      name: null,
      cache: null,
    }
    const blocks = [image, stored, document('my_paper.pdf'), document('my paper'), plain]
    expect(write({ turns: [user(...blocks)] }).body['messages']).toEqual([
      {
        role: 'user',
        content: [
          { image: { format: 'jpeg', source: { bytes: 'AA==' } } },
          { image: { format: 'jpeg', source: { s3Location: { uri: 's3://bucket/cat.JPG' } } } },
          { document: { format: 'pdf', name: 'my paper', source: { bytes: 'JVBE' } } },
          { document: { format: 'pdf', name: 'my paper 2', source: { bytes: 'JVBE' } } },
          {
            document: {
              format: 'txt',
              name: 'document',
              source: { bytes: Buffer.from('hé').toString('base64') },
            },
          },
          { text: '(See the document.)' },
        ],
      },
    ])
  })

  it.each<[string, Block]>([
    [
      'image.url',
      {
        type: 'image',
        source: { kind: 'url', url: 'https://x.example/a.png', mediaType: null },
        detail: null,
        cache: null,
      },
    ],
    ['document.media_type', document('x', 'application/zip')],
    ['audio', { type: 'audio', data: 'AA', format: 'wav' }],
    [
      'file_id',
      { type: 'document', source: { kind: 'file', id: 'file_1' }, name: null, cache: null },
    ],
  ])('refuses %s, without which the answer would be wrong', (param, block) => {
    expect(() => write({ turns: [user(block)] })).toThrow(
      expect.objectContaining({ code: 'not_translatable', details: { param } }),
    )
  })

  it('puts cache breakpoints behind what they end, for models that have them', () => {
    const cache = { ttl: '1h' }
    const text = { type: 'text', text: 'x', citations: [], cache } as const
    const part = { system: [text], turns: [user(text)], tools: [{ ...TOOL, cache: { ttl: null } }] }
    const point = { cachePoint: { type: 'default', ttl: '1h' } }
    expect(write(part).body).toMatchObject({
      system: [{ text: 'x' }, point],
      messages: [{ content: [{ text: 'x' }, point] }],
      toolConfig: { tools: [{ toolSpec: {} }, { cachePoint: { type: 'default' } }] },
    })
    const other = write({ ...part, model: GPT })
    expect(JSON.stringify(other.body)).not.toContain('cachePoint')
    expect(other.losses).toEqual(['cache_control'])
  })

  it('gives reasoning back to whom it belongs', () => {
    const own = { value: 'sig', origin: 'bedrock' }
    const turns = [
      user(textBlock('q')),
      assistant(
        { type: 'thinking', text: 't', signature: own, redacted: false },
        { type: 'thinking', text: '', signature: own, redacted: true },
        { type: 'thinking', text: 'x', signature: null, redacted: false },
        textBlock('a'),
      ),
      user(textBlock('r')),
    ]
    const { body, losses } = write({ turns })
    expect(body['messages']).toMatchObject([
      {},
      {
        content: [
          { reasoningContent: { reasoningText: { text: 't', signature: 'sig' } } },
          { reasoningContent: { redactedContent: 'sig' } },
          { text: 'a' },
        ],
      },
      {},
    ])
    expect(losses).toEqual(['messages[].thinking'])
  })

  const HIGH = { effort: 'high', budgetTokens: null, shown: null } as const

  it.each([
    [CLAUDE, { thinking: { type: 'enabled', budget_tokens: 32_768 } }, []],
    [NEW_CLAUDE, { thinking: { type: 'adaptive' }, output_config: { effort: 'high' } }, []],
    [NOVA, { reasoningConfig: { type: 'enabled', maxReasoningEffort: 'high' } }, []],
    [GPT, { reasoning_effort: 'high' }, []],
    ['meta.llama3', undefined, ['reasoning']],
  ])('asks %s to think in its vendor’s words', (model, wanted, losses) => {
    const written = write({ model, reasoning: HIGH, maxOutputTokens: 100_000 })
    expect(written.body['additionalModelRequestFields']).toEqual(wanted)
    expect(written.losses).toEqual(losses)
  })

  it('writes an output schema as a text, and asks for any JSON in words', () => {
    const schema = { type: 'object', properties: { a: { type: 'number', minimum: 1 } } }
    const output = { kind: 'schema', name: 'n', description: 'D', schema, strict: null } as const
    const closed = {
      type: 'object',
      properties: { a: { type: 'number' } },
      additionalProperties: false,
    }
    expect(write({ output })).toMatchObject({
      body: {
        outputConfig: {
          textFormat: {
            type: 'json_schema',
            structure: {
              jsonSchema: { schema: JSON.stringify(closed), name: 'n', description: 'D' },
            },
          },
        },
      },
      losses: ['output_format.schema'],
    })
    expect(write({ output: { kind: 'json' } })).toMatchObject({
      body: { system: [{ text: expect.stringContaining('JSON') }] },
      losses: ['output_format'],
    })
  })

  it('lists what no member can say', () => {
    const { losses } = write({
      model: GPT,
      sampling: { ...SAMPLING, seed: 1, frequencyPenalty: 1, presencePenalty: 1, topK: 2 },
      tools: [TOOL],
      parallelTools: false,
      user: 'u',
      cacheKey: 'k',
      serviceTier: 'scale',
      metadata: { 'bad"': 'x' },
    })
    expect(losses).toEqual([
      'top_k',
      'frequency_penalty',
      'presence_penalty',
      'seed',
      'prompt_cache_key',
      'user',
      'parallel_tool_calls',
      'service_tier',
      'metadata',
    ])
  })
})

function read(answer: unknown): unknown {
  return CONVERSE_DIALECT.readAnswer(Buffer.from(JSON.stringify(answer)))
}

describe('names of documents', () => {
  it('are never given twice, in linear time', () => {
    const names = new DocumentNames()
    const given = ['a 2', 'a', 'a', 'a'].map((name) => names.next(name))
    for (let i = 0; i < 50_000; i++) given.push(names.next('a'))
    expect(given.slice(0, 4)).toEqual(['a 2', 'a', 'a 3', 'a 4'])
    expect(new Set(given).size).toBe(given.length)
  })
})

describe('a Converse answer', () => {
  const USAGE = {
    inputTokens: 10,
    outputTokens: 5,
    totalTokens: 145,
    cacheReadInputTokens: 100,
    cacheWriteInputTokens: 30,
    cacheDetails: [
      { ttl: '1h', inputTokens: 20 },
      { ttl: '5m', inputTokens: 10 },
    ],
  }
  const COUNTED = {
    ...NO_USAGE,
    inputTokens: 10,
    outputTokens: 5,
    cacheReadTokens: 100,
    cacheWrite5mTokens: 10,
    cacheWrite1hTokens: 20,
  }

  it('is read with its reasoning, calls, citations and usage', () => {
    const content = [
      { reasoningContent: { reasoningText: { text: 't', signature: 's' } } },
      { reasoningContent: { redactedContent: 'cmVk' } },
      { text: 'Hi' },
      {
        citationsContent: {
          content: [{ text: 'said' }],
          citations: [
            {
              title: 'T',
              sourceContent: [{ text: 'src' }],
              location: { web: { url: 'https://x.example' } },
            },
          ],
        },
      },
      { toolUse: { toolUseId: 'tu', name: 'f', input: { a: 1 } } },
      { odd: true },
    ]
    expect(
      read({
        output: { message: { role: 'assistant', content } },
        stopReason: 'tool_use',
        usage: USAGE,
        serviceTier: { type: 'flex' },
      }),
    ).toMatchObject({
      id: '',
      stop: 'tool_use',
      usage: COUNTED,
      serviceTier: 'flex',
      blocks: [
        { type: 'thinking', text: 't', signature: { value: 's', origin: null } },
        { type: 'thinking', redacted: true, signature: { value: 'cmVk' } },
        { type: 'text', text: 'Hi' },
        { text: 'said', citations: [{ url: 'https://x.example', title: 'T', citedText: 'src' }] },
        { type: 'tool_call', id: 'tu', name: 'f', input: '{"a":1}' },
      ],
    })
  })

  it.each([
    ['end_turn', 'end'],
    ['max_tokens', 'length'],
    ['guardrail_intervened', 'content_filter'],
    ['content_filtered', 'content_filter'],
    ['malformed_tool_use', 'malformed_call'],
    ['model_context_window_exceeded', 'context_overflow'],
    ['new_one', 'other'],
  ])('that stopped for %s stopped for %s', (stopReason, stop) => {
    expect(read({ output: { message: { content: [] } }, stopReason })).toMatchObject({ stop })
  })

  it.each([{}, [], { output: {} }, { output: { message: { content: 'x' } } }])(
    'is none in %j',
    (answer) => {
      expect(read(answer)).toBeNull()
    },
  )

  it('tells the gateway its facts', () => {
    const content = [{ text: 'Hi' }, { toolUse: { input: { a: 1 } } }]
    const body = Buffer.from(JSON.stringify({ output: { message: { content } }, usage: USAGE }))
    const facts = CONVERSE_STREAM.readAnswer(body)
    expect(facts).toMatchObject({ usage: COUNTED, servedModel: null, failed: false })
    expect(facts?.text()).toBe('Hi{"a":1}')
    expect(CONVERSE_STREAM.readAnswer(Buffer.from('{"message":"x"}'))?.failed).toBe(true)
    expect(CONVERSE_STREAM.readAnswer(Buffer.from('x'))).toBeNull()
  })
})

function event(name: string, data: unknown): Buffer {
  return writeAwsEvent({ ':message-type': 'event', ':event-type': name }, JSON.stringify(data))
}

function delta(index: number, part: unknown): Buffer {
  return event('contentBlockDelta', { contentBlockIndex: index, delta: part })
}

const STREAM: readonly Buffer[] = [
  event('messageStart', { role: 'assistant' }),
  delta(0, { reasoningContent: { text: 'hm' } }),
  delta(0, { reasoningContent: { signature: 'sig' } }),
  event('contentBlockStop', { contentBlockIndex: 0 }),
  delta(1, { text: 'Hi' }),
  delta(1, { text: '!' }),
  event('contentBlockStop', { contentBlockIndex: 1 }),
  event('contentBlockStart', {
    contentBlockIndex: 2,
    start: { toolUse: { toolUseId: 'tu', name: 'f' } },
  }),
  delta(2, { toolUse: { input: '{"a":' } }),
  delta(2, { toolUse: { input: '1}' } }),
  event('contentBlockStop', { contentBlockIndex: 2 }),
  event('contentBlockStart', {
    contentBlockIndex: 3,
    start: { toolUse: { toolUseId: 'tv', name: 'f' } },
  }),
  event('contentBlockStop', { contentBlockIndex: 3 }),
  event('messageStop', { stopReason: 'tool_use' }),
  event('metadata', { usage: { inputTokens: 4, outputTokens: 9 }, metrics: { latencyMs: 1 } }),
]

function readStream(frames: readonly Buffer[]): readonly ConversationEvent[] {
  const reader = CONVERSE_DIALECT.streamReader()
  return frames.flatMap((bytes) => reader.read({ bytes, start: 0, end: bytes.length }))
}

const THROTTLED = writeAwsEvent(
  { ':message-type': 'exception', ':exception-type': 'throttlingException' },
  '{"message":"Too many tokens"}',
)

describe('a Converse stream', () => {
  it('is read as events; texts have no start of their own', () => {
    expect(readStream(STREAM)).toMatchObject([
      { type: 'start' },
      { type: 'open', at: 0, block: { type: 'thinking', redacted: false } },
      { type: 'delta', at: 0, text: 'hm' },
      { type: 'signature', at: 0, signature: { value: 'sig', origin: null } },
      { type: 'close', at: 0 },
      { type: 'open', at: 1, block: { type: 'text' } },
      { type: 'delta', at: 1, text: 'Hi' },
      { type: 'delta', at: 1, text: '!' },
      { type: 'close', at: 1 },
      { type: 'open', at: 2, block: { type: 'tool_call', id: 'tu', name: 'f' } },
      { type: 'delta', at: 2, text: '{"a":' },
      { type: 'delta', at: 2, text: '1}' },
      { type: 'close', at: 2 },
      { type: 'open', at: 3 },
      { type: 'delta', at: 3, text: '{}' },
      { type: 'close', at: 3 },
      { type: 'stop', stop: 'tool_use' },
      { type: 'usage', usage: { inputTokens: 4, outputTokens: 9 } },
    ])
  })

  it('says redacted reasoning, citations and exceptions', () => {
    const citation = { title: 'T', location: { web: { url: 'u' } } }
    expect(
      readStream([
        delta(0, { reasoningContent: { redactedContent: 'cmVk' } }),
        delta(1, { citation }),
        THROTTLED,
      ]),
    ).toMatchObject([
      { type: 'open', block: { type: 'thinking', redacted: true } },
      { type: 'signature', signature: { value: 'cmVk' } },
      { type: 'open', at: 1, block: { type: 'text' } },
      { type: 'citation', at: 1, citation: { url: 'u', title: 'T' } },
      { type: 'error', refusal: { kind: 'rate_limit', status: 429, message: 'Too many tokens' } },
    ])
  })

  it('makes nothing of frames that say nothing', () => {
    const odd = [event('other', {}), event('contentBlockDelta', []), delta(0, 5), delta(0, {})]
    expect(readStream([...odd, Buffer.from('junk'), event('contentBlockStop', {})])).toEqual([])
  })

  it('is whole when it stopped and told its usage', () => {
    const tap = new ConverseTap()
    const verdicts = STREAM.map((bytes) => tap.readFrame({ bytes, start: 0, end: bytes.length }))
    expect(verdicts.lastIndexOf('pass')).toBe(STREAM.length - 2)
    expect(verdicts.at(-1)).toBe('end')
    expect(tap.complete()).toBe(true)
    expect(tap.usage()).toMatchObject({ inputTokens: 4, outputTokens: 9 })
    expect(tap.outputFrames()).toBe(6)
    expect(tap.outputText()).toBe('hmHi!{"a":1}')
    expect(tap.servedModel()).toBeNull()
  })

  it.each([
    ['cut before its usage', STREAM.slice(0, -1), false],
    ['cut before its stop', STREAM.slice(0, -2), false],
    ['ended by an exception', [...STREAM.slice(0, 4), THROTTLED], true],
    [
      'with half a frame',
      [...STREAM.slice(0, -1), STREAM.at(-1)?.subarray(0, 40) ?? Buffer.alloc(0)],
      false,
    ],
  ])('is not whole when %s', (_name, frames, failed) => {
    const tap = new ConverseTap()
    for (const bytes of frames) tap.readFrame({ bytes, start: 0, end: bytes.length })
    expect(tap.complete()).toBe(false)
    expect(tap.failed()).toBe(failed)
  })
})

describe('refusals of Bedrock', () => {
  it.each([
    [
      400,
      { __type: 'com.amazon.coral.service#ValidationException', message: 'bad' },
      'invalid_request',
    ],
    [400, { message: 'Input is too long for requested model.' }, 'context_overflow'],
    [403, { __type: 'ExpiredTokenException', message: 'm' }, 'authentication'],
    [403, { message: 'm' }, 'permission'],
    [429, { message: 'm' }, 'rate_limit'],
    [424, { Message: 'm' }, 'upstream'],
    [503, {}, 'overloaded'],
  ])('%i %j is %s', (status, body, kind) => {
    const refusal = CONVERSE_DIALECT.readRefusal(status, Buffer.from(JSON.stringify(body)))
    expect(refusal).toMatchObject({ status, kind })
  })

  it('says nothing of a page', () => {
    const refusal = CONVERSE_DIALECT.readRefusal(502, Buffer.from('<html>'))
    expect(refusal).toEqual({
      status: 502,
      kind: 'upstream',
      message: 'The provider gave no reason.',
      code: null,
    })
  })
})

describe('the protocol', () => {
  it('has no endpoints, so no client can speak it', () => {
    expect(BEDROCK_CONVERSE.endpoints).toEqual([])
    expect(() =>
      CONVERSE_DIALECT.readRequest({}, { model: 'm', stream: false, losses: new Losses() }),
    ).toThrow('providers only')
  })

  it('has an endpoint for each way to answer', () => {
    expect(CONVERSE_DIALECT.endpointFor(false)).toMatchObject({
      path: '/model/{model}/converse',
      framing: 'sse',
    })
    expect(CONVERSE_DIALECT.endpointFor(true)).toMatchObject({
      path: '/model/{model}/converse-stream',
      framing: 'aws-event-stream',
    })
  })
})

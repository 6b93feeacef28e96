import { describe, expect, it } from 'vitest'
import type { Block, Conversation, ImageBlock } from '../../contracts/conversation.ts'
import type { RenderOptions } from '../../contracts/dialect.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { conversation, textBlock } from '../../testing/conversations.ts'
import { Losses } from '../translation/losses.ts'
import { sealCallId, sealSignature } from '../translation/seal.ts'
import { CHAT_DIALECT } from './dialect.ts'

const USER = { role: 'user', content: 'hi' }
const SIGNATURE = { value: 'S', origin: 'claude' }

function read(request: Record<string, unknown>): { said: Conversation; losses: readonly string[] } {
  const losses = new Losses()
  const body = { messages: [USER], ...request }
  const said = CHAT_DIALECT.readRequest(body, { model: 'm', stream: false, losses })
  return { said, losses: losses.list }
}

function turnsOf(messages: readonly unknown[]): unknown {
  return read({ messages }).said.turns
}

function write(
  part: Partial<Conversation>,
  options: Partial<RenderOptions> = {},
): { body: Record<string, unknown>; losses: readonly string[] } {
  const losses = new Losses()
  const text = CHAT_DIALECT.writeRequest(conversation(part), {
    maxOutputTokens: 4096,
    outputCapMember: null,
    refusesUsageOption: false,
    keeps: ({ origin }) => origin === 'own',
    losses,
    ...options,
  })
  return { body: JSON.parse(text), losses: losses.list }
}

function refusal(request: Record<string, unknown>): readonly (string | undefined)[] {
  try {
    read(request)
  } catch (thrown) {
    if (thrown instanceof GatewayError) return [thrown.code, thrown.details.param]
  }
  return []
}

const call = (part: Partial<Extract<Block, { type: 'tool_call' }>> = {}): Block => ({
  type: 'tool_call',
  id: 'call_1',
  name: 'weather',
  input: '{"city":"Rome"}',
  custom: false,
  signature: null,
  cache: null,
  ...part,
})
const result = (part: Partial<Extract<Block, { type: 'tool_result' }>> = {}): Block => ({
  type: 'tool_result',
  callId: 'call_1',
  content: [textBlock('sunny')],
  isError: false,
  cache: null,
  ...part,
})
const image = (url: string, detail: string | null = null): ImageBlock => ({
  type: 'image',
  source: url.startsWith('data:')
    ? { kind: 'base64', mediaType: 'image/png', data: 'AAAA' }
    : { kind: 'url', url, mediaType: null },
  detail,
  cache: null,
})
const wireCall = (id: string, args = '{"city":"Rome"}') => ({
  id,
  type: 'function',
  function: { name: 'weather', arguments: args },
})

describe('reading messages', () => {
  it('takes leading system and developer messages out of the turns, and leaves later ones in', () => {
    const { said } = read({
      messages: [
        { role: 'system', content: 'a' },
        { role: 'developer', content: [{ type: 'text', text: 'b' }] },
        USER,
        { role: 'developer', content: 'c' },
      ],
    })
    expect(said.system).toEqual([textBlock('a'), textBlock('b')])
    expect(said.turns).toEqual([
      { role: 'user', blocks: [textBlock('hi')] },
      { role: 'system', blocks: [textBlock('c')] },
    ])
  })

  it('reads pictures by URL and data, files, file ids and sound', () => {
    const content = [
      { type: 'image_url', image_url: { url: 'https://e.x/a.png', detail: 'low' } },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
      { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,BBBB' } },
      { type: 'file', file: { file_data: 'CCCC' } },
      { type: 'file', file: { file_id: 'file-1' } },
      { type: 'input_audio', input_audio: { data: 'DDDD', format: 'wav' } },
    ]
    const pdf = { kind: 'base64', mediaType: 'application/pdf' }
    expect(turnsOf([{ role: 'user', content }])).toEqual([
      {
        role: 'user',
        blocks: [
          image('https://e.x/a.png', 'low'),
          image('data:'),
          { type: 'document', source: { ...pdf, data: 'BBBB' }, name: 'a.pdf', cache: null },
          { type: 'document', source: { ...pdf, data: 'CCCC' }, name: null, cache: null },
          { type: 'document', source: { kind: 'file', id: 'file-1' }, name: null, cache: null },
          { type: 'audio', data: 'DDDD', format: 'wav' },
        ],
      },
    ])
  })

  it('reads calls with whatever arguments, and results in a row as one turn', () => {
    expect(
      turnsOf([
        {
          role: 'assistant',
          content: 'so',
          tool_calls: [wireCall('call_1'), wireCall('call_2', '{"ci')],
        },
        { role: 'tool', tool_call_id: 'call_1', content: 'sunny' },
        { role: 'tool', tool_call_id: 'call_2', content: [{ type: 'text', text: 'x' }] },
        USER,
      ]),
    ).toEqual([
      {
        role: 'assistant',
        blocks: [textBlock('so'), call(), call({ id: 'call_2', input: '{"ci' })],
      },
      { role: 'user', blocks: [result(), result({ callId: 'call_2', content: [textBlock('x')] })] },
      { role: 'user', blocks: [textBlock('hi')] },
    ])
  })

  it('reads the older form of calls, which has no ids', () => {
    const { said } = read({
      functions: [{ name: 'weather', parameters: { type: 'object' } }],
      function_call: { name: 'weather' },
      messages: [
        USER,
        { role: 'assistant', content: null, function_call: { name: 'weather', arguments: '{}' } },
        { role: 'function', name: 'weather', content: 'sunny' },
      ],
    })
    expect(said.turns.slice(1)).toEqual([
      { role: 'assistant', blocks: [call({ input: '{}' })] },
      { role: 'user', blocks: [result()] },
    ])
    expect(said.toolChoice).toEqual({ kind: 'named', name: 'weather' })
    expect(said.clientMark).toBe('functions')
  })

  it('opens what the gateway sealed, in ids and in reasoning', () => {
    const turns = turnsOf([
      {
        role: 'assistant',
        content: null,
        reasoning_content: 'hm',
        reasoning_details: [
          { type: 'reasoning.text', text: 'hm', signature: sealSignature(SIGNATURE) },
          { type: 'reasoning.encrypted', data: sealSignature(SIGNATURE) },
        ],
        tool_calls: [wireCall(sealCallId('call_1', SIGNATURE))],
      },
      { role: 'tool', tool_call_id: sealCallId('call_1', SIGNATURE), content: 'sunny' },
    ])
    expect(turns).toEqual([
      {
        role: 'assistant',
        blocks: [
          { type: 'thinking', text: 'hm', signature: SIGNATURE, redacted: false },
          { type: 'thinking', text: '', signature: SIGNATURE, redacted: true },
          call({ signature: SIGNATURE }),
        ],
      },
      { role: 'user', blocks: [result()] },
    ])
  })

  it('keeps refusals, annotations and cache marks, and passes over empty texts', () => {
    const citation = {
      type: 'url_citation',
      url_citation: { url: 'u', title: 't', start_index: 0, end_index: 2 },
    }
    expect(
      turnsOf([
        {
          role: 'user',
          content: [{ type: 'text', text: 'a', cache_control: { type: 'ephemeral', ttl: '1h' } }],
        },
        {
          role: 'user',
          content: [{ type: 'text', text: 'b', prompt_cache_breakpoint: { mode: 'explicit' } }],
        },
        { role: 'assistant', content: 'so', annotations: [citation], refusal: null },
        { role: 'assistant', content: '', refusal: 'no' },
        { role: 'assistant', content: '' },
      ]),
    ).toEqual([
      { role: 'user', blocks: [textBlockWith('a', { cache: { ttl: '1h' } })] },
      { role: 'user', blocks: [textBlockWith('b', { cache: { ttl: null } })] },
      {
        role: 'assistant',
        blocks: [
          textBlockWith('so', {
            citations: [{ url: 'u', title: 't', citedText: null, start: 0, end: 2 }],
          }),
        ],
      },
      { role: 'assistant', blocks: [{ type: 'refusal', text: 'no' }] },
    ])
  })
})

function textBlockWith(text: string, more: Partial<Extract<Block, { type: 'text' }>>): Block {
  return { ...textBlock(text), ...more }
}

describe('reading the rest of a request', () => {
  it('reads what has a place in the model', () => {
    const { said, losses } = read({
      temperature: 0.5,
      top_p: 0.9,
      top_k: 5,
      frequency_penalty: 1,
      presence_penalty: -1,
      seed: 7,
      max_completion_tokens: 99,
      stop: 'END',
      parallel_tool_calls: false,
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'n', schema: { type: 'object' }, strict: true },
      },
      reasoning_effort: 'high',
      user: 'old',
      safety_identifier: 'old',
      metadata: { a: 'b' },
      service_tier: 'flex',
      prompt_cache_key: 'k',
      stream_options: { include_usage: true },
      n: 1,
      logprobs: false,
      store: false,
      modalities: ['text'],
    })
    expect(losses).toEqual([])
    expect(said).toMatchObject({
      sampling: {
        temperature: 0.5,
        topP: 0.9,
        topK: 5,
        frequencyPenalty: 1,
        presencePenalty: -1,
        seed: 7,
      },
      maxOutputTokens: 99,
      stop: ['END'],
      parallelTools: false,
      output: {
        kind: 'schema',
        name: 'n',
        description: null,
        schema: { type: 'object' },
        strict: true,
      },
      reasoning: { effort: 'high', budgetTokens: null, shown: null },
      user: 'old',
      metadata: { a: 'b' },
      serviceTier: 'flex',
      cacheKey: 'k',
    })
  })

  it.each([
    [{ response_format: { type: 'json_object' } }, { output: { kind: 'json' } }],
    [{ response_format: { type: 'text' } }, { output: { kind: 'text' } }],
    [{ stop: ['a', 'b'] }, { stop: ['a', 'b'] }],
    [
      { stop: null, max_tokens: 5 },
      { stop: [], maxOutputTokens: 5 },
    ],
    [
      { reasoning: { max_tokens: 2000, exclude: true } },
      { reasoning: { effort: null, budgetTokens: 2000, shown: false } },
    ],
    [{ tool_choice: 'auto' }, { toolChoice: { kind: 'auto' } }],
    [{ tool_choice: 'none' }, { toolChoice: { kind: 'none' } }],
    [{ tool_choice: 'required' }, { toolChoice: { kind: 'required' } }],
    [{ tool_choice: 'any' }, { toolChoice: { kind: 'required' } }],
    [
      { tool_choice: { type: 'function', function: { name: 'f' } } },
      { toolChoice: { kind: 'named', name: 'f' } },
    ],
    [
      { tool_choice: { type: 'custom', custom: { name: 'f' } } },
      { toolChoice: { kind: 'named', name: 'f' } },
    ],
  ])('reads %j', (request, wanted) => {
    expect(read(request).said).toMatchObject(wanted)
  })

  it('leaves out tools that are not among the allowed', () => {
    const { said } = read({
      tools: [fn('a'), fn('b')],
      tool_choice: {
        type: 'allowed_tools',
        allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'b' } }] },
      },
    })
    expect(said.tools.map(({ name }) => name)).toEqual(['b'])
    expect(said.toolChoice).toEqual({ kind: 'required' })
  })

  it('reads custom tools with their grammar', () => {
    const grammar = { syntax: 'lark', definition: 'start: "a"' }
    const { said } = read({
      tools: [{ type: 'custom', custom: { name: 'c', format: { type: 'grammar', grammar } } }],
    })
    expect(said.tools).toMatchObject([{ kind: 'custom', name: 'c', grammar }])
  })

  it('lists what it cannot hold, at the top and inside', () => {
    const { losses } = read({
      logit_bias: { 1: 2 },
      verbosity: 'low',
      prediction: { type: 'content', content: 'x' },
      web_search_options: {},
      store: true,
      unknown: 1,
      absent: null,
      user: 'a',
      safety_identifier: 'b',
      reasoning_effort: 'extreme',
      tools: [{ type: 'web_search' }, { type: 'function', function: { name: 'f', extra: 1 } }],
      messages: [
        { role: 'user', name: 'Ann', content: [{ type: 'text', text: 'a', odd: 1 }] },
        { role: 'assistant', content: 'b', parsed: null, audio: null },
      ],
    })
    expect(losses).toEqual([
      'logit_bias',
      'verbosity',
      'prediction',
      'web_search_options',
      'unknown',
      'store',
      'messages[].name',
      'messages[].content[].odd',
      'tools[].type=web_search',
      'tools[].function.extra',
      'reasoning_effort',
      'user',
    ])
  })

  it.each([
    [{ n: 2 }, 'n'],
    [{ logprobs: true, top_logprobs: 2 }, 'logprobs'],
    [{ top_logprobs: 2 }, 'top_logprobs'],
    [{ modalities: ['text', 'audio'] }, 'modalities'],
    [{ audio: { voice: 'alloy', format: 'mp3' } }, 'audio'],
    [{ response_format: { type: 'grammar' } }, 'response_format.type'],
    [{ messages: [{ role: 'assistant', audio: { id: 'a' } }] }, 'messages[0].audio'],
    [
      { messages: [{ role: 'user', content: [{ type: 'video_url', video_url: {} }] }] },
      'messages[0].content[0].type',
    ],
  ])('refuses %j, which would make the answer wrong', (request, param) => {
    expect(refusal(request)).toEqual(['not_translatable', param])
  })

  it.each([
    [{ messages: 1 }, 'messages'],
    [{ messages: [1] }, 'messages[0]'],
    [{ messages: [{ role: '__proto__' }] }, 'messages[0].role'],
    [{ messages: [{ role: 'user', content: 1 }] }, 'messages[0].content'],
    [{ messages: [{ role: 'user', content: [1] }] }, 'messages[0].content[0]'],
    [{ messages: [{ role: 'user', content: [{ type: 'text' }] }] }, 'messages[0].content[0].text'],
    [
      {
        messages: [
          { role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:x' } }] },
        ],
      },
      'messages[0].content[0].image_url.url',
    ],
    [{ messages: [{ role: 'tool', content: 'x' }] }, 'messages[0].tool_call_id'],
    [{ messages: [{ role: 'function', name: 'f', content: 'x' }] }, 'messages[0].name'],
    [{ messages: [{ role: 'assistant', tool_calls: [{ id: 'a' }] }] }, 'messages[0].tool_calls[0]'],
    [{ tools: [{ type: 'function' }] }, 'tools[0].function'],
    [{ tools: [fn(1)] }, 'tools[0].function.name'],
    [{ temperature: '1' }, 'temperature'],
    [{ stop: [1] }, 'stop'],
    [{ metadata: { a: 1 } }, 'metadata'],
    [{ response_format: 'json' }, 'response_format'],
  ])('refuses the malformed %j', (request, param) => {
    expect(refusal(request)).toEqual(['invalid_request', param])
  })
})

function fn(name: unknown): Record<string, unknown> {
  return { type: 'function', function: { name, parameters: { type: 'object' } } }
}

const turns = (...list: readonly [Conversation['turns'][number]['role'], readonly Block[]][]) =>
  list.map(([role, blocks]) => ({ role, blocks }))

const document = (
  source: Extract<Block, { type: 'document' }>['source'],
  name: string | null,
): Block => ({
  type: 'document',
  source,
  name,
  cache: null,
})

describe('writing messages', () => {
  it('writes texts as strings where one stands alone, and systems at the head and in the middle', () => {
    const { body } = write({
      system: [textBlock('a'), textBlock('b')],
      turns: turns(
        ['user', [textBlock('hi')]],
        ['system', [textBlock('c')]],
        ['assistant', [textBlock('x'), textBlock('y')]],
      ),
    })
    expect(body['messages']).toEqual([
      {
        role: 'system',
        content: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ],
      },
      { role: 'user', content: 'hi' },
      { role: 'system', content: 'c' },
      {
        role: 'assistant',
        content: [
          { type: 'text', text: 'x' },
          { type: 'text', text: 'y' },
        ],
      },
    ])
  })

  it('puts results right behind their calls, and their pictures into the user message behind all of them', () => {
    const { body, losses } = write({
      turns: turns(
        ['assistant', [textBlock('so'), call(), call({ id: 'call_2', input: '' })]],
        ['user', [textBlock('and?'), result({ content: [image('https://e.x/a.png')] })]],
        [
          'user',
          [result({ callId: 'call_2', content: [textBlock('no'), image('data:')], isError: true })],
        ],
      ),
    })
    expect(body['messages']).toEqual([
      {
        role: 'assistant',
        content: 'so',
        tool_calls: [wireCall('call_1'), wireCall('call_2', '{}')],
      },
      { role: 'tool', tool_call_id: 'call_1', content: 'The result is in the next user message.' },
      { role: 'tool', tool_call_id: 'call_2', content: 'no' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'and?' },
          { type: 'image_url', image_url: { url: 'https://e.x/a.png' } },
        ],
      },
      {
        role: 'user',
        content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }],
      },
    ])
    expect(losses).toEqual(['tool_result.is_error'])
  })

  it('joins calls of neighbouring turns, so that every result follows its call', () => {
    const { body } = write({
      turns: turns(
        ['assistant', [call()]],
        ['assistant', [textBlock('so'), call({ id: 'call_2' })]],
        ['user', [result(), result({ callId: 'call_2' })]],
      ),
    })
    expect(body['messages']).toEqual([
      { role: 'assistant', content: 'so', tool_calls: [wireCall('call_1'), wireCall('call_2')] },
      { role: 'tool', tool_call_id: 'call_1', content: 'sunny' },
      { role: 'tool', tool_call_id: 'call_2', content: 'sunny' },
    ])
  })

  it('writes documents as data, as ids, and as text where they are text', () => {
    const { body, losses } = write({
      turns: turns([
        'user',
        [
          document({ kind: 'base64', mediaType: 'application/pdf', data: 'AA' }, null),
          document({ kind: 'file', id: 'file-1' }, 'a.pdf'),
          document({ kind: 'text', text: 'words' }, 'notes'),
          document({ kind: 'base64', mediaType: 'text/csv', data: 'YSxi' }, null),
        ],
      ]),
    })
    expect(body['messages']).toEqual([
      {
        role: 'user',
        content: [
          {
            type: 'file',
            file: { filename: 'document.pdf', file_data: 'data:application/pdf;base64,AA' },
          },
          { type: 'file', file: { file_id: 'file-1', filename: 'a.pdf' } },
          { type: 'text', text: 'words' },
          { type: 'text', text: 'a,b' },
        ],
      },
    ])
    expect(losses).toEqual(['document.name'])
    expect(() =>
      write({
        turns: turns([
          'user',
          [document({ kind: 'url', url: 'https://e.x', mediaType: null }, null)],
        ]),
      }),
    ).toThrow('document')
  })

  it.each([
    ['reasoning_content', { reasoning_content: 'hm' }],
    ['reasoning', { reasoning: 'hm' }],
    ['S', { reasoning_details: [{ type: 'reasoning.text', text: 'hm', signature: 'S' }] }],
    [
      '[{"type":"reasoning.summary","format":"f","chars":1},{"type":"reasoning.encrypted","data":"d","chars":0},{"type":"reasoning.text","chars":1}]',
      {
        reasoning_details: [
          { type: 'reasoning.summary', format: 'f', summary: 'h' },
          { type: 'reasoning.encrypted', data: 'd' },
          { type: 'reasoning.text', text: 'm' },
        ],
      },
    ],
    ['[1', {}],
    ['[{"__proto__":{"a":1},"chars":1e999}]', {}],
  ])('gives thinking back to its provider as it came: %s', (value, wanted) => {
    const signature = { value, origin: 'own' }
    const { body } = write({
      turns: turns([
        'assistant',
        [{ type: 'thinking', text: 'hm', signature, redacted: false }, textBlock('a')],
      ]),
    })
    expect(body['messages']).toMatchObject([{ role: 'assistant', content: 'a', ...wanted }])
  })

  it('drops the thinking of others, and what no model signed, and says so', () => {
    const { body, losses } = write({
      turns: turns(
        ['user', [textBlock('hi')]],
        ['assistant', [{ type: 'thinking', text: 'hm', signature: SIGNATURE, redacted: false }]],
        [
          'assistant',
          [{ type: 'thinking', text: 'hm', signature: null, redacted: false }, textBlock('a')],
        ],
        ['assistant', [call({ signature: SIGNATURE })]],
        ['assistant', [call({ signature: { value: 'G', origin: 'own' } })]],
      ),
    })
    const google = { google: { thought_signature: 'G' } }
    expect(body['messages']).toEqual([
      USER,
      { role: 'assistant', content: 'a' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [wireCall('call_1'), { ...wireCall('call_1'), extra_content: google }],
      },
    ])
    expect(losses).toEqual(['messages[].thinking', 'tool_call.signature'])
  })
})

describe('writing the rest of a request', () => {
  it('writes nothing that the client did not state', () => {
    expect(write({}).body).toEqual({ model: 'm', messages: [USER] })
  })

  it('writes what was stated, in its own words', () => {
    const { body, losses } = write(
      {
        tools: [
          {
            kind: 'function',
            name: 'f',
            description: 'd',
            schema: null,
            strict: true,
            cache: null,
          },
        ],
        toolChoice: { kind: 'named', name: 'f' },
        parallelTools: false,
        sampling: {
          temperature: 0,
          topP: 1,
          topK: 3,
          frequencyPenalty: 1,
          presencePenalty: 2,
          seed: 4,
        },
        maxOutputTokens: 9,
        stop: ['a'],
        output: {
          kind: 'schema',
          name: null,
          description: null,
          schema: { type: 'object' },
          strict: null,
        },
        reasoning: { effort: null, budgetTokens: 10_000, shown: true },
        user: 'u',
        metadata: { a: 'b' },
        serviceTier: 'flex',
        cacheKey: 'k',
        stream: true,
      },
      { outputCapMember: 'max_completion_tokens' },
    )
    expect(body).toEqual({
      model: 'm',
      messages: [USER],
      tools: [
        {
          type: 'function',
          function: {
            name: 'f',
            description: 'd',
            parameters: { type: 'object', properties: {} },
            strict: true,
          },
        },
      ],
      tool_choice: { type: 'function', function: { name: 'f' } },
      parallel_tool_calls: false,
      temperature: 0,
      top_p: 1,
      frequency_penalty: 1,
      presence_penalty: 2,
      seed: 4,
      max_completion_tokens: 9,
      stop: ['a'],
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'response', schema: { type: 'object' } },
      },
      reasoning_effort: 'medium',
      user: 'u',
      service_tier: 'flex',
      prompt_cache_key: 'k',
      stream: true,
      stream_options: { include_usage: true },
    })
    expect(losses).toEqual(['top_k', 'metadata'])
  })

  it('asks for no usage where that is refused, and says JSON without a schema', () => {
    const { body } = write({ stream: true, output: { kind: 'json' } }, { refusesUsageOption: true })
    expect(body).toMatchObject({ stream: true, response_format: { type: 'json_object' } })
    expect(body['stream_options']).toBeUndefined()
  })

  it('leaves tool choices out where there are no tools, which servers refuse', () => {
    expect(write({ toolChoice: { kind: 'none' }, parallelTools: true }).body).toEqual({
      model: 'm',
      messages: [USER],
    })
  })
})

import { describe, expect, it } from 'vitest'
import type { Block, Conversation, Turn } from '../../contracts/conversation.ts'
import type { RenderOptions } from '../../contracts/dialect.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { Losses } from '../translation/losses.ts'
import { sealCallId, sealSignature } from '../translation/seal.ts'
import { MESSAGES_DIALECT } from './dialect.ts'

const EMPTY: Conversation = {
  model: 'claude-sonnet-4-5',
  system: [],
  turns: [],
  tools: [],
  toolChoice: null,
  parallelTools: null,
  sampling: {
    temperature: null,
    topP: null,
    topK: null,
    frequencyPenalty: null,
    presencePenalty: null,
    seed: null,
  },
  maxOutputTokens: 8000,
  stop: [],
  output: { kind: 'text' },
  reasoning: null,
  stream: false,
  user: null,
  metadata: {},
  serviceTier: null,
  cacheKey: null,
}
const TOOL = {
  kind: 'function',
  name: 'look',
  description: null,
  schema: null,
  strict: null,
  cache: null,
} as const

function text(value: string): Block {
  return { type: 'text', text: value, citations: [], cache: null }
}

function call(id: string, input = '{"a":1}'): Block {
  return { type: 'tool_call', id, name: 'look', input, custom: false, signature: null, cache: null }
}

function result(callId: string, content: string): Block {
  return {
    type: 'tool_result',
    callId,
    content: [{ type: 'text', text: content, citations: [], cache: null }],
    isError: false,
    cache: null,
  }
}

function thinking(value: string, origin: string | null = 'anthropic'): Block {
  return { type: 'thinking', text: 'hm', signature: { value, origin }, redacted: false }
}

function user(...blocks: readonly Block[]): Turn {
  return { role: 'user', blocks }
}

function assistant(...blocks: readonly Block[]): Turn {
  return { role: 'assistant', blocks }
}

function called(input: string): readonly Turn[] {
  return [user(text('q')), assistant(call('1', input))]
}

type Written = { readonly body: Record<string, unknown>; readonly losses: readonly string[] }

function write(more: Partial<Conversation>, options: Partial<RenderOptions> = {}): Written {
  const losses = new Losses()
  const json = MESSAGES_DIALECT.writeRequest(
    { ...EMPTY, turns: [user(text('Hi'))], ...more },
    {
      maxOutputTokens: 4096,
      outputCapMember: null,
      refusesUsageOption: false,
      keeps: ({ origin }) => origin === 'anthropic',
      losses,
      ...options,
    },
  )
  return { body: JSON.parse(json), losses: losses.list }
}

function messages(turns: readonly Turn[], more: Partial<Conversation> = {}): unknown {
  return write({ turns, ...more }).body['messages']
}

function thrownBy(work: () => unknown): unknown {
  try {
    work()
    return null
  } catch (thrown) {
    return thrown
  }
}

type ReadBack = { readonly conversation: Conversation; readonly losses: readonly string[] }

function read(request: Record<string, unknown>): ReadBack {
  const losses = new Losses()
  const body = { max_tokens: 8000, messages: [{ role: 'user', content: 'Hi' }], ...request }
  const asked = { model: 'claude-sonnet-4-5', stream: false, losses }
  return { conversation: MESSAGES_DIALECT.readRequest(body, asked), losses: losses.list }
}

function readBlocks(...content: readonly unknown[]): readonly Block[] {
  return read({ messages: [{ role: 'user', content }] }).conversation.turns[0]?.blocks ?? []
}

describe('a conversation as a Messages request', () => {
  it('says a text with the cap that the protocol demands', () => {
    expect(write({ maxOutputTokens: null })).toEqual({
      body: {
        model: 'claude-sonnet-4-5',
        max_tokens: 4096,
        messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }],
      },
      losses: [],
    })
  })

  it('merges neighbours of one role, and leaves out texts that say nothing', () => {
    const turns = [user(text('a')), user(text(''), text('b')), assistant(text('')), user(text('c'))]
    expect(messages(turns)).toEqual([
      {
        role: 'user',
        content: ['a', 'b', 'c'].map((one) => ({ type: 'text', text: one })),
      },
    ])
  })

  it('puts all results of a turn in the next one, before everything else', () => {
    const turns = [
      user(text('q')),
      assistant(text('I look.'), call('1'), call('2')),
      user(text('and?'), result('1', 'one')),
      user(result('2', 'two')),
    ]
    expect(messages(turns, { tools: [TOOL] })).toMatchObject([
      { role: 'user' },
      { content: [{ type: 'text' }, { id: '1' }, { id: '2' }] },
      {
        role: 'user',
        content: [
          { tool_use_id: '1', content: [{ type: 'text', text: 'one' }] },
          { tool_use_id: '2' },
          { type: 'text', text: 'and?' },
        ],
      },
    ])
  })

  it('begins with the user, who is invented and listed where there was none', () => {
    const { body, losses } = write({ turns: [assistant(text('Hello!')), user(text('Hi'))] })
    expect(body['messages']).toMatchObject([
      { role: 'user' },
      { role: 'assistant' },
      { role: 'user' },
    ])
    expect(losses).toEqual(['messages[0].role'])
  })

  it('takes instructions before the first turn as system, and wraps those between turns', () => {
    const system: Turn = { role: 'system', blocks: [text('Be brief.')] }
    const { body, losses } = write({ turns: [system, user(text('Hi')), system] })
    expect(body['system']).toEqual([{ type: 'text', text: 'Be brief.' }])
    expect(body['messages']).toEqual([
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Hi' },
          { type: 'text', text: '<system-instruction>\nBe brief.\n</system-instruction>' },
        ],
      },
    ])
    expect(losses).toEqual(['messages[].role'])
  })

  it('keeps cache breakpoints, the first four', () => {
    const cache = { ttl: '1h' }
    const block: Block = { type: 'text', text: 'x', citations: [], cache }
    const { body, losses } = write({
      tools: [{ ...TOOL, cache: { ttl: null } }],
      turns: [user(block, block, block, block)],
    })
    expect(JSON.stringify(body).match(/cache_control/g)).toHaveLength(4)
    expect(body['tools']).toMatchObject([{ cache_control: { type: 'ephemeral' } }])
    expect(body['messages']).toMatchObject([
      { content: [{ cache_control: { type: 'ephemeral', ttl: '1h' } }, {}, {}, {}] },
    ])
    expect(losses).toEqual(['cache_control'])
  })

  it('carries images and documents of every source', () => {
    const none = { cache: null, detail: null, name: null }
    const blocks: readonly Block[] = [
      {
        type: 'image',
        source: { kind: 'base64', mediaType: 'image/png', data: 'AA==' },
        ...none,
      },
      {
        type: 'image',
        source: { kind: 'url', url: 'https://x.example/a.png', mediaType: null },
        ...none,
      },
      { type: 'document', source: { kind: 'text', text: 'plain' }, ...none, name: 'notes' },
      {
        type: 'document',
        source: { kind: 'base64', mediaType: 'text/csv', data: 'YSxi' },
        ...none,
      },
      { type: 'document', source: { kind: 'file', id: 'file_011' }, ...none },
    ]
    expect(messages([user(...blocks)])).toEqual([
      {
        role: 'user',
        content: [
          { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AA==' } },
          { type: 'image', source: { type: 'url', url: 'https://x.example/a.png' } },
          {
            type: 'document',
            source: { type: 'text', media_type: 'text/plain', data: 'plain' },
            title: 'notes',
          },
          { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'a,b' } },
          { type: 'document', source: { type: 'file', file_id: 'file_011' } },
        ],
      },
    ])
  })

  it.each<[string, Block]>([
    ['audio', { type: 'audio', data: 'AA==', format: 'wav' }],
    [
      'file_id',
      {
        type: 'document',
        source: { kind: 'file', id: 'file-abc' },
        name: null,
        cache: null,
      },
    ],
  ])('refuses %s, without which the answer would be wrong', (param, block) => {
    expect(() => write({ turns: [user(block)] })).toThrow(
      expect.objectContaining({ code: 'not_translatable', details: { param } }),
    )
  })

  it('lists pictures that an assistant shows', () => {
    const image: Block = {
      type: 'image',
      source: { kind: 'base64', mediaType: 'image/png', data: 'AA==' },
      detail: null,
      cache: null,
    }
    const { losses } = write({ turns: [user(text('q')), assistant(image, text('a'))] })
    expect(losses).toEqual(['messages[].image'])
  })

  it.each([
    ['', {}],
    ['{"id":12}', { id: 12 }],
    ['{"a": ', { _raw_arguments: '{"a": ' }],
    ['[1]', { _raw_arguments: '[1]' }],
  ])('gives the arguments %j as an object', (input, object) => {
    const turns = [user(text('q')), assistant(call('1', input)), user(result('1', 'r'))]
    expect(messages(turns)).toMatchObject([{}, { content: [{ input: object }] }, {}])
  })

  it('lists broken arguments, and changes no number in whole ones', () => {
    expect(write({ turns: called('{') }).losses).toEqual(['tool_call.input'])
    const json = MESSAGES_DIALECT.writeRequest(
      { ...EMPTY, turns: called('{"n":12345678901234567890}') },
      {
        maxOutputTokens: 1,
        outputCapMember: null,
        refusesUsageOption: false,
        keeps: () => true,
        losses: new Losses(),
      },
    )
    expect(json).toContain('"input":{"n":12345678901234567890}')
  })

  it.each([
    [null, null, undefined],
    [null, false, { type: 'auto', disable_parallel_tool_use: true }],
    [{ kind: 'auto' }, null, { type: 'auto' }],
    [{ kind: 'none' }, false, { type: 'none' }],
    [{ kind: 'required' }, false, { type: 'any', disable_parallel_tool_use: true }],
    [
      { kind: 'named', name: 'look' },
      true,
      { type: 'tool', name: 'look', disable_parallel_tool_use: false },
    ],
  ] as const)(
    'writes the tool choice %j with parallel calls %j',
    (toolChoice, parallelTools, json) => {
      expect(write({ tools: [TOOL], toolChoice, parallelTools }).body['tool_choice']).toEqual(json)
    },
  )

  it('writes no choice without tools, and lists one that forces', () => {
    expect(write({ toolChoice: { kind: 'auto' } })).toMatchObject({ losses: [] })
    const forced = write({ toolChoice: { kind: 'required' } })
    expect(forced.body['tool_choice']).toBeUndefined()
    expect(forced.losses).toEqual(['tool_choice'])
  })

  it('gives every tool a schema of an object', () => {
    const tools = [
      { ...TOOL, description: 'Looks.', strict: true },
      { ...TOOL, name: 'b', schema: { properties: {} } },
    ]
    expect(write({ tools }).body['tools']).toEqual([
      { name: 'look', description: 'Looks.', input_schema: { type: 'object' }, strict: true },
      { name: 'b', input_schema: { type: 'object', properties: {} } },
    ])
  })

  it('closes the objects of an output schema, and lists what it had to cut', () => {
    const schema = {
      type: 'object',
      properties: {
        minimum: { type: 'number', minimum: 1 },
        list: { type: 'array', minItems: 3, items: { type: 'object', additionalProperties: true } },
      },
    }
    const output = { kind: 'schema', name: 'x', description: null, schema, strict: true } as const
    expect(write({ output })).toMatchObject({
      body: {
        output_config: {
          format: {
            type: 'json_schema',
            schema: {
              type: 'object',
              properties: {
                minimum: { type: 'number' },
                list: { type: 'array', items: { type: 'object', additionalProperties: false } },
              },
              additionalProperties: false,
            },
          },
        },
      },
      losses: ['output_format.schema'],
    })
  })

  it('asks for any JSON in words', () => {
    const { body, losses } = write({ output: { kind: 'json' } })
    expect(body['system']).toMatchObject([{ text: expect.stringContaining('JSON') }])
    expect(losses).toEqual(['output_format'])
  })

  it('lists what no member can say', () => {
    const { losses } = write({
      sampling: {
        ...EMPTY.sampling,
        seed: 1,
        frequencyPenalty: 1,
        presencePenalty: 1,
        temperature: 2,
      },
      stop: ['\n', 'END'],
      user: 'u'.repeat(300),
      metadata: { a: 'b' },
      serviceTier: 'flex',
      cacheKey: 'k',
    })
    expect(losses).toEqual([
      'frequency_penalty',
      'presence_penalty',
      'seed',
      'prompt_cache_key',
      'metadata',
      'temperature',
      'stop',
      'user',
      'service_tier',
    ])
  })

  it('writes sampling, stop sequences, user and tier', () => {
    const { body } = write({
      model: 'claude-3-haiku',
      sampling: { ...EMPTY.sampling, temperature: 0.5, topP: 0.9, topK: 3 },
      stop: ['END'],
      user: 'u1',
      serviceTier: 'default',
      stream: true,
    })
    expect(body).toMatchObject({
      temperature: 0.5,
      top_p: 0.9,
      top_k: 3,
      stop_sequences: ['END'],
      metadata: { user_id: 'u1' },
      service_tier: 'standard_only',
      stream: true,
    })
  })

  it.each([
    ['claude-3-5-haiku', { temperature: 0.5, top_p: 0.9 }, []],
    ['claude-sonnet-4-5-20250929', { temperature: 0.5 }, ['top_p']],
    ['claude-opus-4-7', {}, ['temperature', 'top_p']],
    ['claude-sonnet-5', {}, ['temperature', 'top_p']],
    ['kimi-k2', { temperature: 0.5, top_p: 0.9 }, []],
  ])('gives %s the sampling that it takes', (model, sampling, losses) => {
    const written = write({ model, sampling: { ...EMPTY.sampling, temperature: 0.5, topP: 0.9 } })
    const { temperature, top_p } = written.body
    expect({ temperature, top_p }).toEqual({
      temperature: undefined,
      top_p: undefined,
      ...sampling,
    })
    expect(written.losses).toEqual(losses)
  })
})

describe('thinking', () => {
  const HIGH = { effort: 'high', budgetTokens: null, shown: null } as const
  const NEW = 'claude-opus-5'

  it.each([
    ['claude-sonnet-4-5', HIGH, 100_000, [{ type: 'enabled', budget_tokens: 32_768 }, undefined]],
    ['claude-opus-4-6', HIGH, 8000, [{ type: 'adaptive' }, { effort: 'high' }]],
    ['claude-mythos-preview', HIGH, 8000, [{ type: 'adaptive' }, { effort: 'high' }]],
    [NEW, { ...HIGH, effort: 'minimal' }, 8000, [{ type: 'adaptive' }, { effort: 'low' }]],
    [NEW, { ...HIGH, effort: 'none' }, 8000, [{ type: 'disabled' }, undefined]],
    [NEW, { ...HIGH, effort: null }, 8000, [{ type: 'adaptive' }, undefined]],
    [
      NEW,
      { ...HIGH, shown: true },
      8000,
      [{ type: 'adaptive', display: 'summarized' }, { effort: 'high' }],
    ],
    ['deepseek-v3', HIGH, 100_000, [{ type: 'enabled', budget_tokens: 32_768 }, undefined]],
  ] as const)('asks %s for %j', (model, reasoning, maxOutputTokens, wanted) => {
    const { body, losses } = write({ model, reasoning, maxOutputTokens })
    expect([body['thinking'], body['output_config']]).toEqual(wanted)
    expect(losses).toEqual([])
  })

  it('leaves room for the answer, and lists a budget that it had to lower', () => {
    const reasoning = { effort: null, budgetTokens: 9000, shown: null }
    const { body, losses } = write({ reasoning })
    expect(body['thinking']).toEqual({ type: 'enabled', budget_tokens: 6400 })
    expect(losses).toEqual(['reasoning.budget'])
  })

  it.each<[string, Partial<Conversation>, readonly string[]]>([
    ['a forced tool', { tools: [TOOL], toolChoice: { kind: 'required' } }, ['reasoning']],
    ['a named tool', { tools: [TOOL], toolChoice: { kind: 'named', name: 'look' } }, ['reasoning']],
    ['a temperature', { sampling: { ...EMPTY.sampling, temperature: 0.2 } }, ['reasoning']],
    ['no room', { maxOutputTokens: 1024 }, ['reasoning']],
    [
      'a call without its thinking',
      { turns: [user(text('q')), assistant(call('1')), user(result('1', 'r'))] },
      ['messages[].thinking'],
    ],
    [
      'a call whose thinking is another provider’s',
      {
        turns: [
          user(text('q')),
          assistant(thinking('s', 'gemini'), call('1')),
          user(result('1', 'r')),
        ],
      },
      ['messages[].thinking'],
    ],
  ])('is off with %s, and listed', (_name, more, expected) => {
    const { body, losses } = write({ reasoning: HIGH, ...more })
    expect(body['thinking']).toEqual({ type: 'disabled' })
    expect(losses).toEqual(expected)
    expect(body['tool_choice'] === undefined).toBe(more.toolChoice === undefined)
  })

  it('stays on after a call with its thinking, which is first and unchanged', () => {
    const turns = [user(text('q')), assistant(call('1'), thinking('sig')), user(result('1', 'r'))]
    const { body, losses } = write({ turns, reasoning: HIGH, maxOutputTokens: 100_000 })
    expect(body['thinking']).toMatchObject({ type: 'enabled' })
    expect(body['messages']).toMatchObject([
      {},
      { content: [{ type: 'thinking', thinking: 'hm', signature: 'sig' }, { type: 'tool_use' }] },
      {},
    ])
    expect(losses).toEqual([])
  })

  it('gives redacted thinking back to whom it belongs', () => {
    const redacted: Block = {
      type: 'thinking',
      text: '',
      signature: { value: 'enc', origin: 'anthropic' },
      redacted: true,
    }
    expect(
      messages([user(text('q')), assistant(redacted, text('a')), user(text('r'))]),
    ).toMatchObject([
      {},
      { content: [{ type: 'redacted_thinking', data: 'enc' }, { type: 'text' }] },
      {},
    ])
  })
})

describe('a Messages request as a conversation', () => {
  it('reads texts, the agent’s own block in front too, with their cache breakpoints', () => {
    const head = 'x-anthropic-billing-header: cc_version=1'
    const { conversation, losses } = read({
      system: [
        { type: 'text', text: head },
        { type: 'text', text: 'S', cache_control: { type: 'ephemeral', ttl: '1h' } },
      ],
    })
    expect(conversation.system).toEqual([
      { type: 'text', text: head, citations: [], cache: null },
      { type: 'text', text: 'S', citations: [], cache: { ttl: '1h' } },
    ])
    expect(losses).toEqual([])
    expect(read({ system: 'S' }).conversation.system).toMatchObject([{ text: 'S' }])
    expect(read({ system: '' }).conversation.system).toEqual([])
  })

  it('reads roles, instructions in the middle too', () => {
    const { turns } = read({
      messages: [
        { role: 'user', content: 'q' },
        { role: 'assistant', content: [{ type: 'text', text: 'a' }] },
        { role: 'system', content: 'Be brief.' },
      ],
    }).conversation
    expect(turns.map(({ role }) => role)).toEqual(['user', 'assistant', 'system'])
  })

  it('reads calls and results, and opens what was sealed', () => {
    const id = sealCallId('call_1', { value: 'sig', origin: 'gemini' })
    const { turns } = read({
      messages: [
        { role: 'assistant', content: [{ type: 'tool_use', id, name: 'f', input: { a: [1] } }] },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: id, is_error: true, content: 'no' },
            { type: 'tool_result', tool_use_id: 'x' },
          ],
        },
      ],
    }).conversation
    expect(turns[0]?.blocks).toMatchObject([
      {
        id: 'call_1',
        name: 'f',
        input: '{"a":[1]}',
        signature: { value: 'sig', origin: 'gemini' },
      },
    ])
    expect(turns[1]?.blocks).toMatchObject([
      { callId: 'call_1', isError: true, content: [{ text: 'no' }] },
      { callId: 'x', isError: false, content: [] },
    ])
  })

  it('reads thinking, with whose it is', () => {
    const sealed = sealSignature({ value: 'enc', origin: 'openai' })
    expect(
      readBlocks(
        { type: 'thinking', thinking: 't', signature: 'own' },
        { type: 'thinking', thinking: 't', signature: sealed },
        { type: 'thinking', thinking: 't', signature: '' },
        { type: 'redacted_thinking', data: sealed },
      ),
    ).toMatchObject([
      { signature: { value: 'own', origin: null }, redacted: false },
      { signature: { value: 'enc', origin: 'openai' } },
      { signature: null },
      { signature: { value: 'enc', origin: 'openai' }, redacted: true },
    ])
  })

  it('reads media, and search results as their text', () => {
    const part = { type: 'text', text: 'said' }
    const { conversation, losses } = read({
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image', source: { type: 'url', url: 'https://x.example/i' } },
            {
              type: 'document',
              title: 'T',
              source: { type: 'text', media_type: 'text/plain', data: 'd' },
            },
            { type: 'document', source: { type: 'content', content: [part, part] } },
            { type: 'search_result', title: 'T', source: 'https://s.example', content: [part] },
          ],
        },
      ],
    })
    expect(conversation.turns[0]?.blocks).toMatchObject([
      { type: 'image', source: { kind: 'url', url: 'https://x.example/i' } },
      { type: 'document', name: 'T', source: { kind: 'text', text: 'd' } },
      { type: 'document', source: { kind: 'text', text: 'said\n\nsaid' } },
      { type: 'text', text: 'T\nhttps://s.example\nsaid' },
    ])
    expect(losses).toEqual(['messages[].content[].search_result'])
  })

  it.each([
    [{ type: 'auto' }, { kind: 'auto' }, null],
    [{ type: 'none' }, { kind: 'none' }, null],
    [{ type: 'any', disable_parallel_tool_use: true }, { kind: 'required' }, false],
    [
      { type: 'tool', name: 'f', disable_parallel_tool_use: false },
      { kind: 'named', name: 'f' },
      true,
    ],
  ])('reads the tool choice %j', (tool_choice, toolChoice, parallelTools) => {
    const tools = [{ name: 'f', input_schema: { type: 'object' } }]
    expect(read({ tools, tool_choice }).conversation).toMatchObject({ toolChoice, parallelTools })
  })

  it('lists tools of the vendor, and refuses to be forced to one', () => {
    const tools = [{ type: 'web_search_20250305', name: 'web_search' }]
    expect(read({ tools })).toMatchObject({
      conversation: { tools: [] },
      losses: ['tools[].web_search_20250305'],
    })
    for (const tool_choice of [{ type: 'tool', name: 'web_search' }, { type: 'any' }]) {
      expect(() => read({ tools, tool_choice })).toThrow(
        expect.objectContaining({ code: 'not_translatable' }),
      )
    }
  })

  it.each([
    [{ thinking: { type: 'enabled', budget_tokens: 2000 } }, null, 2000, true],
    [{ thinking: { type: 'disabled' } }, 'none', null, null],
    [
      { thinking: { type: 'adaptive', display: 'omitted' }, output_config: { effort: 'max' } },
      'max',
      null,
      false,
    ],
    [{ output_config: { effort: 'low' } }, 'low', null, null],
  ])('reads the thinking of %j', (request, effort, budgetTokens, shown) => {
    expect(read(request)).toMatchObject({
      conversation: { reasoning: { effort, budgetTokens, shown } },
      losses: [],
    })
  })

  it('reads an output schema, in its older place too', () => {
    const format = { type: 'json_schema', schema: { type: 'object' } }
    for (const request of [{ output_config: { format } }, { output_format: format }]) {
      expect(read(request).conversation.output).toMatchObject({
        kind: 'schema',
        schema: { type: 'object' },
      })
    }
  })

  it('lists every member that it does not know, at any depth', () => {
    const { losses } = read({
      mcp_servers: [],
      container: 'c',
      speed: null,
      metadata: { user_id: 'u', other: 1 },
      tools: [{ name: 'f', input_schema: {}, defer_loading: true }],
      messages: [
        {
          role: 'user',
          id: 'm',
          content: [
            { type: 'text', text: 'x', odd: 1, cache_control: { type: 'ephemeral', scope: 'org' } },
            { type: 'server_tool_use', id: 's', name: 'web_search', input: {} },
            { type: 'Odd, "thing"' },
          ],
        },
      ],
    })
    expect(losses).toEqual([
      'mcp_servers',
      'container',
      'tools[].defer_loading',
      'messages[].id',
      'messages[].content[].odd',
      'messages[].content[].cache_control.scope',
      'messages[].content[].server_tool_use',
      'messages[].content[]',
      'metadata.other',
    ])
  })

  it.each([
    ['inference_geo', { inference_geo: 'us' }, 'not_translatable'],
    ['temperature', { temperature: 'hot' }, 'invalid_request'],
    ['system', { system: 5 }, 'invalid_request'],
    ['system', { system: ['x'] }, 'invalid_request'],
    ['stop_sequences', { stop_sequences: [1] }, 'invalid_request'],
    ['tools', { tools: {} }, 'invalid_request'],
    ['tools[].name', { tools: [{ input_schema: {} }] }, 'invalid_request'],
    ['thinking', { thinking: 'yes' }, 'invalid_request'],
    ['output_config.effort', { output_config: { effort: 'huge' } }, 'invalid_request'],
    ['messages[].content', { messages: [{ role: 'user' }] }, 'invalid_request'],
    [
      'messages[].content[].source',
      { messages: [{ role: 'user', content: [{ type: 'image' }] }] },
      'invalid_request',
    ],
    [
      'messages[].content[].tool_use_id',
      { messages: [{ role: 'user', content: [{ type: 'tool_result' }] }] },
      'invalid_request',
    ],
  ])('refuses a %s that cannot be read or kept', (param, request, code) => {
    expect(() => read(request)).toThrow(expect.objectContaining({ code, details: { param } }))
  })

  it('throws nothing but its own errors, whatever stands in the members', () => {
    const thrown: unknown[] = []
    const odd: readonly unknown[] = [0, -1, '', 'x', true, [], [null], {}, { type: 'x' }, [[]]]
    const names = [
      'system',
      'messages',
      'tools',
      'tool_choice',
      'thinking',
      'output_config',
      'metadata',
    ]
    for (const name of [...names, 'stop_sequences', 'max_tokens', 'temperature', 'service_tier']) {
      for (const value of odd) {
        thrown.push(thrownBy(() => read({ [name]: value })))
      }
    }
    expect(thrown.filter((one) => one !== null && !(one instanceof GatewayError))).toEqual([])
  })
})

describe('there and back', () => {
  it('a rich request means the same', () => {
    const request = {
      system: [{ type: 'text', text: 'S', cache_control: { type: 'ephemeral' } }],
      messages: [
        { role: 'user', content: [{ type: 'text', text: 'q' }] },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 't', signature: 'sig' },
            { type: 'tool_use', id: 'toolu_1', name: 'f', input: { a: 1 } },
            { type: 'tool_use', id: 'toolu_2', name: 'f', input: {} },
          ],
        },
        {
          role: 'user',
          content: [
            {
              type: 'tool_result',
              tool_use_id: 'toolu_1',
              content: [
                { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AA' } },
              ],
              is_error: true,
            },
            { type: 'tool_result', tool_use_id: 'toolu_2' },
            { type: 'text', text: 'go on', cache_control: { type: 'ephemeral', ttl: '5m' } },
          ],
        },
      ],
      tools: [{ name: 'f', description: 'F', input_schema: { type: 'object' }, strict: false }],
      tool_choice: { type: 'auto', disable_parallel_tool_use: true },
      thinking: { type: 'enabled', budget_tokens: 2048, display: 'summarized' },
      output_config: {
        format: { type: 'json_schema', schema: { type: 'object', additionalProperties: false } },
      },
      stop_sequences: ['END'],
      metadata: { user_id: 'u' },
      service_tier: 'auto',
    }
    const { conversation } = read(request)
    const { body, losses } = write(conversation, { keeps: ({ origin }) => origin === null })
    expect(body).toEqual({ model: 'claude-sonnet-4-5', max_tokens: 8000, ...request })
    expect(read(body).conversation).toEqual(conversation)
    expect(losses).toEqual([])
  })
})

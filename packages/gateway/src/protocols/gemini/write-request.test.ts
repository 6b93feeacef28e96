import { describe, expect, it } from 'vitest'
import type { Block, Conversation, Turn } from '../../contracts/conversation.ts'
import { conversation } from '../../testing/conversations.ts'
import { Losses } from '../translation/losses.ts'
import { writeRequest } from './write-request.ts'

const EMPTY: Conversation = conversation({ model: 'gemini-2.5-pro' })

function text(value: string): Extract<Block, { type: 'text' }> {
  return { type: 'text', text: value, citations: [], cache: null }
}

function write(more: Partial<Conversation>): {
  readonly body: unknown
  readonly losses: readonly string[]
} {
  const losses = new Losses()
  const written = writeRequest(
    { ...EMPTY, ...more },
    {
      maxOutputTokens: 8192,
      outputCapMember: null,
      refusesUsageOption: false,
      keeps: ({ origin }) => origin === 'google',
      losses,
    },
  )
  return { body: JSON.parse(written), losses: losses.list }
}

const bodyOf = (more: Partial<Conversation>): unknown => write(more).body
const call = (id: string, more: Partial<Extract<Block, { type: 'tool_call' }>> = {}): Block => ({
  type: 'tool_call',
  id,
  name: 'f',
  input: '{"a":1}',
  custom: false,
  signature: null,
  cache: null,
  ...more,
})
const result = (callId: string, value: string, isError = false): Block => ({
  type: 'tool_result',
  callId,
  content: [text(value)],
  isError,
  cache: null,
})
const image = (
  source: Extract<Block, { type: 'image' }>['source'],
): Extract<Block, { type: 'image' }> => ({
  type: 'image',
  source,
  detail: null,
  cache: null,
})
const calling = (functionCallingConfig: unknown): Record<string, unknown> => ({
  toolConfig: { functionCallingConfig },
})
const OURS = { value: 'sig', origin: 'google' }
const THEIRS = { value: 'sig', origin: 'anthropic' }

describe('writeRequest', () => {
  it('says nothing that was not asked', () => {
    expect(write({})).toEqual({
      body: { contents: [{ role: 'user', parts: [{ text: 'hi' }] }] },
      losses: [],
    })
  })

  it('writes the system, and later instructions as texts of the user', () => {
    const turns: Turn[] = [
      { role: 'system', blocks: [text('early')] },
      { role: 'user', blocks: [text('hi')] },
      { role: 'system', blocks: [text('late')] },
    ]
    const { body, losses } = write({ system: [text('first')], turns })
    expect(body).toEqual({
      systemInstruction: { parts: [{ text: 'first' }, { text: 'early' }] },
      contents: [
        {
          role: 'user',
          parts: [{ text: 'hi' }, { text: '<system-instruction>\nlate\n</system-instruction>' }],
        },
      ],
    })
    expect(losses).toEqual(['messages[].role'])
  })

  it('makes a content of a system that stands alone', () => {
    expect(write({ system: [text('only')], turns: [] })).toEqual({
      body: { contents: [{ role: 'user', parts: [{ text: 'only' }] }] },
      losses: ['system'],
    })
  })

  it('keeps calls together, and puts all their results right behind them', () => {
    const turns: Turn[] = [
      { role: 'user', blocks: [text('hi')] },
      { role: 'assistant', blocks: [call('a')] },
      { role: 'assistant', blocks: [call('b', { name: 'g', input: '' })] },
      { role: 'user', blocks: [result('b', 'no', true)] },
      { role: 'user', blocks: [text('and'), result('a', 'yes')] },
    ]
    expect(bodyOf({ turns })).toEqual({
      contents: [
        { role: 'user', parts: [{ text: 'hi' }] },
        {
          role: 'model',
          parts: [
            { functionCall: { id: 'a', name: 'f', args: { a: 1 } } },
            { functionCall: { id: 'b', name: 'g', args: {} } },
          ],
        },
        {
          role: 'user',
          parts: [
            { functionResponse: { id: 'b', name: 'g', response: { error: 'no' } } },
            { functionResponse: { id: 'a', name: 'f', response: { output: 'yes' } } },
          ],
        },
        { role: 'user', parts: [{ text: 'and' }] },
      ],
    })
  })

  it('carries arguments that are no object', () => {
    const { body, losses } = write({
      turns: [{ role: 'assistant', blocks: [call('a', { input: '{"x' })] }],
    })
    expect(body).toMatchObject({
      contents: [{ parts: [{ functionCall: { args: { _raw_arguments: '{"x' } } }] }],
    })
    expect(losses).toEqual(['tool_call.input'])
  })

  it('refuses a result that answers nothing', () => {
    expect(() => write({ turns: [{ role: 'user', blocks: [result('x', 'y')] }] })).toThrow(
      expect.objectContaining({ code: 'invalid_request' }),
    )
  })

  it('writes media inline and by address, in results too', () => {
    const inline = { kind: 'base64', mediaType: 'image/png', data: 'AA' } as const
    const turns: Turn[] = [
      {
        role: 'user',
        blocks: [
          image(inline),
          image({ kind: 'url', url: 'https://x.com/a.webp?b', mediaType: null }),
          { type: 'document', source: { kind: 'text', text: 'é' }, name: null, cache: null },
          { type: 'audio', data: 'BB', format: 'wav' },
        ],
      },
      { role: 'assistant', blocks: [call('a')] },
      {
        role: 'user',
        blocks: [
          {
            type: 'tool_result',
            callId: 'a',
            content: [image(inline)],
            isError: false,
            cache: null,
          },
        ],
      },
    ]
    const png = { inlineData: { mimeType: 'image/png', data: 'AA' } }
    expect(bodyOf({ turns })).toMatchObject({
      contents: [
        {
          parts: [
            png,
            { fileData: { mimeType: 'image/webp', fileUri: 'https://x.com/a.webp?b' } },
            { inlineData: { mimeType: 'text/plain', data: 'w6k=' } },
            { inlineData: { mimeType: 'audio/wav', data: 'BB' } },
          ],
        },
        {},
        { parts: [{ functionResponse: { response: { output: '' }, parts: [png] } }] },
      ],
    })
    const file = image({ kind: 'file', id: 'file-abc' })
    expect(() => write({ turns: [{ role: 'user', blocks: [file] }] })).toThrow(
      expect.objectContaining({ code: 'not_translatable' }),
    )
  })

  it('gives back its own signatures on their parts, and no others', () => {
    const blocks: Block[] = [
      { type: 'thinking', text: 'hm', signature: OURS, redacted: false },
      text('so'),
      { type: 'thinking', text: '', signature: OURS, redacted: false },
      call('a', { signature: OURS }),
    ]
    expect(bodyOf({ turns: [{ role: 'assistant', blocks }] })).toEqual({
      contents: [
        {
          role: 'model',
          parts: [
            { text: 'hm', thought: true, thoughtSignature: 'sig' },
            { text: 'so', thoughtSignature: 'sig' },
            { functionCall: { id: 'a', name: 'f', args: { a: 1 } }, thoughtSignature: 'sig' },
          ],
        },
      ],
    })
    const foreign: Block[] = [
      { type: 'thinking', text: 'hm', signature: THEIRS, redacted: false },
      { type: 'thinking', text: '', signature: THEIRS, redacted: true },
      call('a', { signature: THEIRS }),
    ]
    const { body, losses } = write({ turns: [{ role: 'assistant', blocks: foreign }] })
    expect(body).toEqual({
      contents: [
        {
          role: 'model',
          parts: [
            { text: 'hm', thought: true },
            { functionCall: { id: 'a', name: 'f', args: { a: 1 } } },
          ],
        },
      ],
    })
    expect(losses).toEqual(['messages[].thinking', 'tool_call.signature'])
  })

  it('marks a first call whose signature is lost for models that want one', () => {
    const turns: Turn[] = [{ role: 'assistant', blocks: [call('a'), call('b')] }]
    expect(bodyOf({ model: 'gemini-3.8-flash', turns })).toMatchObject({
      contents: [
        {
          parts: [
            { thoughtSignature: 'skip_thought_signature_validator' },
            { functionCall: { id: 'b' } },
          ],
        },
      ],
    })
    expect(JSON.stringify(bodyOf({ turns }))).not.toContain('thoughtSignature')
  })

  it('writes tools and each choice', () => {
    const tool = {
      kind: 'function',
      name: 'f',
      description: 'd',
      schema: { type: 'object', $defs: {} },
      strict: null,
      cache: null,
    } as const
    const choice = (toolChoice: Conversation['toolChoice']): unknown =>
      bodyOf({ tools: [tool], toolChoice })
    expect(choice({ kind: 'named', name: 'f' })).toMatchObject({
      tools: [
        {
          functionDeclarations: [
            { name: 'f', description: 'd', parametersJsonSchema: { type: 'object', $defs: {} } },
          ],
        },
      ],
      ...calling({ mode: 'ANY', allowedFunctionNames: ['f'] }),
    })
    expect(choice({ kind: 'required' })).toMatchObject(calling({ mode: 'ANY' }))
    expect(choice({ kind: 'none' })).toMatchObject(calling({ mode: 'NONE' }))
    expect(choice({ kind: 'auto' })).toMatchObject(calling({ mode: 'AUTO' }))
  })

  it('writes the configuration', () => {
    const schema = { type: 'object' }
    const body = bodyOf({
      sampling: {
        temperature: 0,
        topP: 0.5,
        topK: 3,
        frequencyPenalty: 1,
        presencePenalty: -1,
        seed: 9,
      },
      maxOutputTokens: 64,
      stop: ['A', 'B'],
      output: { kind: 'schema', name: 'x', description: null, schema, strict: true },
      serviceTier: 'flex',
    })
    expect(body).toMatchObject({
      generationConfig: {
        temperature: 0,
        topP: 0.5,
        topK: 3,
        frequencyPenalty: 1,
        presencePenalty: -1,
        seed: 9,
        maxOutputTokens: 64,
        stopSequences: ['A', 'B'],
        responseMimeType: 'application/json',
        responseJsonSchema: schema,
      },
      serviceTier: 'flex',
    })
  })

  it.each([
    [
      'gemini-2.5-flash',
      { effort: 'high', budgetTokens: null, shown: true },
      { thinkingBudget: 24_576, includeThoughts: true },
    ],
    ['gemini-2.5-pro', { effort: null, budgetTokens: 2000, shown: null }, { thinkingBudget: 2000 }],
    [
      'gemini-2.5-flash',
      { effort: 'none', budgetTokens: null, shown: null },
      { thinkingBudget: 0 },
    ],
    [
      'gemini-4-argon',
      { effort: 'max', budgetTokens: null, shown: false },
      { thinkingLevel: 'HIGH', includeThoughts: false },
    ],
    [
      'gemini-4-argon',
      { effort: null, budgetTokens: 10_000, shown: null },
      { thinkingLevel: 'MEDIUM' },
    ],
  ] as const)('asks %s to think: %j', (model, reasoning, thinkingConfig) => {
    expect(bodyOf({ model, reasoning })).toMatchObject({ generationConfig: { thinkingConfig } })
  })

  it('lists what it cannot say', () => {
    const cache = { ttl: null }
    const cited = { url: 'u', title: null, citedText: null, start: null, end: null }
    const { losses } = write({
      turns: [
        {
          role: 'user',
          blocks: [
            { ...text('x'), cache },
            {
              type: 'image',
              source: { kind: 'base64', mediaType: 'image/png', data: 'A' },
              detail: 'high',
              cache: null,
            },
          ],
        },
        { role: 'assistant', blocks: [{ ...text('y'), citations: [cited] }] },
      ],
      tools: [
        { kind: 'function', name: 'f', description: null, schema: null, strict: true, cache: null },
      ],
      parallelTools: false,
      user: 'u',
      metadata: { a: 'b' },
      cacheKey: 'k',
      serviceTier: 'scale',
    })
    expect(losses.toSorted()).toEqual([
      'cache_control',
      'citations',
      'image.detail',
      'metadata',
      'parallel_tool_calls',
      'prompt_cache_key',
      'service_tier',
      'tools[].strict',
      'user',
    ])
  })
})

import { describe, expect, it } from 'vitest'
import type { Conversation } from '../../contracts/conversation.ts'
import { Losses } from '../translation/losses.ts'
import { sealSignature } from '../translation/seal.ts'
import { readRequest } from './read-request.ts'

type Read = { readonly conversation: Conversation; readonly losses: readonly string[] }

function read(request: Record<string, unknown>): Read {
  const losses = new Losses()
  const asked = { model: 'gemini-x', stream: false, losses }
  return { conversation: readRequest({ contents: [], ...request }, asked), losses: losses.list }
}

const turnsOf = (contents: unknown) => read({ contents }).conversation.turns
const config = (generationConfig: Record<string, unknown>) =>
  read({ generationConfig }).conversation
const text = (value: string) => ({ type: 'text', text: value, citations: [], cache: null })

const call = (name: string, id?: string): Record<string, unknown> => ({
  functionCall: { name, args: { a: 1 }, id },
})
const result = (name: string, response: unknown, id?: string): Record<string, unknown> => ({
  functionResponse: { name, response, id },
})

describe('readRequest: turns', () => {
  it('reads roles, the system and lone parts, in both spellings', () => {
    const { conversation, losses } = read({
      system_instruction: { parts: { text: 'be brief' } },
      contents: [
        { parts: [{ text: 'a' }, { text: 'b' }] },
        { role: 'model', parts: [{ text: 'c' }] },
        { role: 'model', parts: { text: 'd' } },
      ],
    })
    expect(conversation).toMatchObject({ model: 'gemini-x', system: [text('be brief')] })
    expect(conversation.turns).toEqual([
      { role: 'user', blocks: [text('a'), text('b')] },
      { role: 'assistant', blocks: [text('cd')] },
    ])
    expect(losses).toEqual([])
  })

  it('reads media by their type', () => {
    const [turn] = turnsOf([
      {
        parts: [
          { inline_data: { mime_type: 'image/png', data: 'AA' } },
          { inlineData: { mimeType: 'application/pdf', data: 'BB', displayName: 'x.pdf' } },
          { inlineData: { mimeType: 'audio/mpeg', data: 'CC' } },
          { fileData: { fileUri: 'https://example.com/cat.png' } },
          { fileData: { fileUri: 'gs://bucket/doc', mimeType: 'application/pdf' } },
        ],
      },
    ])
    expect(turn?.blocks).toMatchObject([
      { type: 'image', source: { kind: 'base64', mediaType: 'image/png', data: 'AA' } },
      { type: 'document', source: { kind: 'base64', data: 'BB' }, name: 'x.pdf' },
      { type: 'audio', data: 'CC', format: 'mp3' },
      { type: 'image', source: { kind: 'url', url: 'https://example.com/cat.png' } },
      { type: 'document', source: { kind: 'file', id: 'gs://bucket/doc' } },
    ])
  })

  it('gives calls and results their ids by name and order where they have none', () => {
    const turns = turnsOf([
      { role: 'model', parts: [call('f'), call('g', 'own'), call('f')] },
      {
        role: 'user',
        parts: [
          result('f', { output: 'one' }),
          result('f', { error: 'two' }, 'made up by the client'),
          result('g', { rain: true }, 'own'),
        ],
      },
    ])
    expect(turns[0]?.blocks).toMatchObject([
      { type: 'tool_call', id: 'call_0', name: 'f', input: '{"a":1}' },
      { id: 'own', name: 'g' },
      { id: 'call_2', name: 'f' },
    ])
    expect(turns[1]?.blocks).toEqual([
      {
        type: 'tool_result',
        callId: 'call_0',
        content: [text('one')],
        isError: false,
        cache: null,
      },
      { type: 'tool_result', callId: 'call_2', content: [text('two')], isError: true, cache: null },
      {
        type: 'tool_result',
        callId: 'own',
        content: [text('{"rain":true}')],
        isError: false,
        cache: null,
      },
    ])
  })

  it('reads images of a result', () => {
    const parts = [{ inlineData: { mimeType: 'image/png', data: 'AA' } }]
    const turns = turnsOf([
      { role: 'model', parts: [{ functionCall: { name: 'f' } }] },
      { parts: [{ functionResponse: { name: 'f', response: {}, parts } }] },
    ])
    expect(turns[1]?.blocks[0]).toMatchObject({ content: [{ type: 'image' }] })
  })

  it('reads thoughts and signatures, whole or as a stream was given back', () => {
    const sealed = sealSignature({ value: 'sig', origin: 'anthropic' })
    const [turn] = turnsOf([
      { role: 'model', parts: [{ text: 'I th', thought: true }] },
      { role: 'model', parts: [{ text: 'ink', thought: true }] },
      { role: 'model', parts: [{ text: '', thought: true, thoughtSignature: sealed }] },
      { role: 'model', parts: [{ thought: true, thoughtSignature: sealed }] },
      { role: 'model', parts: [{ text: 'so', thoughtSignature: 'own' }] },
      { role: 'model', parts: [{ functionCall: { name: 'f' }, thoughtSignature: sealed }] },
    ])
    const signature = { value: 'sig', origin: 'anthropic' }
    expect(turn?.blocks).toMatchObject([
      { type: 'thinking', text: 'I think', signature, redacted: false },
      { type: 'thinking', text: '', signature, redacted: true },
      text('so'),
      { type: 'thinking', text: '', signature: { value: 'own', origin: null }, redacted: false },
      { type: 'tool_call', name: 'f', signature },
    ])
  })

  it('takes the mark of a lost signature for none', () => {
    const thoughtSignature = 'skip_thought_signature_validator'
    const [turn] = turnsOf([
      { role: 'model', parts: [{ functionCall: { name: 'f' }, thoughtSignature }] },
    ])
    expect(turn?.blocks[0]).toMatchObject({ signature: null })
  })

  it('reads code that the provider ran as text', () => {
    const [turn] = turnsOf([
      {
        role: 'model',
        parts: [
          { executableCode: { language: 'PYTHON', code: 'print(1)' } },
          { codeExecutionResult: { outcome: 'OUTCOME_OK', output: '1' } },
        ],
      },
    ])
    expect(turn?.blocks).toEqual([
      text('\n```python\nprint(1)\n```\n'),
      text('\n```output\n1\n```\n'),
    ])
  })
})

describe('readRequest: the rest', () => {
  it('reads the configuration', () => {
    const conversation = config({
      temperature: 0.5,
      top_p: 0.9,
      topK: 40,
      seed: 7,
      frequencyPenalty: 0.1,
      presencePenalty: 0.2,
      maxOutputTokens: 100,
      stopSequences: ['END'],
      candidateCount: 1,
      responseModalities: ['TEXT'],
    })
    expect(conversation).toMatchObject({
      sampling: {
        temperature: 0.5,
        topP: 0.9,
        topK: 40,
        seed: 7,
        frequencyPenalty: 0.1,
        presencePenalty: 0.2,
      },
      maxOutputTokens: 100,
      stop: ['END'],
    })
  })

  it.each([
    [
      { thinkingLevel: 'LOW', includeThoughts: true },
      { effort: 'low', budgetTokens: null, shown: true },
    ],
    [{ thinkingBudget: 0 }, { effort: 'none', budgetTokens: null, shown: null }],
    [{ thinking_budget: -1 }, { effort: null, budgetTokens: null, shown: null }],
    [{ thinkingBudget: 2048 }, { effort: null, budgetTokens: 2048, shown: null }],
  ])('reads thinking %j', (thinkingConfig, reasoning) => {
    expect(config({ thinkingConfig }).reasoning).toEqual(reasoning)
  })

  it('reads functions, with older schemas as JSON Schema', () => {
    const parameters = {
      type: 'OBJECT',
      properties: {
        city: { type: 'STRING', nullable: true },
        days: { type: 'ARRAY', minItems: '1' },
      },
      required: ['city'],
      propertyOrdering: ['city'],
    }
    const { conversation, losses } = read({
      tools: [
        { functionDeclarations: [{ name: 'f', description: 'd', parameters }, { name: 'g' }] },
        { googleSearch: {} },
        {
          function_declarations: [
            { name: 'h', parametersJsonSchema: { type: 'object' }, behavior: 'X' },
          ],
        },
      ],
    })
    expect(conversation.tools).toEqual([
      {
        kind: 'function',
        name: 'f',
        description: 'd',
        schema: {
          type: 'object',
          properties: {
            city: { type: ['string', 'null'] },
            days: { type: 'array', minItems: 1 },
          },
          required: ['city'],
        },
        strict: null,
        cache: null,
      },
      { kind: 'function', name: 'g', description: null, schema: null, strict: null, cache: null },
      {
        kind: 'function',
        name: 'h',
        description: null,
        schema: { type: 'object' },
        strict: null,
        cache: null,
      },
    ])
    expect(losses).toEqual(['tools[].googleSearch', 'tools[].functionDeclarations[].behavior'])
  })

  it.each([
    [{ mode: 'AUTO' }, { kind: 'auto' }, []],
    [{ mode: 'NONE' }, { kind: 'none' }, []],
    [{ mode: 'ANY' }, { kind: 'required' }, []],
    [{ mode: 'ANY', allowedFunctionNames: ['f'] }, { kind: 'named', name: 'f' }, []],
    [
      { mode: 'ANY', allowed_function_names: ['f', 'g'] },
      { kind: 'required' },
      ['toolConfig.functionCallingConfig.allowedFunctionNames'],
    ],
    [{ mode: 'VALIDATED' }, { kind: 'auto' }, ['toolConfig.functionCallingConfig.mode']],
    [{ mode: 'MODE_UNSPECIFIED' }, null, []],
  ])('reads the choice %j', (functionCallingConfig, choice, lost) => {
    const { conversation, losses } = read({ tool_config: { functionCallingConfig } })
    expect(conversation.toolChoice).toEqual(choice)
    expect(losses).toEqual(lost)
  })

  it.each([
    [{ responseMimeType: 'application/json' }, { kind: 'json' }],
    [
      { responseMimeType: 'application/json', responseJsonSchema: { type: 'object' } },
      { kind: 'schema', schema: { type: 'object' } },
    ],
    [
      { responseMimeType: 'application/json', responseSchema: { type: 'OBJECT' } },
      { kind: 'schema', schema: { type: 'object' } },
    ],
    [{ responseMimeType: 'text/plain' }, { kind: 'text' }],
  ])('reads the output %j', (one, output) => {
    expect(config(one).output).toMatchObject(output)
  })

  it('lists everything that it does not read', () => {
    const { losses, conversation } = read({
      safetySettings: [],
      odd: 1,
      labels: { team: 'a' },
      serviceTier: 'standard',
      generationConfig: { mediaResolution: 'LOW', responseLogprobs: false, newer: {} },
      contents: [{ parts: [{ text: 'x', videoMetadata: {} }, { toolCall: {} }], odd: 1 }],
    })
    expect(losses.toSorted()).toEqual(
      [
        'safetySettings',
        'odd',
        'generationConfig.mediaResolution',
        'generationConfig.newer',
        'contents[].odd',
        'contents[].parts[].videoMetadata',
        'contents[].parts[].toolCall',
      ].toSorted(),
    )
    expect(conversation).toMatchObject({ metadata: { team: 'a' }, serviceTier: 'default' })
  })

  it.each([
    [{ cachedContent: 'cachedContents/x' }, 'cachedContent'],
    [{ generationConfig: { candidateCount: 2 } }, 'generationConfig.candidateCount'],
    [{ generationConfig: { responseLogprobs: true } }, 'generationConfig.responseLogprobs'],
    [
      { generationConfig: { responseModalities: ['AUDIO'] } },
      'generationConfig.responseModalities',
    ],
    [
      { generationConfig: { responseMimeType: 'text/x.enum' } },
      'generationConfig.responseMimeType',
    ],
    [{ tools: [{ fileSearch: {} }] }, 'tools[].fileSearch'],
    [
      { contents: [{ parts: [{ inlineData: { mimeType: 'video/mp4', data: 'A' } }] }] },
      'contents[].parts[].inlineData',
    ],
  ])('refuses what cannot be said otherwise: %j', (request, param) => {
    expect(() => read(request)).toThrow(
      expect.objectContaining({ code: 'not_translatable', details: { param } }),
    )
  })

  it.each([
    [{ contents: ['x'] }, 'contents[]'],
    [{ contents: [{ role: 'robot' }] }, 'contents[].role'],
    [{ contents: [{ parts: [{ functionCall: {} }] }] }, 'contents[].parts[].functionCall.name'],
    [
      { contents: [{ parts: [{ functionResponse: { name: 'f' } }] }] },
      'contents[].parts[].functionResponse',
    ],
    [
      { contents: [{ parts: [{ inlineData: {}, inline_data: {} }] }] },
      'contents[].parts[].inlineData',
    ],
    [{ generationConfig: 1 }, 'generationConfig'],
    [{ generationConfig: { temperature: '1' } }, 'generationConfig.temperature'],
    [{ generationConfig: { stopSequences: [1] } }, 'generationConfig.stopSequences'],
    [
      { toolConfig: { functionCallingConfig: { mode: 'ODD' } } },
      'toolConfig.functionCallingConfig.mode',
    ],
  ])('refuses the malformed %j', (request, param) => {
    expect(() => read(request)).toThrow(
      expect.objectContaining({ code: 'invalid_request', details: { param } }),
    )
  })

  it('reads many calls and results in linear time', () => {
    const calls = Array.from({ length: 50_000 }, (_, i) => ({ functionCall: { name: `f${i}` } }))
    const results = calls
      .toReversed()
      .map(({ functionCall }) => ({ functionResponse: functionCall }))
    const startedMs = performance.now()
    turnsOf([{ role: 'model', parts: calls }, { parts: results }])
    expect(performance.now() - startedMs).toBeLessThan(2000)
  })
})

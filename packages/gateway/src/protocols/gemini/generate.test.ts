import { describe, expect, it } from 'vitest'
import type { Envelope } from '../../contracts/envelope.ts'
import type { AnswerFacts, Prompt } from '../../contracts/protocol.ts'
import { NO_USAGE } from '../../contracts/usage.ts'
import { applyEdits } from '../../lib/byte-edits.ts'
import { GEMINI_ENDPOINTS, GENERATE, STREAM_GENERATE } from './generate.ts'

const CONTENTS = '"contents":[{"parts":[{"text":"hi"}]}]'
const COUNT = GEMINI_ENDPOINTS.find(({ path }) => path === '/v1beta/models/{model}:countTokens')

function read(text: string, model = 'gemini-x'): Envelope {
  return GENERATE.readEnvelope(Buffer.from(text), 64, model)
}

function capped(text: string, tokens = 9): string {
  return applyEdits(Buffer.from(text), GENERATE.capOutput(read(text), tokens, null)).toString()
}

describe('envelope', () => {
  it('takes the model from the path and streaming from the endpoint', () => {
    const body = Buffer.from(`{${CONTENTS}}`)
    expect(STREAM_GENERATE.readEnvelope(body, 64, 'a/b')).toMatchObject({
      model: 'a/b',
      modelSpan: null,
      stream: true,
      maxOutputTokens: null,
      choices: 1,
    })
    expect(read(`{${CONTENTS}}`).stream).toBe(false)
  })

  it.each([
    ['generationConfig', 'maxOutputTokens', 'candidateCount'],
    ['generation_config', 'max_output_tokens', 'candidate_count'],
    ['generationConfig', 'max_output_tokens', 'candidateCount'],
  ])('reads the cap and the candidates as %s.%s', (config, cap, count) => {
    const text = `{${CONTENTS},"${config}":{"${cap}":50,"${count}":2}}`
    expect(read(text)).toMatchObject({ maxOutputTokens: 50, choices: 2 })
  })

  it.each([
    [`{${CONTENTS},"systemInstruction":{},"system_instruction":{}}`, 'systemInstruction'],
    [`{${CONTENTS},"generationConfig":{},"generation_config":{}}`, 'generationConfig'],
    [`{${CONTENTS},"generationConfi\\u0067":{},"generation_config":{}}`, 'generationConfig'],
    [
      `{${CONTENTS},"generationConfig":{"maxOutputTokens":1,"max_output_tokens":2}}`,
      'generationConfig.maxOutputTokens',
    ],
    [
      `{${CONTENTS},"generationConfig":{"candidateCount":1,"candidate_count":2}}`,
      'generationConfig.candidateCount',
    ],
    [`{${CONTENTS},"model":"models/other"}`, 'model'],
    ['{}', 'contents'],
    ['{"contents":[ ]}', 'contents'],
    ['{"contents":"hi"}', 'contents'],
    [`{${CONTENTS},"generationConfig":[]}`, 'generationConfig'],
    [`{${CONTENTS},"generationConfig":{"maxOutputTokens":"50"}}`, 'maxOutputTokens'],
    [`{${CONTENTS},"generationConfig":{"maxOutputTokens":-1}}`, 'maxOutputTokens'],
    [`{${CONTENTS},"generationConfig":{"candidateCount":9}}`, 'candidateCount'],
  ])('refuses %s', (text, param) => {
    expect(() => read(text)).toThrow(expect.objectContaining({ details: { param } }))
  })

  it.each(['', 'a b', 'x'.repeat(257), 'é'])('refuses the model %j of a path', (model) => {
    expect(() => read(`{${CONTENTS}}`, model)).toThrow(
      expect.objectContaining({ details: { param: 'model' } }),
    )
  })

  it('renames a model that the body names too, as the count of a whole request must', () => {
    const text = `{"generateContentRequest":{"model":"models/gemini-x",${CONTENTS}}}`
    const body = Buffer.from(text)
    const envelope = COUNT?.readEnvelope(body, 64, 'gemini-x')
    expect(envelope).toMatchObject({ stream: false, maxOutputTokens: 0 })
    const edit = envelope === undefined ? null : (COUNT?.renameModel(envelope, 'gemini-y') ?? null)
    expect(applyEdits(body, edit === null ? [] : [edit]).toString()).toBe(
      text.replace('gemini-x', 'gemini-y'),
    )
    expect(GENERATE.renameModel(read(`{${CONTENTS}}`), 'gemini-y')).toBeNull()
  })
})

describe('cap', () => {
  it.each([
    [`{${CONTENTS}}`, `{${CONTENTS},"generationConfig":{"maxOutputTokens":9}}`],
    [
      `{"generationConfig": { "topK" : 4 } ,${CONTENTS}}`,
      `{"generationConfig": { "topK" : 4,"maxOutputTokens":9 } ,${CONTENTS}}`,
    ],
    [
      `{"generation_config":{ },${CONTENTS}}`,
      `{"generation_config":{"maxOutputTokens":9},${CONTENTS}}`,
    ],
    [
      `{"generationConfig":null,${CONTENTS}}`,
      `{"generationConfig":{"maxOutputTokens":9},${CONTENTS}}`,
    ],
    [
      `{"generationConfig":{"max_output_tokens": 50,"topP":1},${CONTENTS}}`,
      `{"generationConfig":{"max_output_tokens": 9,"topP":1},${CONTENTS}}`,
    ],
  ])('goes into %s', (before, after) => {
    expect(capped(before)).toBe(after)
  })
})

describe('prompts', () => {
  const prompts: readonly Prompt[] = [
    { role: 'system', content: 'first', position: 'start' },
    { role: 'developer', content: 'last', position: 'end' },
    { role: 'assistant', content: 'said', position: 'end' },
  ]
  const added = (text: string): unknown => {
    const body = Buffer.from(text)
    const edits = GENERATE.addPrompts?.(body, read(text), prompts) ?? []
    return JSON.parse(applyEdits(body, edits).toString())
  }
  const contents = [{ parts: [{ text: 'hi' }] }, { role: 'model', parts: [{ text: 'said' }] }]

  it.each([
    ['', []],
    ['"systemInstruction":null,', []],
    ['"system_instruction":{"parts":[{"text":"own"}]},', [{ text: 'own' }]],
    ['"systemInstruction":{"parts":{"text":"own"}},', [{ text: 'own' }]],
    ['"systemInstruction":{"parts":[ ]},', []],
    ['"systemInstruction":{"role":"user"},', []],
  ])('stand beside what the client wrote: %s', (system, own) => {
    const name = system.includes('system_instruction') ? 'system_instruction' : 'systemInstruction'
    expect(added(`{${system}${CONTENTS}}`)).toMatchObject({
      [name]: { parts: [{ text: 'first' }, ...own, { text: 'last' }] },
      contents,
    })
  })

  it('make a list of a content that stands alone', () => {
    expect(added('{"contents":{"parts":{"text":"hi"}}}')).toMatchObject({
      contents: [{ parts: { text: 'hi' } }, contents[1]],
    })
  })
})

describe('input', () => {
  it('is every text in either spelling, and media by their bound', () => {
    const request = {
      system_instruction: { parts: { text: 'be brief' } },
      contents: [
        {
          role: 'user',
          parts: [
            { text: 'hi' },
            { inlineData: { mimeType: 'image/png', data: 'AAAA' } },
            { inline_data: { mime_type: 'application/pdf', data: 'A'.repeat(100) } },
          ],
        },
        { parts: [{ functionResponse: { name: 'f', response: { output: 'rain' } } }] },
      ],
      tools: [{ functionDeclarations: [{ name: 'f' }] }],
    }
    const { texts, mediaTokens, overheadTokens } = GENERATE.readInput(read(JSON.stringify(request)))
    const text = texts.join('\n')
    for (const one of ['be brief', 'hi', 'rain', '"name":"f"']) expect(text).toContain(one)
    expect(mediaTokens).toBe(4386 + 4386 + 100)
    expect(overheadTokens).toBeGreaterThan(40)
  })

  it('cannot be bounded by size when it names what is elsewhere', () => {
    expect(GENERATE.boundInput(Buffer.from(`{${CONTENTS}}`))).toBeGreaterThan(0)
    const cached = `{${CONTENTS},"cachedContent":"cachedContents/x"}`
    expect(GENERATE.boundInput(Buffer.from(cached))).toBeNull()
    expect(GENERATE.readInput(read(cached)).mediaTokens).toBeGreaterThan(1_000_000)
  })
})

function answer(value: unknown): AnswerFacts | null {
  return GENERATE.readAnswer(Buffer.from(JSON.stringify(value)))
}

describe('answer', () => {
  it('gives usage without overlaps, the text and the model', () => {
    const facts = answer({
      candidates: [
        {
          content: { parts: [{ text: 'a', thought: true }, { functionCall: { name: 'f' } }] },
          groundingMetadata: { webSearchQueries: ['x', 'y'] },
        },
      ],
      modelVersion: 'gemini-x-1',
      usageMetadata: {
        promptTokenCount: 100,
        cachedContentTokenCount: 60,
        toolUsePromptTokenCount: 5,
        candidatesTokenCount: 8,
        thoughtsTokenCount: 3,
        totalTokenCount: 116,
        promptTokensDetails: [
          { modality: 'TEXT', tokenCount: 70 },
          { modality: 'AUDIO', tokenCount: 30 },
        ],
      },
    })
    expect(facts).toMatchObject({ servedModel: 'gemini-x-1', failed: false })
    expect(facts?.text()).toBe('a{"name":"f"}')
    expect(facts?.usage).toEqual({
      ...NO_USAGE,
      inputTokens: 45,
      cacheReadTokens: 60,
      outputTokens: 11,
      reasoningTokens: 3,
      audioInputTokens: 30,
      serverToolCalls: 2,
    })
  })

  it('knows a blocked prompt from an error and from what is no answer', () => {
    expect(answer({ promptFeedback: { blockReason: 'SAFETY' } })?.failed).toBe(false)
    expect(answer({ error: { code: 500 } })?.failed).toBe(true)
    expect(answer({})?.failed).toBe(true)
    expect(answer([])).toBeNull()
    expect(COUNT?.readAnswer(Buffer.from('{"totalTokens":7}'))?.failed).toBe(false)
    expect(COUNT?.readAnswer(Buffer.from('{}'))?.failed).toBe(true)
  })
})

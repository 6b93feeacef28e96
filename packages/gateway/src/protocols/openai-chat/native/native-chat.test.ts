import { describe, expect, it } from 'vitest'
import { NATIVE_CHAT } from './native-chat.ts'
import { shapeText, type TextShape } from './shape-text.ts'

const REQUEST = '{ "model":"m", "messages":[{"role":"user","content":"hi"}] }'
const FACTS = { model: 'vendor/m', costNanoUsd: 12_345, reason: 'model', weight: 1 } as const

function open(json: string): ReturnType<typeof NATIVE_CHAT.open> {
  return NATIVE_CHAT.open(Buffer.from(json), 64)
}

describe('the envelope', () => {
  it('gives the bytes of the request, and puts the answer in as it came', () => {
    const opened = open(`{"policy":{},"capabilities":null,"request": ${REQUEST} }`)
    expect(opened.body.toString()).toBe(REQUEST)
    const answer = '{ "choices" : [] }'
    expect(opened.close(Buffer.from(answer), FACTS).toString()).toBe(
      `{"negotiated_model":"vendor/m","estimated_cost_usd":0.000012345,"routing_reason":"explicit-model","response":${answer}}`,
    )
  })

  it('says that nobody knows the cost, and that another model stood in', () => {
    const facts = { model: 'm', costNanoUsd: null, reason: 'fallback', weight: 1 } as const
    const closed = open(`{"request":${REQUEST}}`).close(Buffer.from('{}'), facts)
    expect(JSON.parse(closed.toString())).toEqual({
      negotiated_model: 'm',
      estimated_cost_usd: null,
      routing_reason: 'fallback',
      response: {},
    })
  })

  it.each([
    ['explicit', 'explicit-model'],
    ['alias', 'alias'],
    ['wildcard', 'routed-weight-7'],
    ['escalated', 'escalated-context-overflow'],
  ] as const)('says of the reason %s %s', (reason, told) => {
    const facts = { ...FACTS, reason, weight: 7 }
    const closed = open(`{"request":${REQUEST}}`).close(Buffer.from('{}'), facts)
    expect(JSON.parse(closed.toString())).toMatchObject({ routing_reason: told })
  })

  it('asks for any model where none is named', () => {
    expect(open('{"request": { "messages":[] } }').body.toString()).toBe(
      '{"model":"*", "messages":[] }',
    )
    expect(open('{"request":{}}').body.toString()).toBe('{"model":"*"}')
  })

  it('shapes the texts and leaves the rest', () => {
    const opened = open(`{"request":${REQUEST},"output_format":{"type":"text","strip_think":true}}`)
    const answer = {
      id: 'a',
      choices: [
        { index: 0, message: { role: 'assistant', content: '<think>no</think> # **yes**' } },
        { index: 1, message: { role: 'assistant', content: null, tool_calls: [{ id: 't' }] } },
      ],
      usage: { prompt_tokens: 1 },
    }
    const closed = opened.close(Buffer.from(JSON.stringify(answer)), FACTS)
    expect(JSON.parse(closed.toString())).toMatchObject({
      response: {
        ...answer,
        choices: [
          { index: 0, message: { role: 'assistant', content: 'yes' } },
          { index: 1, message: { content: null, tool_calls: [{ id: 't' }] } },
        ],
      },
    })
  })

  it.each([
    ['{}', 'request'],
    ['{"request":"x"}', 'request'],
    [`{"request":${REQUEST},"orchestration":{}}`, 'orchestration'],
    [`{"request":${REQUEST},"policy":{"mode":5}}`, 'policy.mode'],
    [`{"request":${REQUEST},"policy":{"mode":null,"max_budget_usd":101}}`, 'policy.max_budget_usd'],
    [`{"request":${REQUEST},"policy":[]}`, 'policy'],
    [`{"request":${REQUEST},"capabilities":{"planning":true}}`, 'capabilities.planning'],
    ['{"request":{"model_hint":"m","messages":[]}}', 'request.model_hint'],
    ['{"request":{"parameters":{}}}', 'request.parameters'],
    [`{"request":${REQUEST},"output_format":"json"}`, 'output_format'],
    [`{"request":${REQUEST},"output_format":{"type":"xml"}}`, 'output_format.type'],
    [`{"request":${REQUEST},"output_format":{"schema":{}}}`, 'output_format.schema'],
    [`{"request":${REQUEST},"output_format":{"max_tokens":-1}}`, 'output_format.max_tokens'],
    [`{"request":${REQUEST},"output_format":{"strip_think":"yes"}}`, 'output_format.strip_think'],
    [`{"request":{"stream":true},"output_format":{"type":"json"}}`, 'output_format'],
  ])('refuses %s', (json, param) => {
    expect(() => open(json)).toThrow(
      expect.objectContaining({ code: 'invalid_request', details: { param } }),
    )
  })

  it.each(['[]', '{"request":{"a":1,"a":2}}', `{"request":${REQUEST},"request":${REQUEST}}`])(
    'refuses %s as malformed',
    (json) => {
      expect(() => open(json)).toThrow(expect.objectContaining({ code: 'malformed_json' }))
    },
  )
})

describe('shapeText', () => {
  const AS_IT_IS: TextShape = { type: null, stripThink: false, maxTokens: null }

  it.each<[string, Partial<TextShape>, string]>([
    [' a ', {}, ' a '],
    [' a ', { type: 'markdown' }, 'a'],
    ['x ```json\n{"a":1}\n``` y', { type: 'json' }, '{"a":1}'],
    [' {"a":1} ', { type: 'json' }, '{"a":1}'],
    ['```json {"a"', { type: 'json' }, '```json {"a"'],
    ['## Title\n* `a` **b**', { type: 'text' }, 'Title\na b'],
    ['<think>a</think>\n\nb<think>c</think> d', { stripThink: true }, 'bd'],
    ['<think>open', { stripThink: true }, '<think>open'],
    ['abcdefgh', { maxTokens: 1 }, 'abcd...'],
    ['abcd', { maxTokens: 1 }, 'abcd'],
    ['ab\u{1f600}c', { maxTokens: 1 }, 'ab...'],
  ])('%j with %j', (text, shape, expected) => {
    expect(shapeText(text, { ...AS_IT_IS, ...shape })).toBe(expected)
  })

  it('reads a hostile text in linear time', () => {
    const startedMs = performance.now()
    shapeText('<think>'.repeat(500_000), { type: 'text', stripThink: true, maxTokens: null })
    expect(performance.now() - startedMs).toBeLessThan(1000)
  })
})

import { describe, expect, it } from 'vitest'
import type { Prompt } from '../../contracts/protocol.ts'
import { NO_USAGE } from '../../contracts/usage.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { applyEdits } from '../../lib/byte-edits.ts'
import { fixture } from '../../testing/tap-replay.ts'
import { OPENAI_RESPONSES } from './openai-responses.ts'
import { RESPONSES } from './responses.ts'

const HERE = new URL('./', import.meta.url)
const read = (text: string) => RESPONSES.readEnvelope(Buffer.from(text), 64)

const parts = (text: string) => RESPONSES.readInput(read(text))
const edited = (text: string, edits: Parameters<typeof applyEdits>[1]) =>
  applyEdits(Buffer.from(text), edits).toString()

function refusal(run: () => unknown): readonly (string | undefined)[] {
  try {
    run()
  } catch (thrown) {
    if (thrown instanceof GatewayError) return [thrown.code, thrown.details.param]
  }
  return []
}

describe('responses envelopes', () => {
  it('tell what the gateway must know', () => {
    const text = '{ "model":"m","input":"hi","stream":true,"max_output_tokens":20 }'
    expect(read(text)).toMatchObject({
      model: 'm',
      stream: true,
      streamUsage: true,
      maxOutputTokens: 20,
      choices: 1,
    })
    expect(text.slice(read(text).membersEndAt)).toBe(' }')
  })

  it.each([
    '{"model":"m","input":[]}',
    '{"model":"m","input":[{"type":"unheard_of"}],"tools":[{"type":"tool_search"}]}',
    '{"model":"m","previous_response_id":"resp_1"}',
    '{"model":"m","prompt":{"id":"pmpt_1"}}',
    '{"model":"m","conversation":"conv_1","store":true,"include":["x"],"background":false}',
  ])('take %s, whose meaning is the provider’s to judge', (text) => {
    expect(read(text).model).toBe('m')
  })

  it.each([
    ['{"model":"m"}', 'invalid_request', 'input'],
    ['{"model":"m","messages":[{"role":"user","content":"a"}]}', 'invalid_request', 'input'],
    ['{"model":"m","input":null}', 'invalid_request', 'input'],
    ['{"model":"m","input":{}}', 'invalid_request', 'input'],
    ['{"input":"a"}', 'invalid_request', 'model'],
    ['{"model":"m","input":"a","Input":"b"}', 'invalid_request', 'input'],
    ['{"model":"m","input":"a","Max_Output_Tokens":9}', 'invalid_request', 'max_output_tokens'],
    ['{"model":"m","input":"a","input":"b"}', 'malformed_json', undefined],
    ['{"model":"m","input":"a","max_output_tokens":0}', 'invalid_request', 'max_output_tokens'],
    ['{"model":"m","input":"a","stream":1}', 'invalid_request', 'stream'],
    ['{"model":"m","input":"a","background":true}', 'invalid_request', 'background'],
  ])('refuse %s', (text, code, param) => {
    expect(refusal(() => read(text))).toEqual([code, param])
  })
})

describe('responses input', () => {
  it('is every text that the model reads', () => {
    const { texts } = parts(
      JSON.stringify({
        model: 'm',
        instructions: 'i',
        input: [
          { role: 'user', content: 'a' },
          { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'b' }] },
          { type: 'function_call', call_id: 'c', name: 'f', arguments: '{"x":1}' },
          { type: 'function_call_output', call_id: 'c', output: 'out' },
          {
            type: 'function_call_output',
            call_id: 'c',
            output: [{ type: 'input_text', text: 'o2' }],
          },
          {
            type: 'reasoning',
            summary: [{ type: 'summary_text', text: 's' }],
            encrypted_content: 'E',
          },
          { type: 'unheard_of', payload: { deep: 'd' } },
        ],
        tools: [{ type: 'function', name: 'f' }],
        text: { format: { type: 'json_object' } },
      }),
    )
    for (const text of ['i', 'a', 'b', 'f', '{"x":1}', 'out', 'o2', 's', 'E', '{"deep":"d"}']) {
      expect(texts).toContain(text)
    }
  })

  it('bounds what only the provider holds', () => {
    const held = parts('{"model":"m","previous_response_id":"resp_1","input":"a"}')
    expect(held.overheadTokens).toBeGreaterThan(200_000)
    expect(parts('{"model":"m","input":"a"}').overheadTokens).toBeLessThan(20)
  })

  it('counts pictures and sound apart', () => {
    const { texts, mediaTokens } = parts(
      JSON.stringify({
        model: 'm',
        input: [
          {
            role: 'user',
            content: [
              { type: 'input_image', image_url: `data:image/png;base64,${'A'.repeat(1000)}` },
              { type: 'input_audio', input_audio: { data: 'A'.repeat(1000), format: 'wav' } },
            ],
          },
        ],
      }),
    )
    expect(mediaTokens).toBe(1445 + 10)
    expect(texts.join('')).not.toContain('AAAA')
  })

  it.each([
    ['{"model":"m","input":"a"}', true],
    ['{"model":"m","input":"a","prompt_cache_key":"k"}', true],
    ['{"model":"m","input":[{"type":"input_image"}]}', false],
    ['{"model":"m","previous_response_id":"r"}', false],
    ['{"model":"m","previous\\u005Fresponse_id":"r"}', false],
    ['{"model":"m","\\u0070rompt":{"id":"p"}}', false],
    ['{"model":"m","conversation":"c"}', false],
    ['{"model":"m","prompt":{"id":"p"}}', false],
  ])('is bounded by the size of %s: %s', (text, bounded) => {
    expect(RESPONSES.boundInput(Buffer.from(text)) !== null).toBe(bounded)
  })
})

describe('responses edits', () => {
  it('cap the output by the one member that there is', () => {
    const text = '{"model":"m","input":"a"}'
    expect(edited(text, RESPONSES.capOutput(read(text), 9, 'max_completion_tokens'))).toBe(
      '{"model":"m","input":"a","max_output_tokens":9}',
    )
    const capped = '{"model":"m","max_output_tokens": 99,"input":"a"}'
    expect(edited(capped, RESPONSES.capOutput(read(capped), 9, null))).toBe(
      '{"model":"m","max_output_tokens": 9,"input":"a"}',
    )
  })

  const PROMPTS: readonly Prompt[] = [
    { role: 'system', content: 'S', position: 'start' },
    { role: 'user', content: 'E', position: 'end' },
  ]
  const S = '{"role":"system","content":"S"}'
  const E = '{"role":"user","content":"E"}'

  it.each([
    [
      '{"model":"m", "input": "h\\u00e9" }',
      `{"model":"m", "input": [${S},{"role":"user","content":"h\\u00e9"},${E}] }`,
    ],
    [
      '{"model":"m","input":[ {"role":"user","content":"a"} ]}',
      `{"model":"m","input":[${S}, {"role":"user","content":"a"} ,${E}]}`,
    ],
    ['{"model":"m","input":[ ]}', `{"model":"m","input":[${S},${E} ]}`],
    [
      '{"model":"m","previous_response_id":"r"}',
      `{"model":"m","previous_response_id":"r","input":[${S},${E}]}`,
    ],
  ])('put prompts into %s', (text, wanted) => {
    const edits = RESPONSES.addPrompts?.(Buffer.from(text), read(text), PROMPTS) ?? []
    expect(edited(text, edits)).toBe(wanted)
  })

  it('ask for no usage: it always comes', () => {
    const text = '{"model":"m","input":"a","stream":true}'
    expect(RESPONSES.askForUsage(Buffer.from(text), read(text))).toBeNull()
  })
})

describe('responses answers', () => {
  it('tell usage, model and text', () => {
    const facts = RESPONSES.readAnswer(fixture(HERE, 'whole.json'))
    expect(facts).toMatchObject({
      usage: { inputTokens: 15, cacheReadTokens: 4, outputTokens: 10, reasoningTokens: 2 },
      servedModel: 'gpt-5-2025-08-07',
      failed: false,
    })
    expect(facts?.text()).toContain('Rome')
  })

  it('may be made in the background: that is no failure', () => {
    expect(RESPONSES.readAnswer(fixture(HERE, 'queued.json'))).toMatchObject({
      usage: NO_USAGE,
      failed: false,
    })
  })

  it.each([
    ['{"error":{"message":"m"},"output":[]}', true],
    ['{"status":"failed","output":[]}', true],
    ['{}', true],
    ['{"error":null,"status":"incomplete","output":[]}', false],
  ])('%s failed: %s', (text, failed) => {
    expect(RESPONSES.readAnswer(Buffer.from(text))?.failed).toBe(failed)
  })

  it('are none: no JSON', () => {
    expect(RESPONSES.readAnswer(Buffer.from('[]'))).toBeNull()
    expect(RESPONSES.readAnswer(Buffer.from('<html>'))).toBeNull()
  })
})

describe('openai-responses shapes', () => {
  it('tell an error inside a stream in an event of its own', () => {
    const error = new GatewayError('upstream_truncated', 'cut', { details: { param: 'x' } })
    expect(OPENAI_RESPONSES.renderStreamError(error, 'r')).toBe(
      'event: error\ndata: {"type":"error","code":"upstream_truncated","message":"cut","param":"x","sequence_number":0}\n\n',
    )
  })
})

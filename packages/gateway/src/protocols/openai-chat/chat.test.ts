import { describe, expect, it } from 'vitest'
import { NO_USAGE } from '../../contracts/usage.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { applyEdits } from '../../lib/byte-edits.ts'
import { fixture } from '../../testing/tap-replay.ts'
import { CHAT } from './chat.ts'
import { EMBEDDINGS } from './embeddings.ts'

const HERE = new URL('./', import.meta.url)
const MESSAGES = '"messages":[{"role":"user","content":"hi"}]'
const read = (text: string) => CHAT.readEnvelope(Buffer.from(text), 64)

function refusal(run: () => unknown): { code: string; param: string | null } {
  try {
    run()
  } catch (thrown) {
    if (thrown instanceof GatewayError) {
      return { code: thrown.code, param: thrown.details.param ?? null }
    }
    throw thrown
  }
  return { code: 'none', param: null }
}

describe('chat envelopes', () => {
  it('tells what the gateway must know', () => {
    const text = `{ "max_tokens" : 5, "n":2,"stream":true,"model":"m",${MESSAGES} }\n`
    const envelope = read(text)
    expect(envelope).toMatchObject({
      model: 'm',
      stream: true,
      maxOutputTokens: 5,
      choices: 2,
      streamUsage: false,
      sizeBytes: text.length,
    })
    const span = envelope.modelSpan
    expect(text.slice(span?.start, span?.end)).toBe('"m"')
    expect(text.slice(envelope.membersEndAt)).toBe(' }\n')
  })

  it.each([
    ['', 'malformed_json', null],
    ['[]', 'malformed_json', null],
    ['null', 'malformed_json', null],
    [`{"model":"m",${MESSAGES},}`, 'malformed_json', null],
    [`{"model":"m","model":"n",${MESSAGES}}`, 'malformed_json', null],
    [`{"model":"m",${MESSAGES},"x":1e999}`, 'malformed_json', null],
    [`{"model":"m",${MESSAGES},"x":${'['.repeat(64)}${']'.repeat(64)}}`, 'malformed_json', null],
    [`{${MESSAGES}}`, 'invalid_request', 'model'],
    [`{"model":"",${MESSAGES}}`, 'invalid_request', 'model'],
    [`{"model":7,${MESSAGES}}`, 'invalid_request', 'model'],
    [`{"model":null,${MESSAGES}}`, 'invalid_request', 'model'],
    [`{"model":"${'m'.repeat(257)}",${MESSAGES}}`, 'invalid_request', 'model'],
    [`{"model":"${'m'.repeat(10_000)}",${MESSAGES}}`, 'invalid_request', 'model'],
    [`{"model":"a b",${MESSAGES}}`, 'invalid_request', 'model'],
    [`{"model":"a\\r\\nx-evil: 1",${MESSAGES}}`, 'invalid_request', 'model'],
    [`{"model":"é",${MESSAGES}}`, 'invalid_request', 'model'],
    [`{"model":"m","Model":"n",${MESSAGES}}`, 'invalid_request', 'model'],
    [`{"model":"m","\\u004dODEL":"n",${MESSAGES}}`, 'invalid_request', 'model'],
    [`{"model":"m","max_to\u212Aens":9,${MESSAGES}}`, 'invalid_request', 'max_tokens'],
    [`{"model":"m","me\u017F\u017Fages":[],${MESSAGES}}`, 'invalid_request', 'messages'],
    ['{"model":"m"}', 'invalid_request', 'messages'],
    ['{"model":"m","input":"hi"}', 'invalid_request', 'messages'],
    ['{"model":"m","messages":{}}', 'invalid_request', 'messages'],
    ['{"model":"m","messages":[]}', 'invalid_request', 'messages'],
    ['{"model":"m","messages":["hi"]}', 'invalid_request', 'messages'],
    ['{"model":"m","messages":[{"role":"root"}]}', 'invalid_request', 'messages'],
    [`{"model":"m","stream":"true",${MESSAGES}}`, 'invalid_request', 'stream'],
    [`{"model":"m","stream_options":[],${MESSAGES}}`, 'invalid_request', 'stream_options'],
    [`{"model":"m","n":0,${MESSAGES}}`, 'invalid_request', 'n'],
    [`{"model":"m","n":129,${MESSAGES}}`, 'invalid_request', 'n'],
    [`{"model":"m","max_tokens":0,${MESSAGES}}`, 'invalid_request', 'max_tokens'],
    [`{"model":"m","max_tokens":-1,${MESSAGES}}`, 'invalid_request', 'max_tokens'],
    [`{"model":"m","max_tokens":1.5,${MESSAGES}}`, 'invalid_request', 'max_tokens'],
    [`{"model":"m","max_tokens":"9",${MESSAGES}}`, 'invalid_request', 'max_tokens'],
    [
      `{"model":"m","max_completion_tokens":1e20,${MESSAGES}}`,
      'invalid_request',
      'max_completion_tokens',
    ],
    [
      `{"model":"m","max_tokens":1,"max_completion_tokens":1,${MESSAGES}}`,
      'invalid_request',
      'max_tokens',
    ],
  ])('refuses %s', (text, code, param) => {
    expect(refusal(() => read(text))).toEqual({ code, param })
  })

  it('refuses bytes that are no UTF-8, and more members than anybody sends', () => {
    const bad = Buffer.concat([Buffer.from('{"model":"'), Buffer.from([0xff]), Buffer.from('"}')])
    expect(refusal(() => CHAT.readEnvelope(bad, 64)).code).toBe('malformed_json')
    const wide = Array.from({ length: 1001 }, (_, i) => `"k${i}":0`).join()
    expect(refusal(() => read(`{"model":"m",${MESSAGES},${wide}}`)).code).toBe('malformed_json')
  })

  it('keeps to the depth that is configured', () => {
    const text = `{"model":"m",${MESSAGES},"x":[[[[]]]]}`
    expect(refusal(() => CHAT.readEnvelope(Buffer.from(text), 5)).code).toBe('none')
    expect(refusal(() => CHAT.readEnvelope(Buffer.from(text), 4)).code).toBe('malformed_json')
  })

  it('says where the text is not JSON, and repeats nothing of it', () => {
    expect(() => read('{"model":"m",\n "secret" 1}')).toThrow(
      'The body is not valid JSON: expected ":" (byte 24, line 2, column 11).',
    )
  })
})

function withOptions(options: string): string {
  return `{"model":"m","stream":true,"stream_options" : ${options},${MESSAGES}}`
}

function asked(options: string): string | null {
  const text = withOptions(options)
  const edit = CHAT.askForUsage(Buffer.from(text), read(text))
  return edit === null ? null : applyEdits(Buffer.from(text), [edit]).toString()
}

describe('asking for usage', () => {
  it.each([
    ['null', '{"include_usage":true}'],
    ['{}', '{"include_usage":true}'],
    ['{ }', '{"include_usage":true }'],
    ['{"include_usage":false}', '{"include_usage":true}'],
    ['{"include_usage" : null , "x":1}', '{"include_usage" : true , "x":1}'],
    ['{"include_obfuscation":false}', '{"include_obfuscation":false,"include_usage":true}'],
    ['{ "é" : {"a":[1]} }', '{ "é" : {"a":[1]},"include_usage":true }'],
  ])('turns %s into %s', (before, after) => {
    expect(asked(before)).toBe(withOptions(after))
  })

  it('asks nothing when the client asked, or streams nothing', () => {
    expect(asked('{"include_usage":true}')).toBe(null)
    const text = `{"model":"m",${MESSAGES}}`
    expect(CHAT.askForUsage(Buffer.from(text), read(text))).toBe(null)
  })

  it('adds the option behind the last member', () => {
    const text = `{"model":"m",${MESSAGES},"stream":true }`
    const edit = CHAT.askForUsage(Buffer.from(text), read(text))
    expect(edit && applyEdits(Buffer.from(text), [edit]).toString()).toBe(
      `{"model":"m",${MESSAGES},"stream":true,"stream_options":{"include_usage":true} }`,
    )
  })
})

describe('chat answers', () => {
  it('reads usage, model and text', () => {
    const facts = CHAT.readAnswer(fixture(HERE, 'whole.json'))
    expect(facts).toMatchObject({ failed: false, servedModel: 'gpt-4o-2024-08-06' })
    expect(facts?.usage).toMatchObject({ inputTokens: 15, outputTokens: 10, cacheReadTokens: 4 })
    expect(facts?.text()).toBe('Hellof{}')
  })

  it.each([
    ['{"error":{"message":"x"}}', true],
    ['{"choices":null}', true],
    ['{}', true],
    ['{"choices":[],"error":null}', false],
  ])('takes %s for a failure: %s', (text, failed) => {
    expect(CHAT.readAnswer(Buffer.from(text))?.failed).toBe(failed)
  })

  it.each(['', '[]', 'null', '<html>', '{"choices":'])('takes %j for no answer', (text) => {
    expect(CHAT.readAnswer(Buffer.from(text))).toBe(null)
  })
})

describe('embeddings', () => {
  it('wants an input, and writes no output', () => {
    const body = Buffer.from('{"model":"m"}')
    expect(refusal(() => EMBEDDINGS.readEnvelope(body, 64))).toEqual({
      code: 'invalid_request',
      param: 'input',
    })
    expect(EMBEDDINGS.readAnswer(fixture(HERE, 'embeddings.json'))?.usage).toEqual({
      ...NO_USAGE,
      inputTokens: 8,
      outputTokens: 0,
    })
  })

  it.each([
    ['"hi"', ['hi'], 0],
    ['["a","b"]', ['a', 'b'], 0],
    ['[1,2,3]', [], 3],
    ['[[1,2],[3]]', [], 3],
  ])('counts the input %s', (input, texts, overheadTokens) => {
    const envelope = EMBEDDINGS.readEnvelope(Buffer.from(`{"model":"m","input":${input}}`), 64)
    expect(EMBEDDINGS.readInput(envelope)).toMatchObject({ texts, overheadTokens })
  })
})

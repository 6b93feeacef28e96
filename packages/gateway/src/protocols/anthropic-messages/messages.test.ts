import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../errors/gateway-error.ts'
import { fixture } from '../../testing/tap-replay.ts'
import { COUNT_TOKENS, MESSAGES } from './messages.ts'

const HERE = new URL('./', import.meta.url)
const LIST = '"messages":[{"role":"user","content":"hi"}]'

function paramOf(text: string, endpoint = MESSAGES): string | null {
  try {
    endpoint.readEnvelope(Buffer.from(text), 64)
    return 'none'
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown
    return thrown.details.param ?? thrown.code
  }
}

describe('messages envelopes', () => {
  it.each([
    [`{"max_tokens":1,${LIST}}`, 'model'],
    [`{"model":"m",${LIST}}`, 'max_tokens'],
    [`{"model":"m","max_tokens":null,${LIST}}`, 'max_tokens'],
    [`{"model":"m","max_tokens":0,${LIST}}`, 'max_tokens'],
    [`{"model":"m","max_tokens":1}`, 'messages'],
    [`{"model":"m","max_tokens":1,"messages":[{"role":"tool"}]}`, 'messages'],
    [`{"model":"m","max_tokens":1,"stream":1,${LIST}}`, 'stream'],
    [`{"model":"m","max_tokens":1,"System":"x",${LIST}}`, 'system'],
    [`{"model":"m","max_tokens":1,"max_tokens":2,${LIST}}`, 'malformed_json'],
    [`{"model":"m","max_tokens":1,"system":[{"type":"text","text":"x"}],${LIST}}`, 'none'],
    [`{"model":"m","max_tokens":1,"messages":[{"role":"system","content":"x"}]}`, 'none'],
  ])('%s is refused for %s', (text, param) => {
    expect(paramOf(text)).toBe(param)
  })

  it('need no cap to be counted', () => {
    expect(paramOf(`{"model":"m",${LIST}}`, COUNT_TOKENS)).toBe('none')
    const body = Buffer.from(`{"model":"m","stream":true,${LIST}}`)
    expect(COUNT_TOKENS.readEnvelope(body, 64)).toMatchObject({ stream: false, maxOutputTokens: 0 })
  })
})

describe('messages input', () => {
  it('finds every text that the model reads', () => {
    const body = JSON.stringify({
      model: 'm',
      max_tokens: 1,
      system: [{ type: 'text', text: 'SYS', cache_control: { type: 'ephemeral' } }],
      tools: [{ name: 'TOOL', input_schema: { type: 'object' } }],
      messages: [
        { role: 'user', content: 'PLAIN' },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'THOUGHT', signature: 'x' },
            { type: 'tool_use', id: 't', name: 'CALL', input: { a: 'ARG' } },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 't', content: [{ type: 'text', text: 'RESULT' }] },
            { type: 'image', source: { type: 'url', url: 'x' } },
          ],
        },
      ],
    })
    const parts = MESSAGES.readInput(MESSAGES.readEnvelope(Buffer.from(body), 64))
    const texts = parts.texts.join('|')
    for (const word of ['SYS', 'TOOL', 'PLAIN', 'THOUGHT', 'CALL', 'ARG', 'RESULT']) {
      expect(texts).toContain(word)
    }
    expect(parts.mediaTokens).toBeGreaterThan(0)
  })
})

describe('messages answers', () => {
  it('reads usage, model and text', () => {
    const facts = MESSAGES.readAnswer(fixture(HERE, 'whole.json'))
    expect(facts).toMatchObject({ failed: false, servedModel: 'claude-sonnet-4-5-20250929' })
    expect(facts?.usage).toMatchObject({
      inputTokens: 12,
      outputTokens: 6,
      cacheReadTokens: 4,
      cacheWrite5mTokens: 3,
      cacheWrite1hTokens: null,
    })
    expect(facts?.text()).toBe('HmHello{}')
  })

  it.each(['{"type":"error","error":{}}', '{"content":null}', '{}'])(
    'takes %s for a failure',
    (text) => {
      expect(MESSAGES.readAnswer(Buffer.from(text))?.failed).toBe(true)
    },
  )

  it('reads a count', () => {
    expect(COUNT_TOKENS.readAnswer(fixture(HERE, 'count-tokens.json'))?.failed).toBe(false)
    expect(COUNT_TOKENS.readAnswer(Buffer.from('{}'))?.failed).toBe(true)
  })
})

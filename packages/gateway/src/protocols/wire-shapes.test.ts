import { describe, expect, it } from 'vitest'
import type { LimitState } from '../contracts/limit.ts'
import { CODES, GatewayError, type GatewayErrorCode } from '../errors/gateway-error.ts'
import { MINUTE, limitOf, sliding } from '../testing/gate-fixtures.ts'
import { ANTHROPIC_MESSAGES } from './anthropic-messages/anthropic-messages.ts'
import { OPENAI_CHAT } from './openai-chat/openai-chat.ts'

const ERROR = new GatewayError('invalid_request', 'n: must be 1.', {
  details: { param: 'n', headers: { 'x-a': 'b' }, limit: { id: 'l' } },
})

const codes = Object.keys(CODES).filter((code): code is GatewayErrorCode => code in CODES)

describe('openai-chat shapes', () => {
  it('renders an error', () => {
    const { status, headers, body } = OPENAI_CHAT.renderError(ERROR, 'req_1')
    expect({ status, headers }).toEqual({ status: 400, headers: { 'x-a': 'b' } })
    expect(JSON.parse(body)).toEqual({
      error: {
        message: 'n: must be 1.',
        type: 'invalid_request_error',
        param: 'n',
        code: 'invalid_request',
        limit: { id: 'l' },
      },
    })
  })

  it('renders every code with a type of its vendor', () => {
    for (const code of codes) {
      const { body } = OPENAI_CHAT.renderError(new GatewayError(code, 'x'), 'r')
      expect(body).toMatch(
        /"type":"(?:invalid_request_error|permission_error|rate_limit_exceeded|insufficient_quota|server_error)"/,
      )
    }
  })

  it('renders an error inside a stream as a chunk that makes the SDK throw', () => {
    const frame = OPENAI_CHAT.renderStreamError(ERROR, 'req_1')
    expect(frame.startsWith('data: {"error":{')).toBe(true)
    expect(frame.endsWith('}\n\n')).toBe(true)
    expect(frame).not.toContain('[DONE]')
  })

  it('lists models', () => {
    const model = { id: 'a/b', ownedBy: 'a', createdAtMs: 1_700_000_000_500 }
    const listed = { id: 'a/b', object: 'model', created: 1_700_000_000, owned_by: 'a' }
    expect(JSON.parse(OPENAI_CHAT.renderModels([model]))).toEqual({
      object: 'list',
      data: [listed],
    })
    expect(JSON.parse(OPENAI_CHAT.renderModel(model))).toEqual(listed)
  })
})

describe('anthropic-messages shapes', () => {
  it('renders an error with the request id in body and head', () => {
    const { status, headers, body } = ANTHROPIC_MESSAGES.renderError(ERROR, 'req_1')
    expect({ status, headers }).toEqual({
      status: 400,
      headers: { 'x-a': 'b', 'request-id': 'req_1' },
    })
    expect(JSON.parse(body)).toEqual({
      type: 'error',
      error: { type: 'invalid_request_error', message: 'n: must be 1.', limit: { id: 'l' } },
      request_id: 'req_1',
    })
  })

  it('says 529 when the provider is overloaded', () => {
    const error = new GatewayError('upstream_overloaded', 'x')
    expect(ANTHROPIC_MESSAGES.renderError(error, 'r').status).toBe(529)
    expect(OPENAI_CHAT.renderError(error, 'r').status).toBe(503)
  })

  it('renders every code with a type of its vendor', () => {
    for (const code of codes) {
      const { body } = ANTHROPIC_MESSAGES.renderError(new GatewayError(code, 'x'), 'r')
      expect(body).toMatch(
        /"type":"(?:invalid_request|authentication|permission|not_found|rate_limit|billing|timeout|overloaded|api)_error"|"type":"request_too_large"/,
      )
    }
  })

  it('renders frames with an event line, without which the SDK skips them', () => {
    expect(ANTHROPIC_MESSAGES.renderStreamError(ERROR, 'r')).toMatch(
      /^event: error\ndata: \{.*\}\n\n$/,
    )
    expect(ANTHROPIC_MESSAGES.keepAliveFrame).toBe('event: ping\ndata: {"type":"ping"}\n\n')
  })

  it('lists models', () => {
    const model = { id: 'a', ownedBy: 'x', createdAtMs: 0 }
    expect(JSON.parse(ANTHROPIC_MESSAGES.renderModels([model]))).toEqual({
      data: [{ type: 'model', id: 'a', display_name: 'a', created_at: '1970-01-01T00:00:00.000Z' }],
      has_more: false,
      first_id: 'a',
      last_id: 'a',
    })
    expect(JSON.parse(ANTHROPIC_MESSAGES.renderModels([]))).toMatchObject({ first_id: null })
  })
})

const state = (
  unit: 'requests' | 'tokens',
  used: number,
  resetsAtMs: number | null,
): LimitState => ({
  limit: limitOf(sliding(100, MINUTE), { id: unit, unit }),
  value: 'k',
  used,
  reserved: 5,
  amount: 100,
  resetsAtMs,
})

/** From names and values in turn. */
function named(headers: readonly string[]): Record<string, string> {
  const pairs = headers.flatMap((name, i) => (i % 2 === 0 ? [[name, headers[i + 1] ?? '']] : []))
  return Object.fromEntries(pairs)
}

describe('rate headers', () => {
  const states = [state('requests', 10, 362_000), state('tokens', 99, 500)]

  it("are OpenAI's, with a duration", () => {
    expect(named(OPENAI_CHAT.limitHeaders(states, 0))).toEqual({
      'x-ratelimit-limit-requests': '100',
      'x-ratelimit-remaining-requests': '85',
      'x-ratelimit-reset-requests': '6m2s',
      'x-ratelimit-limit-tokens': '100',
      'x-ratelimit-remaining-tokens': '0',
      'x-ratelimit-reset-tokens': '500ms',
    })
  })

  it.each([
    [1000, '1s'],
    [60_000, '1m0s'],
    [3_600_000, '1h0m0s'],
    [90_061_000, '25h1m1s'],
    [-5, '0ms'],
  ])('write %i ms as %s', (ms, text) => {
    const headers = named(OPENAI_CHAT.limitHeaders([state('requests', 0, ms)], 0))
    expect(headers['x-ratelimit-reset-requests']).toBe(text)
  })

  it("are Anthropic's, with a time", () => {
    expect(named(ANTHROPIC_MESSAGES.limitHeaders(states, 0))).toEqual({
      'anthropic-ratelimit-requests-limit': '100',
      'anthropic-ratelimit-requests-remaining': '85',
      'anthropic-ratelimit-requests-reset': '1970-01-01T00:06:02.000Z',
      'anthropic-ratelimit-tokens-limit': '100',
      'anthropic-ratelimit-tokens-remaining': '0',
      'anthropic-ratelimit-tokens-reset': '1970-01-01T00:00:00.500Z',
    })
  })
})

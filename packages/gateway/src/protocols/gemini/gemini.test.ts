import { describe, expect, it } from 'vitest'
import { CODES, GatewayError, type GatewayErrorCode } from '../../errors/gateway-error.ts'
import { GEMINI } from './gemini.ts'

const codes = Object.keys(CODES).filter((code): code is GatewayErrorCode => code in CODES)

describe('gemini shapes', () => {
  it('renders an error with its field and its code', () => {
    const error = new GatewayError('invalid_request', 'topK: wrong.', {
      details: { param: 'topK' },
    })
    const { status, body } = GEMINI.renderError(error, 'req_1')
    expect(status).toBe(400)
    expect(JSON.parse(body)).toEqual({
      error: {
        code: 400,
        message: 'topK: wrong.',
        status: 'INVALID_ARGUMENT',
        details: [
          {
            '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
            reason: 'INVALID_REQUEST',
            domain: 'tollgate',
            metadata: { request_id: 'req_1' },
          },
          {
            '@type': 'type.googleapis.com/google.rpc.BadRequest',
            fieldViolations: [{ field: 'topK', description: 'topK: wrong.' }],
          },
        ],
      },
    })
  })

  it.each([
    ['rate_limit_exceeded', { 'retry-after-ms': '1500', 'retry-after': '2' }, '1.5s'],
    ['rate_limit_exceeded', { 'retry-after': '2' }, '2s'],
  ] as const)('says in the body when to come back: %s %j', (code, headers, retryDelay) => {
    const { body } = GEMINI.renderError(new GatewayError(code, 'x', { details: { headers } }), 'r')
    expect(body).toContain(`"retryDelay":"${retryDelay}"`)
  })

  it('does not send clients of an empty budget to sleep', () => {
    const headers = { 'retry-after': '86400' }
    const error = new GatewayError('budget_exceeded', 'x', { details: { headers } })
    expect(GEMINI.renderError(error, 'r').body).not.toContain('RetryInfo')
  })

  it('renders every code with a status of Google, whole and in a stream', () => {
    for (const code of codes) {
      const frame = GEMINI.renderStreamError(new GatewayError(code, 'x'), 'r')
      expect(frame).toMatch(/^data: \{"error":\{"code":\d+,.*\n\n$/)
      expect(frame).toMatch(
        /"status":"(?:INVALID_ARGUMENT|UNAUTHENTICATED|PERMISSION_DENIED|NOT_FOUND|RESOURCE_EXHAUSTED|DEADLINE_EXCEEDED|UNAVAILABLE|INTERNAL)"/,
      )
    }
  })

  it('lists models by their resource names', () => {
    const model = { id: 'openai/gpt-x', ownedBy: 'openai', createdAtMs: 0 }
    const listed = {
      name: 'models/openai/gpt-x',
      displayName: 'openai/gpt-x',
      supportedGenerationMethods: ['generateContent', 'countTokens'],
    }
    expect(JSON.parse(GEMINI.renderModels([model]))).toEqual({ models: [listed] })
    expect(JSON.parse(GEMINI.renderModel(model))).toEqual(listed)
  })

  it('never lets a client choose who pays', () => {
    expect(GEMINI.forwardedHeaders).not.toContain('x-goog-user-project')
    expect(GEMINI.forwardedQuery).toEqual([])
  })
})

import { describe, expect, it } from 'vitest'
import { testProvider } from './testing/plan-fixtures.ts'
import { upstreamPath } from './upstream-path.ts'

const CHAT = { endpoint: 'chat', path: '/v1/chat/completions', query: '' }

describe('upstreamPath', () => {
  it.each([
    ['', '/v1/chat/completions'],
    ['/openai', '/openai/v1/chat/completions'],
    ['/v1', '/v1/chat/completions'],
    ['/openai/v1', '/openai/v1/chat/completions'],
    ['/api/paas/v4', '/api/paas/v4/chat/completions'],
    ['/v1/proxy', '/v1/proxy/v1/chat/completions'],
  ])('base %j gives %s', (basePath, expected) => {
    expect(upstreamPath({ ...testProvider(), basePath }, CHAT, 'm')).toBe(expected)
  })

  it('asks for what the endpoint needs, once', () => {
    const stream = {
      endpoint: 'gemini',
      path: '/v1beta/models/{model}:streamGenerateContent',
      query: '?alt=sse',
    }
    const path = '/v1beta/models/m:streamGenerateContent'
    expect(upstreamPath(testProvider(), stream, 'm')).toBe(`${path}?alt=sse`)
    expect(upstreamPath(testProvider(), stream, 'm', '?alt=sse&x=1')).toBe(`${path}?alt=sse&x=1`)
    const own = { ...testProvider(), paths: { [stream.path]: '/publishers/{model}:stream' } }
    expect(upstreamPath(own, stream, 'm')).toBe('/publishers/m:stream?alt=sse')
  })

  it('fills the model, encoded', () => {
    const provider = { ...testProvider(), paths: { chat: '/deployments/{model}/chat' } }
    expect(upstreamPath(provider, CHAT, 'a/b?c=$&')).toBe('/deployments/a%2Fb%3Fc%3D%24%26/chat')
  })

  it.each([
    ['', '', ''],
    ['', '?beta=true', '?beta=true'],
    ['?api-version=1', '', '?api-version=1'],
    ['?api-version=1', '?', '?api-version=1'],
    ['?api-version=1', '?beta=true', '?api-version=1&beta=true'],
    ['?api-version=1', '?api-version=2&x=1', '?api-version=1&x=1'],
    ['?api-version=1', '?api%2Dversion=2', '?api-version=1'],
  ])("query %j and the client's %j give %j", (query, client, expected) => {
    const path = upstreamPath({ ...testProvider(), query }, CHAT, 'm', client)
    expect(path).toBe(`/v1/chat/completions${expected}`)
  })
})

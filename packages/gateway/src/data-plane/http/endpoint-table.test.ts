import { describe, expect, it } from 'vitest'
import type { Protocol, ProtocolEndpoint } from '../../contracts/protocol.ts'
import { OPENAI_CHAT } from '../../protocols/openai-chat/openai-chat.ts'
import { CHAT } from '../../protocols/openai-chat/chat.ts'
import { EndpointTable } from './endpoint-table.ts'

const GENERATE: ProtocolEndpoint = { ...CHAT, path: '/v1beta/models/{model}:generateContent' }
const WITH_MODEL: Protocol = { ...OPENAI_CHAT, id: 'by-path', endpoints: [GENERATE] }

describe('EndpointTable', () => {
  const table = new EndpointTable([OPENAI_CHAT, WITH_MODEL])

  it.each([
    ['/v1beta/models/gemini-2.5-pro:generateContent', 'gemini-2.5-pro'],
    ['/v1beta/models/google/gemini-2.5-pro:generateContent', 'google/gemini-2.5-pro'],
    ['/v1beta/models/google%2Fgemini-2.5-pro:generateContent', 'google/gemini-2.5-pro'],
    ['/v1beta/models/m:1:generateContent', 'm:1'],
    ['/v1beta/models/%zz:generateContent', '%zz'],
  ])('%s names the model %s', (path, model) => {
    expect(table.find(path)).toMatchObject({ endpoint: GENERATE, pathModel: model })
  })

  it.each([
    '/v1beta/models/:generateContent',
    '/v1beta/models/m:generatecontent',
    '/v1beta/models/m:generateContent/',
    '/v1/chat/completions/',
  ])('%s is not served', (path) => {
    expect(table.find(path)).toBeNull()
  })

  it('tells the protocol of an exact path', () => {
    expect(table.protocolOf([], '/v1/chat/completions').id).toBe('openai-chat')
    expect(table.protocolOf([], '/v1beta/models/m:generateContent').id).toBe('by-path')
  })
})

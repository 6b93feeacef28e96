import { describe, expect, it } from 'vitest'
import type { ProtocolEndpoint } from '../contracts/protocol.ts'
import { MESSAGES } from './anthropic-messages/messages.ts'
import { GENERATE } from './gemini/generate.ts'
import { CHAT } from './openai-chat/chat.ts'
import { RESPONSES } from './openai-responses/responses.ts'

function needsOf(endpoint: ProtocolEndpoint, request: Readonly<Record<string, unknown>>): string {
  const body = Buffer.from(JSON.stringify(request))
  const envelope = endpoint.readEnvelope(body, 64, 'm')
  const needs = endpoint.readNeeds?.(body, envelope) ?? {}
  return Object.entries(needs)
    .flatMap(([name, needed]) => (needed ? [name] : []))
    .join()
}

const chat = (more: object, content: unknown = 'hi'): string =>
  needsOf(CHAT, { model: 'm', messages: [{ role: 'user', content }], ...more })
const messages = (more: object, content: unknown = 'hi'): string =>
  needsOf(MESSAGES, { model: 'm', max_tokens: 9, messages: [{ role: 'user', content }], ...more })
const responses = (more: object, input: unknown = 'hi'): string =>
  needsOf(RESPONSES, { model: 'm', input, ...more })
const gemini = (more: object, parts: readonly unknown[] = [{ text: 'hi' }]): string =>
  needsOf(GENERATE, { contents: [{ role: 'user', parts }], ...more })

const TOOL = { type: 'function', function: { name: 'image', parameters: { type: 'image_url' } } }

describe('what a request needs', () => {
  it.each([
    [chat({}), ''],
    [chat({ tools: [] }), ''],
    [chat({ tools: [TOOL] }), 'tools'],
    [chat({ functions: [{ name: 'f' }] }), 'tools'],
    [chat({ response_format: { type: 'json_object' } }), ''],
    [chat({ response_format: { type: 'json_schema', json_schema: {} } }), 'json_schema'],
    [chat({}, [{ type: 'image_url', image_url: { url: 'data:' } }]), 'vision'],
    [chat({}, [{ type: 'input_audio', input_audio: {} }]), 'audio'],
    [chat({}, [{ type: 'file', file: { file_id: 'f' } }]), 'documents'],
    [chat({}, 'an "image_url" of an audio file'), ''],
  ])('of a chat: %s', (needs, expected) => {
    expect(needs).toBe(expected)
  })

  it.each([
    [messages({}), ''],
    [messages({ tools: [{ name: 't', input_schema: {} }] }), 'tools'],
    [messages({ output_config: { format: { type: 'json_schema', schema: {} } } }), 'json_schema'],
    [messages({ output_format: { type: 'json_schema', schema: {} } }), 'json_schema'],
    [messages({}, [{ type: 'image', source: {} }]), 'vision'],
    [messages({}, [{ type: 'document', source: {} }]), 'documents'],
    [
      messages({}, [{ type: 'tool_result', tool_use_id: 'a', content: [{ type: 'image' }] }]),
      'vision',
    ],
    [messages({}, [{ type: 'tool_use', id: 'a', name: 'n', input: { type: 'image' } }]), ''],
  ])('of Messages: %s', (needs, expected) => {
    expect(needs).toBe(expected)
  })

  it.each([
    [responses({}), ''],
    [responses({ tools: [{ type: 'function', name: 'f' }] }), 'tools'],
    [responses({ text: { format: { type: 'json_schema', schema: {} } } }), 'json_schema'],
    [responses({ text: { verbosity: 'low' } }), ''],
    [
      responses({}, [{ role: 'user', content: [{ type: 'input_image', image_url: 'x' }] }]),
      'vision',
    ],
    [responses({}, [{ role: 'user', content: [{ type: 'input_file' }] }]), 'documents'],
  ])('of Responses: %s', (needs, expected) => {
    expect(needs).toBe(expected)
  })

  it.each([
    [gemini({}), ''],
    [gemini({ tools: { functionDeclarations: [] } }), 'tools'],
    [gemini({ generationConfig: { responseSchema: { type: 'OBJECT' } } }), 'json_schema'],
    [gemini({ generation_config: { response_json_schema: {} } }), 'json_schema'],
    [gemini({}, [{ inlineData: { mimeType: 'image/png', data: '' } }]), 'vision'],
    [gemini({}, [{ file_data: { mime_type: 'audio/wav', file_uri: 'x' } }]), 'audio'],
    [gemini({}, [{ inlineData: { mimeType: 'application/pdf', data: '' } }]), 'documents'],
  ])('of Gemini: %s', (needs, expected) => {
    expect(needs).toBe(expected)
  })
})

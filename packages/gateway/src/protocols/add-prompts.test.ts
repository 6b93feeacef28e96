import { describe, expect, it } from 'vitest'
import type { Prompt, ProtocolEndpoint } from '../contracts/protocol.ts'
import { applyEdits } from '../lib/byte-edits.ts'
import { MESSAGES } from './anthropic-messages/messages.ts'
import { CHAT } from './openai-chat/chat.ts'
import { EMBEDDINGS } from './openai-chat/embeddings.ts'

const START: Prompt = { role: 'system', content: 'Be "brief".\n', position: 'start' }
const MORE: Prompt = { role: 'developer', content: 'é', position: 'start' }
const END: Prompt = { role: 'system', content: 'Bye', position: 'end' }
const TURN: Prompt = { role: 'user', content: 'Hi', position: 'start' }

function added(endpoint: ProtocolEndpoint, text: string, prompts: readonly Prompt[]): string {
  const body = Buffer.from(text)
  const edits = endpoint.addPrompts?.(body, endpoint.readEnvelope(body, 64), prompts) ?? []
  return applyEdits(body, edits).toString()
}

function request(system: string): string {
  return `{"model":"m",${system}"max_tokens":9,"messages":[{"role":"user","content":"a"}]}`
}

describe('prompts in chat', () => {
  it('stand before the first and behind the last message, and no other byte changes', () => {
    const text = '{ "model":"m", "messages" : [ {"role":"user","content":"\\u00e9"} ] , "x":1.50 }'
    expect(added(CHAT, text, [START, MORE, END])).toBe(
      '{ "model":"m", "messages" : [{"role":"system","content":"Be \\"brief\\".\\n"},' +
        '{"role":"developer","content":"é"}, {"role":"user","content":"\\u00e9"} ,' +
        '{"role":"system","content":"Bye"}] , "x":1.50 }',
    )
  })
})

describe('prompts in messages', () => {
  it.each([
    [
      'a string',
      '"system":"Y\\u00e9s",',
      '"system":"Be \\"brief\\".\\n\\n\\né\\n\\nY\\u00e9s\\n\\nBye",',
    ],
    ['an empty string', '"system":"",', '"system":"Be \\"brief\\".\\n\\n\\né\\n\\nBye",'],
    ['null', '"system":null,', '"system":"Be \\"brief\\".\\n\\n\\né\\n\\nBye",'],
    [
      'blocks, whose cache marks stay',
      '"system": [ {"type":"text","text":"b","cache_control":{"type":"ephemeral"}} ],',
      '"system": [{"type":"text","text":"Be \\"brief\\".\\n"},{"type":"text","text":"é"},' +
        ' {"type":"text","text":"b","cache_control":{"type":"ephemeral"}} ,{"type":"text","text":"Bye"}],',
    ],
    [
      'no blocks',
      '"system": [ ],',
      '"system": [{"type":"text","text":"Be \\"brief\\".\\n"},{"type":"text","text":"é"},' +
        '{"type":"text","text":"Bye"} ],',
    ],
  ])('keep the form of the system text: %s', (_form, written, wanted) => {
    expect(added(MESSAGES, request(written), [START, MORE, END])).toBe(request(wanted))
  })

  it('are the system text where there is none, behind what the client wrote', () => {
    expect(added(MESSAGES, request(''), [END, TURN])).toBe(
      '{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"},' +
        '{"role":"user","content":"a"}],"system":"Bye"}',
    )
  })

  it('are refused beside a system text of another form, which the provider might read otherwise', () => {
    expect(() => added(MESSAGES, request('"system":{"a":1},'), [START])).toThrow('system: must be')
  })
})

it('embeddings take no prompts', () => {
  expect(EMBEDDINGS.addPrompts).toBeNull()
})

import { describe, expect, it } from 'vitest'
import type { Block, Conversation, ImageBlock } from '../../contracts/conversation.ts'
import type { RenderOptions } from '../../contracts/dialect.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { conversation, textBlock } from '../../testing/conversations.ts'
import { Losses } from '../translation/losses.ts'
import { sealCallId, sealSignature } from '../translation/seal.ts'
import { RESPONSES_DIALECT } from './dialect.ts'

const SIGNATURE = { value: 'S', origin: 'claude' }
const GRAMMAR = { syntax: 'lark', definition: 'start: "a"' }

function read(request: Record<string, unknown>): { said: Conversation; losses: readonly string[] } {
  const losses = new Losses()
  const body = { input: 'hi', ...request }
  const said = RESPONSES_DIALECT.readRequest(body, { model: 'm', stream: false, losses })
  return { said, losses: losses.list }
}

function turnsOf(input: readonly unknown[]): unknown {
  return read({ input }).said.turns
}

function write(
  part: Partial<Conversation>,
  options: Partial<RenderOptions> = {},
): { body: Record<string, unknown>; losses: readonly string[] } {
  const losses = new Losses()
  const text = RESPONSES_DIALECT.writeRequest(conversation(part), {
    maxOutputTokens: 4096,
    outputCapMember: 'max_completion_tokens',
    refusesUsageOption: false,
    keeps: ({ origin }) => origin === 'own',
    losses,
    ...options,
  })
  return { body: JSON.parse(text), losses: losses.list }
}

function refusal(request: Record<string, unknown>): readonly (string | undefined)[] {
  try {
    read(request)
  } catch (thrown) {
    if (thrown instanceof GatewayError) return [thrown.code, thrown.details.param]
  }
  return []
}

const call = (part: Partial<Extract<Block, { type: 'tool_call' }>> = {}): Block => ({
  type: 'tool_call',
  id: 'call_1',
  name: 'weather',
  input: '{"city":"Rome"}',
  custom: false,
  signature: null,
  cache: null,
  ...part,
})
const result = (part: Partial<Extract<Block, { type: 'tool_result' }>> = {}): Block => ({
  type: 'tool_result',
  callId: 'call_1',
  content: [textBlock('sunny')],
  isError: false,
  cache: null,
  ...part,
})
const thinking = (part: Partial<Extract<Block, { type: 'thinking' }>> = {}): Block => ({
  type: 'thinking',
  text: 'hm',
  signature: { value: 'S', origin: 'own' },
  redacted: false,
  ...part,
})
const picture: ImageBlock = {
  type: 'image',
  source: { kind: 'base64', mediaType: 'image/png', data: 'AAAA' },
  detail: 'high',
  cache: null,
}
const turns = (...list: readonly [Conversation['turns'][number]['role'], readonly Block[]][]) =>
  list.map(([role, blocks]) => ({ role, blocks }))

describe('reading items', () => {
  it('reads a text, and easy messages with their roles', () => {
    expect(turnsOf([])).toEqual([])
    expect(read({ input: 'x' }).said.turns).toEqual(turns(['user', [textBlock('x')]]))
    const { said } = read({
      instructions: 'i',
      input: [
        { role: 'developer', content: 'd' },
        { role: 'user', content: 'a' },
        { role: 'user', content: 'b' },
        { role: 'system', content: 's' },
      ],
    })
    expect(said.system).toEqual([textBlock('i'), textBlock('d')])
    expect(said.turns).toEqual(
      turns(['user', [textBlock('a')]], ['user', [textBlock('b')]], ['system', [textBlock('s')]]),
    )
  })

  it('gathers what a model gave in a row, and results in a row', () => {
    expect(
      turnsOf([
        {
          type: 'reasoning',
          id: 'rs_1',
          summary: [{ type: 'summary_text', text: 'hm' }],
          encrypted_content: sealSignature(SIGNATURE),
        },
        {
          type: 'message',
          role: 'assistant',
          id: 'msg_1',
          status: 'completed',
          content: [{ type: 'output_text', text: 'so', annotations: [], logprobs: [] }],
        },
        {
          type: 'function_call',
          id: 'fc_1',
          status: 'completed',
          call_id: sealCallId('call_1', SIGNATURE),
          name: 'weather',
          arguments: '{"city":"Rome"}',
        },
        { type: 'custom_tool_call', call_id: 'call_2', name: 'patch', input: '*** x' },
        { type: 'function_call_output', call_id: sealCallId('call_1', SIGNATURE), output: 'sunny' },
        {
          type: 'custom_tool_call_output',
          call_id: 'call_2',
          output: [
            { type: 'input_text', text: 'ok' },
            { type: 'input_image', image_url: 'data:image/png;base64,AAAA', detail: 'high' },
          ],
        },
        { role: 'user', content: 'next' },
      ]),
    ).toEqual(
      turns(
        [
          'assistant',
          [
            thinking({ signature: SIGNATURE }),
            textBlock('so'),
            call({ signature: SIGNATURE }),
            call({ id: 'call_2', name: 'patch', input: '*** x', custom: true }),
          ],
        ],
        ['user', [result(), result({ callId: 'call_2', content: [textBlock('ok'), picture] })]],
        ['user', [textBlock('next')]],
      ),
    )
  })

  it('reads pictures, files, sound, refusals and citations', () => {
    const citation = { type: 'url_citation', url: 'u', title: 't', start_index: 0, end_index: 2 }
    expect(
      turnsOf([
        {
          role: 'user',
          content: [
            { type: 'input_image', file_id: 'file-1' },
            { type: 'input_file', file_url: 'https://e.x/a.pdf' },
            { type: 'input_file', file_data: 'data:application/pdf;base64,AA', filename: 'a.pdf' },
            { type: 'input_file', file_id: 'file-2' },
            { type: 'input_audio', input_audio: { data: 'DD', format: 'wav' } },
          ],
        },
        {
          role: 'assistant',
          content: [
            { type: 'output_text', text: 'so', annotations: [citation, { type: 'file_citation' }] },
            { type: 'refusal', refusal: 'no' },
          ],
        },
      ]),
    ).toMatchObject([
      {
        blocks: [
          { type: 'image', source: { kind: 'file', id: 'file-1' } },
          { type: 'document', source: { kind: 'url', url: 'https://e.x/a.pdf' } },
          { type: 'document', source: { kind: 'base64', data: 'AA' }, name: 'a.pdf' },
          { type: 'document', source: { kind: 'file', id: 'file-2' } },
          { type: 'audio', data: 'DD', format: 'wav' },
        ],
      },
      {
        blocks: [
          { type: 'text', text: 'so', citations: [{ url: 'u', title: 't', start: 0, end: 2 }] },
          { type: 'refusal', text: 'no' },
        ],
      },
    ])
  })

  it.each([
    [
      { summary: [], encrypted_content: 'gAAA' },
      { text: '', signature: { value: 'gAAA', origin: null } },
    ],
    [
      { summary: [], content: [{ type: 'reasoning_text', text: 'hm' }] },
      { text: 'hm', signature: { value: 'reasoning_text', origin: null } },
    ],
    [
      { summary: [{ type: 'summary_text', text: 'a' }, { text: 'b' }] },
      { text: 'a\n\nb', signature: null },
    ],
    [
      { summary: [], encrypted_content: `redacted_${sealSignature(SIGNATURE)}` },
      { text: '', signature: SIGNATURE, redacted: true },
    ],
  ])('reads the reasoning %j', (item, wanted) => {
    expect(turnsOf([{ type: 'reasoning', ...item }])).toMatchObject([
      { role: 'assistant', blocks: [{ type: 'thinking', redacted: false, ...wanted }] },
    ])
  })
})

describe('reading the rest of a request', () => {
  it('reads what has a place in the model', () => {
    const { said, losses } = read({
      temperature: 1,
      top_p: 0.5,
      max_output_tokens: 50,
      parallel_tool_calls: true,
      text: {
        format: { type: 'json_schema', name: 'n', schema: { type: 'object' }, strict: true },
      },
      reasoning: { effort: 'low', summary: 'auto' },
      include: ['reasoning.encrypted_content'],
      metadata: { a: 'b' },
      safety_identifier: 'u',
      prompt_cache_key: 'k',
      service_tier: 'auto',
      truncation: 'disabled',
      store: false,
      background: false,
      top_logprobs: 0,
      stream_options: { include_obfuscation: false },
      tools: [
        {
          type: 'function',
          name: 'f',
          description: 'd',
          parameters: { type: 'object' },
          strict: true,
        },
        { type: 'function', name: 'g', parameters: null, strict: false },
        { type: 'custom', name: 'c', format: { type: 'grammar', ...GRAMMAR } },
      ],
      tool_choice: { type: 'custom', name: 'c' },
    })
    expect(losses).toEqual([])
    expect(said).toMatchObject({
      sampling: { temperature: 1, topP: 0.5, topK: null, seed: null },
      maxOutputTokens: 50,
      parallelTools: true,
      output: { kind: 'schema', name: 'n', strict: true },
      reasoning: { effort: 'low', budgetTokens: null, shown: true },
      metadata: { a: 'b' },
      user: 'u',
      cacheKey: 'k',
      serviceTier: 'auto',
      toolChoice: { kind: 'named', name: 'c' },
      tools: [
        { kind: 'function', name: 'f', description: 'd', schema: { type: 'object' }, strict: true },
        { kind: 'function', name: 'g', schema: null, strict: null },
        { kind: 'custom', name: 'c', grammar: GRAMMAR },
      ],
    })
  })

  it('lists what it cannot hold, at the top and inside', () => {
    const { losses } = read({
      store: true,
      truncation: 'auto',
      include: ['web_search_call.action.sources'],
      max_tool_calls: 3,
      text: { verbosity: 'low' },
      reasoning: { effort: 'extreme', context: 'all' },
      tools: [
        { type: 'web_search' },
        { type: 'local_shell' },
        { type: 'function', name: 'f', async: true },
      ],
      tool_choice: { type: 'web_search_preview' },
      input: [
        { role: 'user', content: [{ type: 'input_text', text: 'a', odd: 1 }], phase: 'commentary' },
        { type: 'web_search_call', id: 'ws' },
        { type: 'local_shell_call', id: 'ls' },
      ],
    })
    expect(losses).toEqual([
      'max_tool_calls',
      'store',
      'truncation',
      'include',
      'input[].phase',
      'input[].content[].odd',
      'input[].type=web_search_call',
      'input[].type=local_shell_call',
      'tools[].type=web_search',
      'tools[].type=local_shell',
      'tools[].async',
      'tool_choice',
      'text.verbosity',
      'reasoning.context',
      'reasoning.effort',
    ])
  })

  it('leaves out tools that are not among the allowed', () => {
    const { said } = read({
      tools: [
        { type: 'function', name: 'a' },
        { type: 'function', name: 'b' },
      ],
      tool_choice: {
        type: 'allowed_tools',
        mode: 'auto',
        tools: [{ type: 'function', name: 'b' }],
      },
    })
    expect(said.tools.map(({ name }) => name)).toEqual(['b'])
    expect(said.toolChoice).toEqual({ kind: 'auto' })
  })

  it.each([
    [{ previous_response_id: 'resp_1' }, 'previous_response_id'],
    [{ conversation: 'conv_1' }, 'conversation'],
    [{ prompt: { id: 'p' } }, 'prompt'],
    [{ background: true }, 'background'],
    [{ top_logprobs: 3 }, 'top_logprobs'],
    [{ include: ['message.output_text.logprobs'] }, 'include'],
    [{ text: { format: { type: 'grammar' } } }, 'text.format.type'],
    [{ input: [{ type: 'item_reference', id: 'x' }] }, 'input[0].type'],
    [{ input: [{ type: 'compaction', encrypted_content: 'x' }] }, 'input[0].type'],
    [{ input: [{ role: 'user', content: [{ type: 'input_video' }] }] }, 'input[0].content[0].type'],
  ])('refuses %j, which would make the answer wrong', (request, param) => {
    expect(refusal(request)).toEqual(['not_translatable', param])
  })

  it.each([
    [{ input: 1 }, 'input'],
    [{ input: [1] }, 'input[0]'],
    [{ input: [{ role: 'robot', content: 'a' }] }, 'input[0].role'],
    [{ input: [{ type: 'function_call', name: 'f' }] }, 'input[0].call_id'],
    [{ input: [{ type: 'function_call_output', output: 'f' }] }, 'input[0].call_id'],
    [{ instructions: [] }, 'instructions'],
    [{ tools: [{ type: 'function' }] }, 'tools[0].name'],
    [{ tools: 1 }, 'tools'],
    [{ tool_choice: 'maybe' }, 'tool_choice'],
    [{ reasoning: 'high' }, 'reasoning'],
    [{ text: 1 }, 'text'],
    [{ include: 'x' }, 'include'],
    [{ metadata: { a: {} } }, 'metadata'],
  ])('refuses the malformed %j', (request, param) => {
    expect(refusal(request)).toEqual(['invalid_request', param])
  })
})

describe('writing a request', () => {
  it('keeps nothing at the provider, and writes nothing that the client did not state', () => {
    expect(write({}).body).toEqual({
      model: 'm',
      input: [{ role: 'user', content: [{ type: 'input_text', text: 'hi' }] }],
      store: false,
    })
  })

  it('writes one system text as instructions, several as a message, later ones in place', () => {
    expect(write({ system: [textBlock('a')] }).body).toMatchObject({ instructions: 'a' })
    const { body } = write({
      system: [textBlock('a'), textBlock('b')],
      turns: turns(['user', [textBlock('hi')]], ['system', [textBlock('c')]]),
    })
    expect(body['instructions']).toBeUndefined()
    expect(body['input']).toEqual([
      {
        role: 'system',
        content: [
          { type: 'input_text', text: 'a' },
          { type: 'input_text', text: 'b' },
        ],
      },
      { role: 'user', content: [{ type: 'input_text', text: 'hi' }] },
      { role: 'system', content: [{ type: 'input_text', text: 'c' }] },
    ])
  })

  it('writes calls, results and reasoning as items in their place', () => {
    const { body, losses } = write({
      turns: turns(
        [
          'assistant',
          [
            thinking(),
            thinking({ signature: { value: 'reasoning_text', origin: 'own' } }),
            thinking({ text: '', redacted: true }),
            thinking({ signature: SIGNATURE }),
            textBlock('so'),
            { type: 'refusal', text: 'no' },
            call({ input: '' }),
            call({
              id: 'call_2',
              name: 'patch',
              input: '*** x',
              custom: true,
              signature: SIGNATURE,
            }),
          ],
        ],
        [
          'user',
          [
            result({ isError: true }),
            result({ callId: 'call_2', content: [textBlock('a'), picture] }),
            textBlock('next'),
          ],
        ],
      ),
    })
    expect(body['input']).toEqual([
      {
        type: 'reasoning',
        summary: [{ type: 'summary_text', text: 'hm' }],
        encrypted_content: 'S',
      },
      { type: 'reasoning', summary: [], content: [{ type: 'reasoning_text', text: 'hm' }] },
      { type: 'reasoning', summary: [], encrypted_content: 'redacted_S' },
      {
        role: 'assistant',
        content: [
          { type: 'output_text', text: 'so' },
          { type: 'refusal', refusal: 'no' },
        ],
      },
      { type: 'function_call', call_id: 'call_1', name: 'weather', arguments: '{}' },
      { type: 'custom_tool_call', call_id: 'call_2', name: 'patch', input: '*** x' },
      { type: 'function_call_output', call_id: 'call_1', output: 'sunny' },
      {
        type: 'custom_tool_call_output',
        call_id: 'call_2',
        output: [
          { type: 'input_text', text: 'a' },
          { type: 'input_image', image_url: 'data:image/png;base64,AAAA', detail: 'high' },
        ],
      },
      { role: 'user', content: [{ type: 'input_text', text: 'next' }] },
    ])
    expect(losses).toEqual(['messages[].thinking', 'tool_call.signature', 'tool_result.is_error'])
  })

  it('writes documents as data, addresses, ids, and as text where they are text', () => {
    const document = { type: 'document', name: null, cache: null } as const
    const { body } = write({
      turns: turns([
        'user',
        [
          { ...document, source: { kind: 'base64', mediaType: 'application/pdf', data: 'AA' } },
          { ...document, source: { kind: 'url', url: 'https://e.x/a.pdf', mediaType: null } },
          { ...document, source: { kind: 'file', id: 'file-1' }, name: 'a.pdf' },
          { ...document, source: { kind: 'text', text: 'words' } },
        ],
      ]),
    })
    expect(body['input']).toEqual([
      {
        role: 'user',
        content: [
          {
            type: 'input_file',
            filename: 'document.pdf',
            file_data: 'data:application/pdf;base64,AA',
          },
          { type: 'input_file', file_url: 'https://e.x/a.pdf' },
          { type: 'input_file', file_id: 'file-1', filename: 'a.pdf' },
          { type: 'input_text', text: 'words' },
        ],
      },
    ])
  })

  it('writes what was stated, and lists what there is no word for', () => {
    const { body, losses } = write({
      tools: [
        {
          kind: 'function',
          name: 'f',
          description: 'd',
          schema: { type: 'object' },
          strict: null,
          cache: { ttl: null },
        },
        {
          kind: 'custom',
          name: 'c',
          description: null,
          schema: null,
          strict: null,
          cache: null,
          grammar: GRAMMAR,
        },
      ],
      toolChoice: { kind: 'named', name: 'c' },
      parallelTools: false,
      sampling: {
        temperature: 0,
        topP: 1,
        topK: 3,
        frequencyPenalty: 1,
        presencePenalty: 2,
        seed: 4,
      },
      maxOutputTokens: 1,
      stop: ['a'],
      output: { kind: 'json' },
      reasoning: { effort: null, budgetTokens: 30_000, shown: true },
      user: 'u',
      metadata: { a: 'b' },
      serviceTier: 'flex',
      cacheKey: 'k',
      stream: true,
    })
    expect(body).toMatchObject({
      tools: [
        {
          type: 'function',
          name: 'f',
          description: 'd',
          parameters: { type: 'object' },
          strict: false,
        },
        { type: 'custom', name: 'c', format: { type: 'grammar', ...GRAMMAR } },
      ],
      tool_choice: { type: 'custom', name: 'c' },
      parallel_tool_calls: false,
      temperature: 0,
      top_p: 1,
      max_output_tokens: 16,
      text: { format: { type: 'json_object' } },
      reasoning: { effort: 'high', summary: 'auto' },
      include: ['reasoning.encrypted_content'],
      safety_identifier: 'u',
      metadata: { a: 'b' },
      service_tier: 'flex',
      prompt_cache_key: 'k',
      store: false,
      stream: true,
    })
    expect(losses).toEqual([
      'cache_control',
      'top_k',
      'frequency_penalty',
      'presence_penalty',
      'seed',
      'stop',
    ])
  })

  it('asks for no reasoning state where there is none', () => {
    const { body } = write({ reasoning: { effort: 'none', budgetTokens: null, shown: null } })
    expect(body['reasoning']).toEqual({ effort: 'none' })
    expect(body['include']).toBeUndefined()
  })
})

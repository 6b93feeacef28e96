import { describe, expect, it } from 'vitest'
import { fromResponses } from './from-responses.ts'

const adopt = (body: object) => {
  const adopted = fromResponses(Buffer.from(JSON.stringify(body)), 64)
  return adopted === null
    ? null
    : { body: JSON.parse(adopted.body.toString()), losses: adopted.losses }
}

describe('a Responses-shaped body at chat completions', () => {
  it('is said as a chat body', () => {
    const adopted = adopt({
      model: 'm',
      stream: true,
      instructions: 'Be brief.',
      input: [{ role: 'user', content: [{ type: 'input_text', text: 'hi' }] }],
      tools: [{ type: 'function', name: 'f', parameters: { type: 'object' } }],
      max_output_tokens: 9,
    })
    expect(adopted).toMatchObject({
      body: {
        model: 'm',
        stream: true,
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: 'hi' },
        ],
        tools: [{ type: 'function', function: { name: 'f' } }],
        max_tokens: 9,
      },
      losses: [],
    })
    expect(adopted?.body).not.toHaveProperty('stream_options')
  })

  it('lists what chat has no word for', () => {
    const adopted = adopt({
      model: 'm',
      input: 'hi',
      text: { verbosity: 'low' },
      tools: [{ type: 'custom', name: 'apply_patch' }],
    })
    expect(adopted?.losses).toEqual(
      expect.arrayContaining(['text.verbosity', 'tools[].type=custom']),
    )
  })

  it.each([{ model: 'm', messages: [], input: 'hi' }, { model: 'm' }])(
    'leaves %j alone',
    (body) => {
      expect(adopt(body)).toBeNull()
    },
  )

  it('refuses what only the provider of Responses has', () => {
    expect(() => adopt({ model: 'm', input: 'hi', previous_response_id: 'resp_1' })).toThrow(
      /previous_response_id/,
    )
  })
})

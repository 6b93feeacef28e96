import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ask, type Harness, startHarness } from '../../testing/data-plane-harness.ts'
import {
  type ScriptedUpstream,
  startScriptedUpstream,
  wholeAnswer,
} from '../../testing/scripted-upstream.ts'
import { fixture } from '../../testing/tap-replay.ts'

const CHAT = new URL('../../protocols/openai-chat/', import.meta.url)

let upstream: ScriptedUpstream
let harness: Harness

beforeEach(async () => {
  upstream = await startScriptedUpstream(({ socket }) => {
    socket.write(wholeAnswer(200, fixture(CHAT, 'whole.json')))
  })
  harness = await startHarness({
    upstreamUrl: upstream.url,
    provider: { protocol: ['openai-chat'] },
  })
})
afterEach(async () => {
  await harness.close()
  await upstream.close()
})

const post = (body: object) => ask(harness, { body: JSON.stringify(body) })
const sent = (): unknown => JSON.parse(upstream.exchanges[0]?.received.body.toString() ?? '{}')

describe('a Responses-shaped body at chat completions', () => {
  it('is said as a chat body, and answered with a chat answer', async () => {
    const answer = await post({
      model: 'm',
      instructions: 'Be brief.',
      input: [{ role: 'user', content: [{ type: 'input_text', text: 'hi' }] }],
      tools: [{ type: 'function', name: 'f', parameters: { type: 'object' } }],
      max_output_tokens: 9,
    })
    expect(answer.body.equals(fixture(CHAT, 'whole.json'))).toBe(true)
    expect(answer.headers['x-tollgate-loss']).toBeUndefined()
    expect(sent()).toMatchObject({
      model: 'm',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'hi' },
      ],
      tools: [{ type: 'function', function: { name: 'f' } }],
      max_tokens: 9,
    })
    expect(harness.records[0]).toMatchObject({ endpoint: 'chat', complete: true })
  })

  it('lists what chat has no word for', async () => {
    const custom = { type: 'custom', name: 'apply_patch' }
    const text = { verbosity: 'low' }
    const answer = await post({ model: 'm', input: 'hi', text, tools: [custom] })
    expect(answer.status).toBe(200)
    expect(answer.headers['x-tollgate-loss']).toContain('tools[].type=custom')
  })

  it.each([
    [{ model: 'm', messages: 1, input: 'hi' }, 'messages'],
    [{ model: 'm' }, 'messages'],
    [{ model: 'm', input: 'hi', previous_response_id: 'resp_1' }, 'previous_response_id'],
  ])('%j is refused for %s', async (body, param) => {
    const answer = await post(body)
    expect(answer.status).toBe(400)
    expect(JSON.parse(answer.body.toString())).toMatchObject({ error: { param } })
    expect(upstream.exchanges).toEqual([])
  })
})

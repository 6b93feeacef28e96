import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  ask,
  type Harness,
  leftovers,
  NOTHING_LEFT,
  startHarness,
} from '../../testing/data-plane-harness.ts'
import {
  type ScriptedUpstream,
  startScriptedUpstream,
  wholeAnswer,
} from '../../testing/scripted-upstream.ts'

let upstream: ScriptedUpstream
let harness: Harness
beforeAll(async () => {
  upstream = await startScriptedUpstream()
  harness = await startHarness({
    upstreamUrl: upstream.url,
    provider: { protocol: 'openai-chat' },
    keyPolicy: { models: { deny: 'secret' } },
  })
})
afterAll(async () => {
  await harness.close()
  await upstream.close()
})
beforeEach(() => {
  upstream.exchanges.length = 0
  harness.records.length = 0
})

const MESSAGES = { model: 'm', messages: [{ role: 'user', content: 'one two three four' }] }
const CONTENTS = { contents: [{ role: 'user', parts: [{ text: 'one two three four' }] }] }

describe('a count that no target makes', () => {
  it.each([
    ['/v1/messages/count_tokens', MESSAGES, 'input_tokens'],
    ['/v1beta/models/m:countTokens', CONTENTS, 'totalTokens'],
    [
      '/v1beta/models/m:countTokens',
      { generateContentRequest: { model: 'models/m', ...CONTENTS } },
      'totalTokens',
    ],
  ])('%s is made here, and says so', async (path, body, member) => {
    const answered = await ask(harness, { path, body: JSON.stringify(body) })
    expect(answered.status).toBe(200)
    expect(answered.headers['x-tollgate-estimate']).toBe('true')
    expect(answered.headers['x-tollgate-provider']).toBeUndefined()
    const counts: unknown = JSON.parse(answered.body.toString())
    expect(counts).toEqual({ [member]: expect.any(Number) })
    const count = Object.values(Object(counts))[0]
    expect(count).toBeGreaterThanOrEqual(4)
    expect(count).toBeLessThan(40)
    expect(upstream.exchanges).toEqual([])
    expect(harness.records).toMatchObject([
      { endpoint: 'count_tokens', status: 200, provider: null, attempts: [], costNanoUsd: 0 },
    ])
    expect(leftovers(harness)).toEqual(NOTHING_LEFT)
  })

  it('is made for nobody who may not use the model', async () => {
    const body = JSON.stringify({ ...MESSAGES, model: 'secret' })
    const answered = await ask(harness, { path: '/v1/messages/count_tokens', body })
    expect(answered.status).toBe(403)
  })
})

it('the provider counts where it can', async () => {
  const own = await startHarness({ upstreamUrl: upstream.url })
  upstream.play = ({ socket }) => void socket.write(wholeAnswer(200, '{"input_tokens":7}'))
  const path = '/v1/messages/count_tokens'
  const answered = await ask(own, { path, body: JSON.stringify(MESSAGES) })
  expect(answered.body.toString()).toBe('{"input_tokens":7}')
  expect(answered.headers['x-tollgate-estimate']).toBeUndefined()
  await own.close()
})

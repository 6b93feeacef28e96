import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Config, type Harness, startHarness } from '../../testing/data-plane-harness.ts'
import {
  fieldOf,
  type ScriptedUpstream,
  startScriptedUpstream,
  wholeAnswer,
} from '../../testing/scripted-upstream.ts'
import { discoverModels, probeProvider } from './probe-provider.ts'

let upstream: ScriptedUpstream
const harnesses: Harness[] = []
beforeAll(async () => {
  upstream = await startScriptedUpstream()
})
afterAll(async () => {
  for (const harness of harnesses) await harness.close()
  await upstream.close()
})
beforeEach(() => {
  upstream.exchanges.length = 0
})

async function start(provider: Config): Promise<Harness['dataPlane']> {
  const config = { policy: { default_provider: 'up' } }
  const harness = await startHarness({ upstreamUrl: upstream.url, provider, config })
  harnesses.push(harness)
  return harness.dataPlane
}

/** Answers in turn. */
function answers(...bodies: readonly (string | Buffer)[]): void {
  upstream.play = ({ socket }) => {
    const body = bodies[upstream.exchanges.length - 1] ?? ''
    socket.write(typeof body === 'string' ? wholeAnswer(200, body) : body)
  }
}

function asked(): readonly (string | undefined)[] {
  return upstream.exchanges.map(({ received }) => received.head.split(' ')[1])
}

describe('a list of models', () => {
  it.each<[string, Config, readonly string[], readonly string[]]>([
    [
      'of OpenAI',
      { protocol: 'openai-chat' },
      ['{"object":"list","data":[{"id":"b"},{"id":"a/1"},{},7,{"id":8}]}'],
      ['/v1/models'],
    ],
    [
      'without an envelope',
      { protocol: 'openai-responses' },
      ['[{"id":"b"},{"id":"a/1"}]'],
      ['/v1/models'],
    ],
    [
      'of Anthropic, in pages',
      { protocol: 'anthropic-messages', auth: { kind: 'header', name: 'x-api-key' } },
      [
        '{"data":[{"id":"b"}],"has_more":true,"last_id":"b c"}',
        '{"data":[{"id":"a/1"}],"has_more":false}',
      ],
      ['/v1/models?limit=1000', '/v1/models?limit=1000&after_id=b%20c'],
    ],
    [
      'of Gemini, in pages',
      { protocol: 'gemini', auth: { kind: 'query', name: 'key' }, credential: 'env:LOCAL_KEY' },
      ['{"models":[{"name":"models/b"}],"nextPageToken":"t+"}', '{"models":[{"name":"a/1"}]}'],
      [
        '/v1beta/models?pageSize=1000&key=local-secret',
        '/v1beta/models?pageSize=1000&pageToken=t%2B&key=local-secret',
      ],
    ],
  ])('%s', async (_, provider, pages, paths) => {
    const dataPlane = await start(provider)
    answers(...pages)
    const found = await discoverModels(dataPlane.plan(), 'up', dataPlane)
    expect(found).toMatchObject({ ok: true, status: 200, problem: null, models: ['b', 'a/1'] })
    expect(asked()).toEqual(paths)
  })

  it.each([
    ['no JSON', wholeAnswer(200, '<html>'), 'the provider answered with no list'],
    ['no list', wholeAnswer(200, '{"data":{}}'), 'the provider answered with no list'],
    ['401', wholeAnswer(401, '{}'), 'the provider refuses the credential'],
    [
      '404',
      wholeAnswer(404, '{}'),
      'the provider is reachable, but has no model list at this base URL',
    ],
    ['500', wholeAnswer(500, '{}'), 'the provider answered 500'],
    ['a redirect', wholeAnswer(302, ''), 'The provider answers with a redirect.'],
  ])('that is %s is none', async (_, answer, problem) => {
    const dataPlane = await start({ protocol: 'openai-chat' })
    answers(answer)
    const found = await discoverModels(dataPlane.plan(), 'up', dataPlane)
    expect(found).toMatchObject({ ok: false, problem, models: [] })
  })

  it('does not go on for ever', async () => {
    const dataPlane = await start({ protocol: 'gemini' })
    const page = '{"models":[{"name":"models/b"}],"nextPageToken":"t"}'
    answers(...Array.from({ length: 100 }, () => page))
    const { models } = await discoverModels(dataPlane.plan(), 'up', dataPlane)
    expect(models).toHaveLength(50)
  })
})

describe('a probe', () => {
  it('sends the credential, and takes any success', async () => {
    const dataPlane = await start({ protocol: 'openai-chat' })
    answers('not a list')
    const probe = await probeProvider(dataPlane.plan(), 'up', dataPlane)
    expect(probe).toMatchObject({ provider: 'up', ok: true, status: 200, problem: null })
    expect(probe).not.toHaveProperty('models')
    const [exchange] = upstream.exchanges
    expect(exchange && fieldOf(exchange.received, 'authorization')).toBe('Bearer local-secret')
  })

  it('knows no provider of another name', async () => {
    const dataPlane = await start({ protocol: 'openai-chat' })
    const probe = await probeProvider(dataPlane.plan(), 'nope', dataPlane)
    expect(probe).toMatchObject({ ok: false, status: null })
  })
})

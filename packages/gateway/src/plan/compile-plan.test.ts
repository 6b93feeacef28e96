import { describe, expect, it } from 'vitest'
import { CATALOGUE, testPlan } from './testing/plan-fixtures.ts'

const LOCAL = {
  protocol: 'openai-chat',
  base_url: 'http://127.0.0.1:9901/v1',
  credential: 'env:LOCAL_KEY',
  allow_private: true,
}

describe('compilePlan', () => {
  it('fills a provider from the catalogue and prepares its headers', () => {
    const acme = testPlan({ providers: { acme: {} } }).providers.get('acme')
    expect(acme).toMatchObject({
      origin: 'https://api.acme.test',
      basePath: '/v1',
      credential: 'acme-secret',
      credentialMissing: null,
      headers: { 'x-static': 'one', authorization: 'Bearer acme-secret' },
      failures: { 418: 'overloaded' },
      timeouts: { connectMs: 5_000, firstByteMs: 300_000, idleMs: 300_000, totalMs: 600_000 },
    })
  })

  it("lays the operator's fields over the catalogue's, one by one", () => {
    const acme = testPlan({
      providers: {
        acme: {
          base_url: 'https://eu.acme.test/',
          headers: { 'X-Static': 'two', 'x-more': 'yes' },
          failures: { 419: 'rate_limited' },
          timeouts: { idle: '1s' },
          query: { 'api-version': '2024-10-21' },
        },
      },
    }).providers.get('acme')
    expect(acme).toMatchObject({
      origin: 'https://eu.acme.test',
      basePath: '',
      query: '?api-version=2024-10-21',
      headers: { 'x-static': 'two', 'x-more': 'yes', authorization: 'Bearer acme-secret' },
      failures: { 418: 'overloaded', 419: 'rate_limited' },
      timeouts: { connectMs: 5_000, idleMs: 1_000 },
    })
  })

  it('keeps a missing credential as missing', () => {
    const acme = testPlan({ providers: { acme: {} } }, { env: {} }).providers.get('acme')
    expect(acme?.credentialMissing).toBe('env:ACME_KEY')
    expect(acme?.headers).toEqual({ 'x-static': 'one' })
    const named = testPlan({ providers: { acme: { credential: 'env:NOT_SET' } } })
    expect(named.providers.get('acme')?.credentialMissing).toBe('env:NOT_SET')
    const none = testPlan({ providers: { acme: { credential: 'none' } } }).providers.get('acme')
    expect([none?.credentialMissing, none?.auth]).toEqual([null, { kind: 'none' }])
  })

  it('sends a credential as the protocol of an unknown provider wants it', () => {
    const plan = testPlan({
      providers: {
        chat: LOCAL,
        messages: { ...LOCAL, protocol: 'anthropic-messages' },
        own: { ...LOCAL, auth: { kind: 'header', name: 'Api-Key' } },
      },
    })
    expect(plan.providers.get('chat')?.headers).toEqual({ authorization: 'Bearer local-secret' })
    expect(plan.providers.get('messages')?.headers).toEqual({
      'anthropic-version': '2023-06-01',
      'x-api-key': 'local-secret',
    })
    expect(plan.providers.get('own')?.headers).toEqual({ 'api-key': 'local-secret' })
  })

  it('fills templates, and an entry may extend another', () => {
    const plan = testPlan({
      providers: { eu: { extends: 'regional', params: { resource: 'res', region: 'eu-1' } } },
    })
    expect(plan.providers.get('eu')).toMatchObject({
      origin: 'https://res.acme.test',
      basePath: '/eu-1',
      paths: { chat: '/eu-1/{model}/chat' },
    })
  })

  it.each<[string, Record<string, unknown>, RegExp]>([
    [
      'an unknown target provider',
      { providers: { acme: {} }, models: { m: { targets: [{ provider: 'acmee' }] } } },
      /^models\.m\.targets\[0\]\.provider: no provider "acmee".*"acme"/,
    ],
    [
      'no protocol',
      { providers: { own: { base_url: 'http://x' } } },
      /^providers\.own\.protocol: is required/,
    ],
    [
      'no base URL',
      { providers: { own: { protocol: 'openai-chat' } } },
      /^providers\.own\.base_url: is required/,
    ],
    [
      'a missing part',
      { providers: { regional: { params: { region: 'a' } } } },
      /^providers\.regional\.params\.resource: is required/,
    ],
    [
      'an unknown entry',
      { providers: { x: { extends: 'acne' } } },
      /^providers\.x\.extends: .*"acme"/,
    ],
    [
      'an unavailable entry',
      { providers: { later: {} } },
      /^providers\.later: not available in this version: needs request signing/,
    ],
    [
      'a price of unknown output',
      {
        providers: { chat: LOCAL },
        models: { m: { targets: [{ provider: 'chat' }], price: { input: 1 } } },
      },
      /^models\.m\.price\.output: is required/,
    ],
    [
      'seven decimals',
      {
        providers: { chat: LOCAL },
        models: { m: { targets: [{ provider: 'chat' }], price: { input: 0.0000001, output: 1 } } },
      },
      /^models\.m\.price\.input: .*six decimals/,
    ],
    [
      'an unknown default provider',
      { policy: { default_provider: 'x' } },
      /^policy\.default_provider: no provider "x"/,
    ],
    [
      'an unknown entry provider',
      { policies: { p: { providers: { x: {} } } } },
      /^policies\.p\.providers\[0\]\.provider/,
    ],
    [
      'a limit for a provider that nobody knows',
      {
        policy: {
          limits: [
            {
              scope: 'global',
              unit: 'usd',
              algorithm: 'lifetime',
              amount: 1,
              match: { providers: 'opnai' },
            },
          ],
        },
      },
      /^policy\.limits\[0\]\.match\.providers: no provider "opnai"/,
    ],
    [
      'a looser team',
      { policy: { max_output_tokens: 10 }, teams: { t: { policy: { max_output_tokens: 11 } } } },
      /^teams\.t\.policy\.max_output_tokens: 11 is looser than 10, which policy sets/,
    ],
    [
      'a key with an unknown policy',
      { virtual_keys: [{ name: 'k', hash: 'a'.repeat(64), policies: ['nope'] }] },
      /^virtual_keys\[0\]\.policies\[0\]: no policy "nope"/,
    ],
    [
      'a looser key',
      {
        policy: {
          limits: [{ id: 'a', scope: 'key', unit: 'usd', algorithm: 'lifetime', amount: 1 }],
        },
        virtual_keys: [
          {
            name: 'k',
            hash: 'a'.repeat(64),
            policy: {
              limits: [{ id: 'a', scope: 'key', unit: 'usd', algorithm: 'lifetime', amount: 2 }],
            },
          },
        ],
      },
      /^virtual_keys\[0\]\.policy\.limits\.a: amount 2 is more than the inherited 1/,
    ],
  ])('refuses %s', (_name, config, message) => {
    expect(() => testPlan(config)).toThrow(message)
  })

  it('compiles targets with prices to the pico-dollar', () => {
    const plan = testPlan({
      providers: { acme: {}, chat: LOCAL },
      models: {
        fast: {
          targets: [
            { provider: 'acme', model: 'acme-1', price: { output: 0.7 } },
            {
              provider: 'chat',
              model: 'x',
              price: { input: 0.15, output: 0.6, cache_read: 0.075 },
            },
            { provider: 'chat', model: 'free', price: { input: 0, output: 0 } },
          ],
          context: 1000,
        },
        plain: { targets: [{ provider: 'chat' }] },
      },
    })
    const [first, second, free] = plan.models.get('fast')?.targets ?? []
    expect(first?.price?.base).toMatchObject({
      inputPicoUsd: 150_000,
      outputPicoUsd: 700_000,
      cacheReadPicoUsd: 75_000,
    })
    expect(second?.price?.base).toEqual({
      inputPicoUsd: 150_000,
      outputPicoUsd: 600_000,
      cacheReadPicoUsd: 75_000,
      cacheWrite5mPicoUsd: 150_000,
      cacheWrite1hPicoUsd: 150_000,
      reasoningPicoUsd: null,
    })
    expect(free?.price?.base.outputPicoUsd).toBe(0)
    expect([first?.id, second?.contextTokens, second?.maxOutputTokens]).toEqual([
      'acme/acme-1',
      1000,
      1000,
    ])
    expect(plan.models.get('plain')?.targets[0]).toMatchObject({
      id: 'chat/plain',
      price: null,
      maxOutputTokens: 16_384,
    })
  })

  it('inherits what a tier leaves out', () => {
    const price = testPlan({
      providers: { chat: LOCAL },
      models: {
        m: {
          targets: [{ provider: 'chat' }],
          price: {
            input: 1,
            output: 2,
            tiers: [
              { above_input_tokens: 400, output: 5 },
              { above_input_tokens: 200, input: 3 },
            ],
          },
        },
      },
    }).models.get('m')?.targets[0]?.price
    expect(
      price?.tiers.map(({ aboveInputTokens, rates }) => [
        aboveInputTokens,
        rates.inputPicoUsd,
        rates.outputPicoUsd,
      ]),
    ).toEqual([
      [200, 3_000_000, 2_000_000],
      [400, 3_000_000, 5_000_000],
    ])
  })

  it('takes the strategy of the model, else that of routing, else the written order', () => {
    const targets = [
      { provider: 'chat', model: 'a', weight: 3 },
      { provider: 'chat', model: 'b', weight: 1 },
    ]
    const strategies = (routing: Readonly<Record<string, unknown>>): readonly unknown[] => {
      const models = { w: { strategy: 'weighted', targets }, p: { targets } }
      const plan = testPlan({ providers: { chat: LOCAL }, models, routing })
      return ['w', 'p'].map((name) => plan.models.get(name)?.strategy)
    }
    expect(strategies({})).toEqual(['weighted', 'priority'])
    expect(strategies({ strategy: 'latency' })).toEqual(['weighted', 'latency'])
  })

  it('has an anonymous caller only where no key is required', () => {
    expect(testPlan({}).anonymous).toBeNull()
    const open = testPlan({ keys: { required: false }, policy: { max_output_tokens: 5 } })
    expect(open.anonymous?.policy.maxOutputTokens).toBe(5)
  })

  it('refuses a secret with a line break', () => {
    expect(() => testPlan({ providers: { acme: {} } }, { env: { ACME_KEY: 'a\r\nx: y' } })).toThrow(
      /^providers\.acme\.credential/,
    )
    expect(CATALOGUE.size).toBeGreaterThan(0)
  })
})

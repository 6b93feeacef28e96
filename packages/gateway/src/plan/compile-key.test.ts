import { describe, expect, it } from 'vitest'
import type { KeyRecord } from '../contracts/key.ts'
import { checkKey, compileKey } from './compile-key.ts'
import { explainPolicy } from './explain-policy.ts'
import { testKey, testPlan } from './testing/plan-fixtures.ts'

const POLICY = {
  limits: [
    { id: 'team-day', scope: 'team', unit: 'usd', algorithm: 'fixed', amount: 50, window: '24h' },
    {
      id: 'key-rpm',
      scope: 'key',
      unit: 'requests',
      algorithm: 'sliding',
      amount: 60,
      window: '1m',
    },
    {
      id: 'user-bucket',
      scope: 'user',
      unit: 'tokens',
      algorithm: 'bucket',
      capacity: 5000,
      refill_per_sec: 25,
    },
    { id: 'ip', scope: 'ip', unit: 'requests', algorithm: 'sliding', amount: 5, window: '1s' },
    { id: 'project', scope: 'tag:project', unit: 'tokens', algorithm: 'lifetime', amount: 9 },
    {
      id: 'acme',
      scope: 'key',
      unit: 'tokens',
      algorithm: 'lifetime',
      amount: 9,
      match: { providers: 'acme' },
    },
  ],
}

describe('compileKey', () => {
  it('charges the scopes that the key names and keeps for later what the request decides', () => {
    const { policies } = testPlan({ policy: POLICY })
    const key = compileKey(
      testKey({
        subject: { team: 'research', rolegroup: null, role: null, user: null },
        metadata: { project: 'x' },
      }),
      policies,
    )
    expect(
      key.charges.map(({ limit, value, counterKey }) => [limit.id, value, counterKey]),
    ).toEqual([
      ['team-day', 'research', 'team-day|team|research'],
      ['key-rpm', 'key_1', 'key-rpm|key|key_1'],
      ['project', 'x', 'project|tag:project|x'],
    ])
    expect(key.lateLimits.map(({ id }) => id)).toEqual(['ip', 'acme'])
    expect([key.hasTokenLimit, key.hasUsdLimit]).toEqual([true, true])
    expect(key.charges[0]?.limit.algorithm).toMatchObject({
      kind: 'fixed',
      amount: 50_000_000_000,
      align: 'clock',
    })
  })

  it('waits for the headers when they are trusted', () => {
    const { policies } = testPlan({ policy: POLICY })
    const key = compileKey(
      testKey({
        policy: { trust_scope_headers: true },
        subject: { team: 't', rolegroup: null, role: null, user: 'u' },
      }),
      policies,
    )
    expect(key.lateLimits.map(({ id }) => id)).toEqual(['team-day', 'user-bucket', 'ip', 'acme'])
  })

  it('does not take an inherited member for metadata', () => {
    const { policies } = testPlan({
      policy: {
        limits: [
          { id: 'c', scope: 'tag:constructor', unit: 'tokens', algorithm: 'lifetime', amount: 1 },
        ],
      },
    })
    expect(compileKey(testKey(), policies).charges).toEqual([])
  })

  it('turns every shorthand into a limit', () => {
    const key = compileKey(
      testKey({
        policy: {
          max_tokens: 1000,
          rate_limit: {
            rules: [{ requests: 10 }, { tokens: 500, window: '1h', strategy: 'fixed' }],
            max_parallel: 3,
          },
          budget: { hourly: 0.5, daily: 2, monthly: 30 },
          monthly_budget_usd: 20,
          rate_limit_rps: 7,
          limits: [{ scope: 'user', capacity: 1000, refillPerSec: 5 }],
        },
        subject: { team: null, rolegroup: null, role: null, user: 'u' },
      }),
      testPlan({}).policies,
    )
    const month = { kind: 'months', months: 1, text: '1mo' }
    expect(
      key.policy.limits.map(({ id, scope, unit, algorithm }) => [id, scope, unit, algorithm]),
    ).toEqual([
      ['user-tokens-bucket', 'user', 'tokens', { kind: 'bucket', capacity: 1000, refillPerSec: 5 }],
      ['max_tokens', 'key', 'tokens', { kind: 'lifetime', amount: 1000 }],
      [
        'rate_limit.requests.1m',
        'key',
        'requests',
        { kind: 'sliding', amount: 10, window: ms(60_000, '1m') },
      ],
      [
        'rate_limit.tokens.1h',
        'key',
        'tokens',
        { kind: 'fixed', amount: 500, window: ms(3_600_000, '1h'), align: 'first_use' },
      ],
      ['rate_limit.max_parallel', 'key', 'concurrent', { kind: 'concurrent', amount: 3 }],
      [
        'budget.hourly',
        'key',
        'usd',
        { kind: 'fixed', amount: 500_000_000, window: ms(3_600_000, '1h'), align: 'clock' },
      ],
      [
        'budget.daily',
        'key',
        'usd',
        { kind: 'fixed', amount: 2_000_000_000, window: ms(86_400_000, '24h'), align: 'clock' },
      ],
      [
        'budget.monthly',
        'key',
        'usd',
        { kind: 'fixed', amount: 30_000_000_000, window: month, align: 'clock' },
      ],
      [
        'monthly_budget_usd',
        'key',
        'usd',
        { kind: 'fixed', amount: 20_000_000_000, window: month, align: 'clock' },
      ],
      ['rate_limit_rps', 'key', 'requests', { kind: 'bucket', capacity: 14, refillPerSec: 7 }],
    ])
    expect(key.policy.limits[0]).toMatchObject({
      mode: 'enforce',
      reserve: 'max',
      whenShort: 'shrink',
      minOutputTokens: 256,
      alerts: [],
    })
  })

  it('matches models by allow and deny', () => {
    const { policies } = testPlan({ policy: { models: { allow: 'gpt-*', deny: ['gpt-4-32k'] } } })
    const { policy } = compileKey(
      testKey({ policy: { models: ['*-mini', 'gpt-4-32k'] } }),
      policies,
    )
    const asked = ['gpt-4o-mini', 'GPT-4o-Mini', 'gpt-4o', 'o1-mini', 'gpt-4-32k']
    expect(asked.map((name) => policy.modelAllowed?.(name))).toEqual([
      true,
      true,
      false,
      false,
      false,
    ])
    expect(policy.modelDenied?.('gpt-4-32K')).toBe(true)
    expect(compileKey(testKey(), testPlan({}).policies).policy.modelAllowed).toBeNull()
  })

  it('merges provider entries on top, the first match first', () => {
    const { policies } = testPlan({
      providers: { acme: {} },
      policy: { providers: [{ provider: 'acme', max_output_tokens: 10 }] },
    })
    const { policy } = compileKey(
      testKey({
        policy: { max_tokens: 5, providers: { groq: [{ model_regex: '^llama', max_tokens: 3 }] } },
      }),
      policies,
    )
    const [first, second] = policy.providerEntries
    expect([first?.provider, first?.matches?.('llama-3'), first?.matches?.('gpt')]).toEqual([
      'groq',
      true,
      false,
    ])
    expect(first?.policy.limits.map(({ algorithm }) => algorithm)).toEqual([
      { kind: 'lifetime', amount: 3 },
    ])
    expect(first?.charges.map(({ counterKey }) => counterKey)).toEqual(['max_tokens|key|key_1'])
    expect([second?.provider, second?.matches, second?.policy.maxOutputTokens]).toEqual([
      'acme',
      null,
      10,
    ])
  })

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['an invalid policy', { policy: { limts: [] } }, /^policy\.limts: unknown key "limts"/],
    [
      'an unknown policy',
      { policies: ['contracter'] },
      /^policies\[0\]: no policy "contracter".*"contractor"/,
    ],
  ])('refuses %s', (_name, over, message) => {
    const { policies } = testPlan({ policies: { contractor: {} } })
    expect(() => compileKey({ ...testKey(), ...over }, policies)).toThrow(message)
  })
})

describe('checkKey', () => {
  const { policies } = testPlan({
    policy: {
      limits: POLICY.limits,
      max_output_tokens: 100,
      max_input_tokens: 100,
      trust_scope_headers: false,
      overridable: ['max_input_tokens', 'limits.user-bucket'],
    },
  })
  const rpm = POLICY.limits[1]
  it.each<[string, Record<string, unknown>, readonly string[]]>([
    ['stricter values', { max_output_tokens: 50, limits: [{ ...rpm, amount: 30 }] }, []],
    ['a looser cap', { max_output_tokens: 101 }, ['max_output_tokens']],
    ['an opened field', { max_input_tokens: 1000 }, []],
    ['an opened limit', { limits: [{ ...POLICY.limits[2], capacity: 9999 }] }, []],
    ['a looser amount', { limits: [{ ...rpm, amount: 61 }] }, ['limits.key-rpm']],
    ['another window', { limits: [{ ...rpm, window: '1h' }] }, ['limits.key-rpm']],
    ['a softer mode', { limits: [{ ...rpm, mode: 'shadow' }] }, ['limits.key-rpm']],
    ['a narrower match', { limits: [{ ...rpm, match: { models: 'x' } }] }, ['limits.key-rpm']],
    ['trusted headers', { trust_scope_headers: true }, ['trust_scope_headers']],
    ['unpriced models under a budget', { unpriced: 'allow' }, ['unpriced']],
    ['a looser provider entry', { providers: [{ max_output_tokens: 500 }] }, ['max_output_tokens']],
    ['a new limit', { limits: [{ ...rpm, id: 'mine' }] }, []],
  ])('%s', (_name, policy, fields) => {
    expect(checkKey(testKey({ policy }), policies).map(({ field }) => field)).toEqual(fields)
  })

  it('enforces both when a parent was tightened after the key was made', () => {
    const key = compileKey(
      testKey({ policy: { max_output_tokens: 500, limits: [{ ...rpm, window: '1h' }] } }),
      policies,
    )
    expect(key.policy.maxOutputTokens).toBe(100)
    expect(key.policy.limits.map(({ id }) => id)).toContain('key-rpm')
    expect(key.policy.limits.map(({ id }) => id)).toContain('key-rpm@key')
  })

  it('does not let a middle layer open what it inherited closed', () => {
    const chain = testPlan({
      policy: { max_output_tokens: 100, limits: [rpm] },
      teams: {
        t: {
          policy: {
            max_output_tokens: 50,
            limits: [{ ...rpm, amount: 10 }],
            overridable: ['max_output_tokens', 'limits'],
          },
        },
      },
    }).policies
    expect(
      checkKey(inTeam({ max_output_tokens: 80, limits: [{ ...rpm, amount: 50 }] }), chain),
    ).toEqual([])
    const tooFar = inTeam({ max_output_tokens: 101, limits: [{ ...rpm, amount: 61 }] })
    expect(checkKey(tooFar, chain).map(({ field }) => field)).toEqual([
      'limits.key-rpm',
      'max_output_tokens',
    ])
  })
})

describe('explainPolicy', () => {
  it('names the source of every field', () => {
    const { policies } = testPlan({
      policy: { max_output_tokens: 100, models: { allow: ['a*'] } },
      teams: { t: { policy: { max_tokens: 10 } } },
      policies: { p: { metadata: { tier: 'one' } } },
    })
    const record = testKey({
      subject: { team: 't', rolegroup: null, role: null, user: null },
      policies: ['p'],
      policy: {
        max_output_tokens: 10,
        models: ['ab'],
        providers: [{ match: { models: 'ab' }, provider: 'acme' }],
      },
    })
    const explained = explainPolicy(record, policies, 'ab')
    expect(explained.layers).toEqual(['policy', 'teams.t', 'policies.p', 'key'])
    expect(explained.model).toEqual({ name: 'ab', allowed: true, entry: 'key.providers.acme' })
    expect(explained.fields).toEqual([
      { field: 'models.allow', value: { all_of: [['a*'], ['ab']] }, from: ['policy', 'key'] },
      { field: 'max_output_tokens', value: 10, from: ['policy', 'key'] },
      { field: 'metadata.tier', value: 'one', from: ['policies.p'] },
      {
        field: 'limits.max_tokens',
        value: { scope: 'key', unit: 'tokens', algorithm: 'lifetime', amount: 10 },
        from: ['teams.t'],
      },
      {
        field: 'providers[0]',
        value: { match: { models: 'ab' }, provider: 'acme' },
        from: ['key'],
      },
    ])
  })
})

function ms(value: number, text: string): Record<string, unknown> {
  return { kind: 'duration', ms: value, text }
}

function inTeam(policy: Record<string, unknown>): KeyRecord {
  return testKey({ subject: { team: 't', rolegroup: null, role: null, user: null }, policy })
}

import { describe, expect, it } from 'vitest'
import { loadConfig } from './load-config.ts'

function limitsOf(env: Record<string, string>, overrides: Record<string, unknown> = {}): unknown {
  return loadConfig({ env, cwd: '/nonexistent', overrides }).config.policy.limits
}

describe('limits of other gateways in the environment', () => {
  it('makes a bucket for each scope that is set', () => {
    expect(limitsOf({ CAP_USER: '100', RATE_USER: '2.5', CAP_TEAM: '900' })).toEqual([
      {
        id: 'tokenguard.team',
        scope: 'team',
        unit: 'tokens',
        algorithm: 'bucket',
        capacity: 900,
        refill_per_sec: 5,
      },
      {
        id: 'tokenguard.user',
        scope: 'user',
        unit: 'tokens',
        algorithm: 'bucket',
        capacity: 100,
        refill_per_sec: 2.5,
      },
    ])
  })

  it('limits everybody together only when that is enforced', () => {
    expect(limitsOf({ CAP_GLOBAL: '100' })).toBeUndefined()
    const env = { CAP_GLOBAL: '100', BUCKET_REFILL_PER_SEC: '7', ENFORCE_GLOBAL_SCOPE: 'yes' }
    expect(limitsOf(env)).toMatchObject([{ scope: 'global', capacity: 100, refill_per_sec: 7 }])
  })

  it('limits each address', () => {
    expect(limitsOf({ TOKENHUB_RATE_LIMIT_RPS: '60' })).toMatchObject([
      { id: 'tokenhub.ip', scope: 'ip', unit: 'requests', capacity: 120, refill_per_sec: 60 },
    ])
  })

  it('leaves the file its own', () => {
    const own = {
      id: 'tokenguard.user',
      scope: 'user',
      unit: 'tokens',
      capacity: 1,
      refill_per_sec: 0,
    }
    expect(limitsOf({ CAP_USER: '5' }, { policy: { limits: [own] } })).toEqual([own])
  })

  it('refuses what is no number', () => {
    expect(() => limitsOf({ CAP_USER: '-5' })).toThrow('CAP_USER')
    expect(() => limitsOf({ RATE_USER: 'NaN' })).toThrow('RATE_USER')
  })
})

describe('amounts per value', () => {
  it.each([
    [{ values: { alice: {} } }, 'algorithm'],
    [{ algorithm: 'bucket', unit: 'tokens', values: { alice: { capacity: 5 } } }, 'refill_per_sec'],
    [{ algorithm: 'lifetime', unit: 'tokens', values: { alice: { capacity: 5 } } }, 'capacity'],
    [
      { algorithm: 'lifetime', unit: 'tokens', amount: 5, values: { alice: { amount: 1.5 } } },
      'whole',
    ],
  ])('refuses %j', (limit, problem) => {
    const policy = { limits: [{ scope: 'user', ...limit }] }
    expect(() => limitsOf({}, { policy })).toThrow(problem)
  })
})

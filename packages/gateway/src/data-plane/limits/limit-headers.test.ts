import { describe, expect, it } from 'vitest'
import type { LimitPlan, LimitState } from '../../contracts/limit.ts'
import {
  bucket,
  concurrent,
  fixed,
  lifetime,
  limitOf,
  MINUTE,
  MONTH,
  sliding,
} from '../../testing/gate-fixtures.ts'
import { limitHeaders } from './limit-headers.ts'

const NOW_MS = Date.UTC(2026, 2, 10, 10)

function stateOf(limit: LimitPlan, fields: Partial<LimitState> = {}): LimitState {
  return { limit, value: 'k1', used: 10, reserved: 5, amount: 60, resetsAtMs: null, ...fields }
}

function policyOf(...states: LimitState[]): string | undefined {
  return limitHeaders(states, NOW_MS)[1]
}

describe('limitHeaders', () => {
  it('has one item per limit in both fields', () => {
    const rpm = limitOf(sliding(60, MINUTE), { id: 'key-rpm', unit: 'requests' })
    const tokens = limitOf(bucket(5_000, 25), { id: 'user-bucket' })
    const states = [
      stateOf(rpm, { resetsAtMs: NOW_MS + 29_001 }),
      stateOf(tokens, { amount: 5_000, used: 6_000, resetsAtMs: NOW_MS - 1 }),
    ]
    expect(limitHeaders(states, NOW_MS)).toEqual([
      'ratelimit-policy',
      '"key-rpm";q=60;w=60, "user-bucket";q=5000;w=200;qu="tokens"',
      'ratelimit',
      '"key-rpm";r=45;t=30, "user-bucket";r=0;t=0',
    ])
  })

  it.each([
    [limitOf(lifetime(1)), '"lifetime";q=60;qu="tokens"'],
    [limitOf(concurrent(1), { unit: 'concurrent' }), '"concurrent";q=60;qu="concurrent-requests"'],
    [limitOf(fixed(1, MONTH), { unit: 'usd' }), '"fixed";q=60;w=2592000;qu="nano-usd"'],
    [limitOf(bucket(1, 0)), '"bucket";q=60;qu="tokens"'],
    [limitOf(lifetime(1), { id: 'a"b\\c\u00e9\n' }), '"a\\"b\\\\c??";q=60;qu="tokens"'],
  ])('writes %j as a structured field', (limit, policy) => {
    expect(limitHeaders([stateOf(limit)], NOW_MS)[1]).toBe(policy)
  })

  it('clamps integers to what structured fields allow', () => {
    const state = stateOf(limitOf(lifetime(1)), { amount: 2 ** 53 - 1 })
    expect(limitHeaders([state], NOW_MS)[3]).toBe('"lifetime";r=999999999999999')
  })

  it('tells each set of limits that share their first, and an amount that has changed', () => {
    const rpm = stateOf(limitOf(sliding(60, MINUTE), { id: 'rpm', unit: 'requests' }))
    const tokens = stateOf(limitOf(lifetime(1), { id: 'tokens' }))
    const both = '"rpm";q=60;w=60, "tokens";q=60;qu="tokens"'
    expect(policyOf(rpm, tokens)).toBe(both)
    expect(policyOf(rpm)).toBe('"rpm";q=60;w=60')
    expect(policyOf(rpm, tokens)).toBe(both)
    expect(policyOf(rpm, { ...tokens, amount: 61 })).toBe(both.replace('q=60;qu', 'q=61;qu'))
    expect(policyOf(rpm, rpm)).toBe('"rpm";q=60;w=60, "rpm";q=60;w=60')
  })

  it('is empty without limits', () => {
    expect(limitHeaders([], NOW_MS)).toEqual([])
  })
})

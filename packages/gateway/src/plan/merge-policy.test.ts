import { array, assert, constantFrom, type Arbitrary, integer, property, record } from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LimitConfig, PolicyConfig } from '../config/policy-config.ts'
import { compilePolicy } from './compile-policy.ts'
import { looserThan } from './looser-limit.ts'
import { mergePolicies } from './merge-policy.ts'

const limit: Arbitrary<LimitConfig> = record({
  id: constantFrom('a', 'b', 'c'),
  scope: constantFrom('key', 'team'),
  unit: constantFrom('requests', 'usd'),
  algorithm: constantFrom('sliding'),
  amount: integer({ min: 0, max: 20 }),
  window: constantFrom('1m', '1h'),
  mode: constantFrom('enforce', 'warn', 'shadow'),
})
const policy: Arbitrary<PolicyConfig> = record(
  {
    models: record(
      { allow: array(constantFrom('x*', 'xy', '*y', 'z')), deny: array(constantFrom('xy', 'z')) },
      { requiredKeys: [] },
    ),
    endpoints: array(constantFrom('chat', 'models', 'messages')),
    max_output_tokens: integer({ min: 1, max: 9 }),
    max_cost_per_request: integer({ min: 1, max: 9 }),
    unpriced: constantFrom('deny', 'allow'),
    ip_allow: array(constantFrom('10.0.0.0/8', '10.1.0.0/16', '0.0.0.0/0')),
    limits: array(limit, { maxLength: 3 }),
  },
  { requiredKeys: [] },
)
const NAMES = ['x', 'xy', 'xyz', 'y', 'z', 'q']

describe('mergePolicies', () => {
  it('is never looser than any layer, when nothing is overridable', () => {
    assert(
      property(array(policy, { minLength: 1, maxLength: 4 }), (policies) => {
        const layers = policies.map((one, i) => ({ from: `layer${i}`, policy: one }))
        const merged = mergePolicies(layers)
        const whole = compilePolicy(merged)
        for (const layer of layers) {
          const alone = compilePolicy(mergePolicies([layer]))
          for (const name of NAMES) {
            if (alone.modelAllowed?.(name) === false) expect(whole.modelAllowed?.(name)).toBe(false)
          }
          expect(whole.maxOutputTokens ?? Infinity).toBeLessThanOrEqual(
            alone.maxOutputTokens ?? Infinity,
          )
          expect(whole.maxCostPerRequestNanoUsd ?? Infinity).toBeLessThanOrEqual(
            alone.maxCostPerRequestNanoUsd ?? Infinity,
          )
          if (alone.unpriced === 'deny') expect(whole.unpriced).toBe('deny')
          for (const name of whole.endpoints ?? [])
            expect(alone.endpoints?.has(name) ?? true).toBe(true)
          expect(alone.ipAllow === null || whole.ipAllow !== null).toBe(true)
          for (const { value } of mergePolicies([layer]).limits) {
            if (repeated(layer.policy)) continue
            const held = merged.limits.some(
              (one) => looserThan(value, { ...one.value, id: value.id }) === null,
            )
            expect(held).toBe(true)
          }
        }
      }),
      { numRuns: 2_000 },
    )
  })

  it('gives each limit its own id, so that no two share a counter', () => {
    assert(
      property(array(policy, { maxLength: 4 }), (policies) => {
        const valid = policies.filter((one) => !repeated(one))
        const merged = mergePolicies(valid.map((one, i) => ({ from: `layer${i}`, policy: one })))
        const ids = merged.limits.map(({ value }) => value.id)
        expect(new Set(ids).size).toBe(ids.length)
      }),
    )
  })

  it('replaces what an earlier layer opened', () => {
    const merged = mergePolicies([
      {
        from: 'policy',
        policy: {
          models: ['a'],
          max_output_tokens: 1,
          overridable: ['models.allow', 'max_output_tokens'],
        },
      },
      { from: 'key', policy: { models: ['b'], max_output_tokens: 2 } },
    ])
    const plan = compilePolicy(merged)
    expect([plan.modelAllowed?.('a'), plan.modelAllowed?.('b'), plan.maxOutputTokens]).toEqual([
      false,
      true,
      2,
    ])
    expect(merged.conflicts).toEqual([])
  })
})

/** The schema refuses these. */
function repeated(one: PolicyConfig): boolean {
  const ids = (one.limits ?? []).map(({ id }) => id)
  return new Set(ids).size !== ids.length
}

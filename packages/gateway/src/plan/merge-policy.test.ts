import { array, assert, constantFrom, type Arbitrary, integer, property, record } from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { FullLimit } from '../config/limit-shorthands.ts'
import type { LimitConfig, PolicyConfig } from '../config/policy-config.ts'
import { compilePolicy } from './compile-policy.ts'
import { looserThan } from './looser-limit.ts'
import { mergePolicies, type MergedPolicy } from './merge-policy.ts'

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
          expect(looserNumbers(whole, compilePolicy(mergePolicies([layer])))).toEqual([])
          expect(looserLists(whole, compilePolicy(mergePolicies([layer])))).toEqual([])
          const dropped = repeated(layer.policy)
            ? []
            : mergePolicies([layer]).limits.filter(({ value }) => !isHeld(value, merged))
          expect(dropped).toEqual([])
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

type Compiled = ReturnType<typeof compilePolicy>

function looserNumbers(whole: Compiled, alone: Compiled): readonly string[] {
  return (['maxOutputTokens', 'maxInputTokens', 'maxCostPerRequestNanoUsd'] as const).filter(
    (field) => (whole[field] ?? Infinity) > (alone[field] ?? Infinity),
  )
}

function looserLists(whole: Compiled, alone: Compiled): readonly string[] {
  const refused = (one: Compiled, name: string): boolean => one.modelAllowed?.(name) === false
  const looser = NAMES.filter((name) => refused(alone, name) && !refused(whole, name))
  const endpoints = [...(whole.endpoints ?? [])].filter(
    (name) => alone.endpoints?.has(name) === false,
  )
  looser.push(...endpoints)
  if (alone.endpoints !== null && whole.endpoints === null) looser.push('endpoints')
  if (alone.ipAllow !== null && whole.ipAllow === null) looser.push('ip_allow')
  if (alone.unpriced === 'deny' && whole.unpriced !== 'deny') looser.push('unpriced')
  return looser
}

function isHeld(wanted: FullLimit, merged: MergedPolicy): boolean {
  return merged.limits.some(({ value }) => looserThan(wanted, { ...value, id: wanted.id }) === null)
}

/** The schema refuses these. */
function repeated(one: PolicyConfig): boolean {
  const ids = (one.limits ?? []).map(({ id }) => id)
  return new Set(ids).size !== ids.length
}

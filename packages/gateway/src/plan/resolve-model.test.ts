import { describe, expect, it } from 'vitest'
import { compileKey } from './compile-key.ts'
import { listModels } from './list-models.ts'
import { resolveModel } from './resolve-model.ts'
import type { ModelCatalogue } from '../contracts/catalogue.ts'
import { KNOWN_MODEL, MODELS, testKey, testPlan } from './testing/plan-fixtures.ts'

const LOCAL = { protocol: 'openai-chat', base_url: 'http://local.test:1', credential: 'none' }
const PLAN = testPlan({
  providers: { acme: {}, local: LOCAL },
  models: {
    fast: { targets: [{ provider: 'local', model: 'small' }] },
    'a/b': { targets: [{ provider: 'local' }] },
  },
})

function resolve(name: string, policy: Record<string, unknown> = {}): string | null {
  const model = resolveModel(PLAN, compileKey(testKey({ policy }), PLAN.policies), name)
  return model === null ? null : model.targets.map(({ id }) => id).join()
}

describe('resolveModel', () => {
  it.each<[string, Record<string, unknown>, string | null]>([
    ['fast', {}, 'local/small'],
    ['a/b', {}, 'local/a/b'],
    ['acme/any', {}, 'acme/any'],
    ['local/org/model', {}, 'local/org/model'],
    ['acme-1', {}, 'acme/acme-1'],
    ['acme-2', {}, null],
    ['unknown/x', {}, null],
    ['unknown', { default_provider: 'local' }, 'local/unknown'],
    ['acme-1', { default_provider: 'local' }, 'local/acme-1'],
    [
      'llama',
      { default_provider: 'acme', providers: [{ match: { models: 'lla*' }, provider: 'local' }] },
      'local/llama',
    ],
    [
      'other',
      { default_provider: 'acme', providers: [{ match: { models: 'lla*' }, provider: 'local' }] },
      'acme/other',
    ],
    ['llama', { default_provider: 'acme', providers: [{ provider: 'gone' }] }, null],
    ['', {}, null],
    ['acme/', {}, null],
    ['/x', {}, null],
    ['acme/a b', {}, null],
    ['acme/..', {}, null],
    ['acme/../x', {}, null],
    ['acme/a\u0000', {}, null],
    [`acme/${'a'.repeat(300)}`, {}, null],
    ['__proto__', {}, null],
    ['constructor/x', {}, null],
  ])('%j under %j is %j', (name, policy, expected) => {
    expect(resolve(name, policy)).toBe(expected)
  })

  it('gives the same model again, and forgets names beyond its bound', () => {
    const key = compileKey(testKey(), PLAN.policies)
    const first = resolveModel(PLAN, key, 'acme/same')
    expect(resolveModel(PLAN, key, 'acme/same')).toBe(first)
    for (let i = 0; i < 6_000; i++) resolveModel(PLAN, key, `acme/m${i}`)
    expect(resolveModel(PLAN, key, 'acme/same')).not.toBe(first)
  })

  it('prices a target made on demand from the catalogue', () => {
    const key = compileKey(testKey(), PLAN.policies)
    expect(resolveModel(PLAN, key, 'acme/acme-1')?.targets[0]?.price?.base.inputPicoUsd).toBe(
      150_000,
    )
    expect(resolveModel(PLAN, key, 'acme/x')?.targets[0]?.price).toBeNull()
  })
})

describe('a provider that understands every name', () => {
  const every: ModelCatalogue = {
    find: (provider, model) =>
      provider === 'regional' ? KNOWN_MODEL : MODELS.find(provider, model),
    modelsOf: (provider) => MODELS.modelsOf(provider),
  }
  const params = { resource: 'a', region: 'b' }
  const plan = testPlan({ providers: { acme: {}, regional: { params } } }, { models: every })
  const key = compileKey(testKey(), plan.policies)

  it('gives way to the one that lists it, and serves the rest', () => {
    expect(resolveModel(plan, key, 'acme-1')?.targets[0]?.id).toBe('acme/acme-1')
    expect(resolveModel(plan, key, 'other')?.targets[0]?.id).toBe('regional/other')
  })
})

describe('listModels', () => {
  it('lists what the key may use', () => {
    expect(list({})).toEqual(['a/b', 'acme-1', 'fast'])
    expect(list({ models: ['acme-*'] })).toEqual(['acme-1'])
    expect(list({ models: ['acme/*'] })).toEqual(['acme/acme-1'])
    expect(list({ default_provider: 'local' })).toEqual(['a/b', 'acme/acme-1', 'fast'])
    expect(list({ models: ['fast'] })).toEqual(['fast'])
    expect(list({ models: { deny: ['small', 'acme-1'] } })).toEqual(['a/b'])
  })
})

function list(policy: Record<string, unknown>): readonly string[] {
  return listModels(PLAN, compileKey(testKey({ policy }), PLAN.policies))
}

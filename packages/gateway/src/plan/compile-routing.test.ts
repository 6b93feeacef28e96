import { describe, expect, it } from 'vitest'
import { BUILT_IN_MODES } from '../contracts/routing.ts'
import { compileKey } from './compile-key.ts'
import type { StoredAlias } from './compile-routing.ts'
import type { GatewayPlan, KeyPlan } from './gateway-plan.ts'
import { listModels } from './list-models.ts'
import { PlanError } from './plan-error.ts'
import { KNOWN_MODEL, testKey, testPlan } from './testing/plan-fixtures.ts'
import { usableVariants } from './usable-variants.ts'

const LOCAL = {
  protocol: 'openai-chat',
  base_url: 'https://local.test',
  credential: 'env:LOCAL_KEY',
}
const BASE = {
  providers: { local: LOCAL, acme: {} },
  models: {
    one: { targets: [{ provider: 'local' }] },
    two: { targets: [{ provider: 'local', model: 'one' }, { provider: 'acme' }] },
  },
}

function problemOf(over: Readonly<Record<string, unknown>>): string {
  try {
    testPlan({ ...BASE, ...over })
  } catch (thrown) {
    if (thrown instanceof PlanError) return `${thrown.at}: ${thrown.problem}`
    throw thrown
  }
  return ''
}

function keyOf(plan: GatewayPlan, policy: Readonly<Record<string, unknown>>): KeyPlan {
  return compileKey(testKey({ policy }), plan.policies)
}

type Written = Readonly<Record<string, unknown>>

/** One model at one provider, two times. */
function twice(one: Written, other: Written): Written {
  const target = { provider: 'local', model: 'x' }
  return {
    models: {
      m: {
        targets: [
          { ...target, ...one },
          { ...target, ...other },
        ],
      },
    },
  }
}

function alias(...models: readonly string[]): Written {
  return { variants: models.map((model) => ({ model })) }
}

function stored(name: string, model: string): StoredAlias {
  const variants = [{ model, weight: 1 }]
  return { name, alias: { variants, sticky: 'key', enabled: true } }
}

describe('targets', () => {
  it('of one model at one provider need ids of their own', () => {
    expect(problemOf(twice({}, {}))).toMatch(/^models\.m\.targets\[1\]\.id/)
    expect(problemOf(twice({ id: 'a' }, { id: 'b' }))).toBe('')
  })

  it('mean one thing by one id, wherever it stands', () => {
    const other = { credential: 'env:LOCAL_KEY', id: 'local/one' }
    const models = {
      ...BASE.models,
      third: { targets: [{ provider: 'local', model: 'else', ...other }] },
    }
    expect(problemOf({ models })).toMatch(/^models\.third\.targets\[0\]\.id/)
  })

  it('are sent with a credential of their own, and denied by their address too', () => {
    const target = { provider: 'local', model: 'x', id: 'mine', credential: 'env:GONE' }
    const plan = testPlan({ ...BASE, models: { m: { targets: [target] } } })
    const [compiled] = plan.models.get('m')?.targets ?? []
    expect(compiled).toMatchObject({
      id: 'mine',
      address: 'local/x',
      provider: { name: 'local', credentialMissing: 'env:GONE' },
    })
    const key = keyOf(plan, { models: { deny: ['local/x'] } })
    expect(key.policy.modelDenied?.('local/x')).toBe(true)
    expect(listModels(plan, key)).not.toContain('m')
    const keyless = { ...target, provider: 'bare' }
    const providers = {
      ...BASE.providers,
      bare: { ...LOCAL, credential: 'none', auth: { kind: 'none' } },
    }
    expect(problemOf({ providers, models: { m: { targets: [keyless] } } })).toMatch(
      /^models\.m\.targets\[0\]\.credential: .*takes none/,
    )
  })

  it('go by the catalogue’s abilities only where there is another', () => {
    const textOnly = { ...KNOWN_MODEL, capabilities: { vision: false } }
    const models = { find: () => textOnly, modelsOf: () => [] }
    const lacksOf = (name: string): unknown =>
      testPlan(BASE, { models })
        .models.get(name)
        ?.targets.map(({ lacks }) => lacks)
    expect(lacksOf('one')).toEqual([null])
    expect(lacksOf('two')).toEqual([['vision'], ['vision']])
  })

  it('say what they can: a list all of it, a map some of it, over what the model says', () => {
    const targets = [
      { provider: 'local', model: 'a', capabilities: ['tools', 'streaming'] },
      { provider: 'local', model: 'b', capabilities: { vision: true } },
      { provider: 'local', model: 'c' },
    ]
    const m = { targets, capabilities: { vision: false } }
    const plan = testPlan({ ...BASE, models: { m } })
    expect(plan.models.get('m')?.targets.map(({ lacks }) => lacks)).toEqual([
      ['vision', 'audio', 'documents', 'json_schema'],
      null,
      ['vision'],
    ])
  })
})

describe('what is decided at load', () => {
  it.each([
    ['one target', { provider: 'local' }, true],
    ['one that is off', { provider: 'local', enabled: false }, false],
    ['one that lacks something', { provider: 'local', capabilities: { tools: false } }, false],
    ['one with a context that was written', { provider: 'local', context: 100 }, false],
  ])('%s', (_, target, settled) => {
    const plan = testPlan({ ...BASE, models: { m: { targets: [target] } } })
    expect(plan.models.get('m')?.settled !== null).toBe(settled)
  })
})

describe('modes', () => {
  it('are the built-in ones and those of the file, which may replace them', () => {
    const modes = { frugal: { cost: 1 }, cheap: { cost: 0.9, failure: 0.1 } }
    const plan = testPlan({ ...BASE, routing: { modes, default_mode: 'frugal' } })
    expect(plan.routing.defaultMode).toBe('frugal')
    expect(plan.routing.modes.get('frugal')).toEqual({ cost: 1, latency: 0, failure: 0, weight: 0 })
    expect(plan.routing.modes.get('cheap')?.cost).toBe(0.9)
    expect(plan.routing.modes.get('normal')).toEqual(BUILT_IN_MODES['normal'])
  })

  it.each([
    [{ routing: { default_mode: 'nomral' } }, 'routing.default_mode: no mode "nomral"'],
    [{ routing: { modes: { thompson: { cost: 1 } } } }, 'routing.modes.thompson'],
    [{ policy: { routing: { mode: 'gone' } } }, 'policy.routing.mode: no mode "gone"'],
    [{ policies: { p: { routing: { mode: 'gone' } } } }, 'policies.p.routing.mode'],
    [{ teams: { t: { policy: { routing: { mode: 'gone' } } } } }, 'teams.t.policy.routing.mode'],
  ])('%j', (over, problem) => {
    expect(problemOf(over)).toContain(problem)
  })

  it('that a key names and that is gone make the key unusable', () => {
    const plan = testPlan(BASE)
    expect(() => keyOf(plan, { routing: { mode: 'gone' } })).toThrow(/policy\.routing\.mode/)
  })
})

describe('the wildcard', () => {
  it('stands for every model, each target under its own name, none twice', () => {
    const { wildcard } = testPlan(BASE).routing
    expect(wildcard).toMatchObject({ strategy: 'score', reason: 'wildcard', settled: null })
    expect(wildcard?.targets.map(({ id, servesAs }) => [id, servesAs])).toEqual([
      ['local/one', 'one'],
      ['acme/two', 'two'],
    ])
    expect(testPlan({ providers: BASE.providers }).routing.wildcard).toBeNull()
  })

  it('may be a list, in which everything has to be served', () => {
    const plan = testPlan({
      ...BASE,
      routing: { wildcard: ['acme/x', 'acme-1'], strategy: 'weighted' },
    })
    expect(plan.routing.wildcard?.targets.map(({ id }) => id)).toEqual(['acme/x', 'acme/acme-1'])
    expect(plan.routing.wildcard?.strategy).toBe('weighted')
    expect(problemOf({ routing: { wildcard: ['one', 'gone'] } })).toContain('routing.wildcard[1]')
    expect(problemOf({ models: { '*': BASE.models.one } })).toContain('stands for any model')
  })
})

describe('aliases', () => {
  it.each([
    [{ x: alias('one', 'gone') }, 'aliases.x.variants[1].model: no configured provider'],
    [{ x: alias('x') }, 'is the alias itself'],
    [{ x: alias('one'), y: alias('x') }, 'is an alias itself'],
    [{ x: alias('auto') }, 'stands for any model'],
    [{ one: alias('two') }, 'is a model already'],
    [{ auto: alias('two') }, 'stands for any model'],
    [{ x: alias('nobody/m') }, 'no configured provider'],
  ])('%j', (aliases, problem) => {
    expect(problemOf({ aliases })).toContain(problem)
  })

  it('of the file win over stored ones; a stored one that is not served any more is left out', () => {
    const storedAliases = [stored('x', 'one'), stored('y', 'gone'), stored('z', 'acme/any')]
    const { aliases } = testPlan(
      { ...BASE, aliases: { x: alias('two') } },
      { storedAliases },
    ).routing
    expect([...(aliases ?? [])].map(([name, { variants }]) => [name, variants[0]?.model])).toEqual([
      ['x', 'two'],
      ['z', 'acme/any'],
    ])
  })

  it('give nobody a model', () => {
    const plan = testPlan({
      ...BASE,
      aliases: { x: alias('one', 'two'), off: { ...alias('one'), enabled: false } },
    })
    const variantsOf = (name: string, policy: Readonly<Record<string, unknown>>): unknown => {
      const found = plan.routing.aliases?.get(name)
      const key = keyOf(plan, policy)
      return found && usableVariants(plan, key, found).map(({ model }) => model)
    }
    expect(variantsOf('x', {})).toEqual(['one', 'two'])
    expect(variantsOf('x', { models: ['two'] })).toEqual(['two'])
    expect(variantsOf('x', { models: ['x'] })).toEqual([])
    expect(variantsOf('x', { models: { deny: ['x'] } })).toEqual([])
    expect(variantsOf('x', { models: { deny: ['local/one'] } })).toEqual(['two'])
    expect(variantsOf('off', {})).toEqual([])
    expect(listModels(plan, keyOf(plan, { models: ['two'] }))).toContain('x')
    expect(listModels(plan, keyOf(plan, { models: ['three'] }))).not.toContain('x')
  })
})

import { describe, expect, it } from 'vitest'
import { checkKey, compileKey } from './compile-key.ts'
import { explainPolicy } from './explain-policy.ts'
import type { GatewayPlan, KeyPlan, TargetPlan } from './gateway-plan.ts'
import { resolveModel } from './resolve-model.ts'
import { testKey, testPlan } from './testing/plan-fixtures.ts'

type Written = Readonly<Record<string, unknown>>

const LOCAL = { protocol: 'openai-chat', base_url: 'http://127.0.0.1:9/v1', allow_private: true }
const BASE = {
  providers: {
    acme: { headers: { 'x-team': 'ours' } },
    by_header: { ...LOCAL, credential: 'env:LOCAL_KEY', auth: { kind: 'header', name: 'X-Key' } },
    by_query: { ...LOCAL, credential: 'env:LOCAL_KEY', auth: { kind: 'query', name: 'key' } },
    keyless: { ...LOCAL, credential: 'none' },
    claude: { ...LOCAL, protocol: 'anthropic-messages', credential: 'env:LOCAL_KEY' },
  },
  credentials: {
    allowed: ['env:LOCAL_KEY', { credential: 'env:GONE', providers: ['acme', 'by_header'] }],
  },
}

function compiled(policy: Written, config: Written = {}): { plan: GatewayPlan; key: KeyPlan } {
  const plan = testPlan({ ...BASE, ...config })
  return { plan, key: compileKey(testKey({ policy }), plan.policies) }
}

/** The target as the policy wants it: the key's own, or that of its first entry. */
function targeted(name: string, policy: Written, config: Written = {}): TargetPlan {
  const { plan, key } = compiled(policy, config)
  const [target] = resolveModel(plan, key, name)?.targets ?? []
  if (target === undefined) throw new Error('nobody serves it')
  const entry = key.policy.providerEntries.find(({ matches }) => matches?.(name) ?? true)
  const { retarget } = (entry ?? key).policy
  return retarget?.(target) ?? target
}

function refusal(policy: Written, config: Written = {}): string {
  try {
    compiled(policy, config)
    return ''
  } catch (thrown) {
    return String(thrown)
  }
}

describe('credential', () => {
  it.each<[string, Written, Written]>([
    ['bearer', { default_provider: 'acme' }, { authorization: 'Bearer local-secret' }],
    ['a header', { default_provider: 'by_header' }, { 'x-key': 'local-secret' }],
  ])('is sent as the provider wants it: %s', (_kind, policy, headers) => {
    const name = `${String(policy['default_provider'])}/m`
    const { provider } = targeted(name, { ...policy, credential: 'env:LOCAL_KEY' })
    expect(provider.headers).toMatchObject(headers)
    expect([provider.credential, provider.credentialMissing]).toEqual(['local-secret', null])
  })

  it('is sent in the query where the provider wants it there', () => {
    const policy = { default_provider: 'by_query', base_key_env: 'LOCAL_KEY' }
    expect(targeted('by_query/m', policy).provider.query).toBe('?key=local-secret')
  })

  it('goes to no other provider than the one it is for, whichever entry matches', () => {
    const policy = {
      credential: 'env:GONE',
      default_provider: 'acme',
      providers: [{ match: { models: '*' }, provider: 'claude', timeout: 5 }],
    }
    expect(targeted('claude/m', policy).provider.credential).toBe('local-secret')
    expect(targeted('acme/m', policy).provider.credentialMissing).toBe('env:GONE')
  })

  it('of a provider entry wins over the policy', () => {
    const policy = {
      default_provider: 'acme',
      credential: 'env:GONE',
      providers: [{ match: { models: 'acme/*' }, provider: 'acme', credential: 'env:LOCAL_KEY' }],
    }
    expect(targeted('acme/m', policy).provider.credential).toBe('local-secret')
  })

  it("that is not there is told as missing, like a provider's own", () => {
    const { provider } = targeted('acme/m', { credential: 'env:GONE' })
    expect(provider).toMatchObject({ credential: null, credentialMissing: 'env:GONE' })
  })

  it('of the provider itself needs no permission, and changes nothing', () => {
    const { provider } = targeted('acme/m', { base_key_env: 'ACME_KEY' })
    expect(provider.headers['authorization']).toBe('Bearer acme-secret')
    expect(refusal({ base_key_env: 'ACME_KEY', default_provider: 'claude' })).toContain(
      'policy.credential: env:ACME_KEY is not allowed',
    )
  })

  it.each<[string, Written, string]>([
    [
      'one that is not listed',
      { credential: 'env:HOME' },
      'policy.credential: env:HOME is not allowed',
    ],
    ['a file that is not listed', { credential: 'file:/etc/passwd' }, 'is not allowed'],
    [
      'one for nobody in particular',
      { credential: 'env:LOCAL_KEY' },
      'for which provider is not said',
    ],
    [
      'another provider than the listed ones',
      { credential: 'env:GONE', default_provider: 'claude' },
      'the operator does not allow env:GONE for the provider claude',
    ],
    [
      'a provider that takes none',
      { credential: 'env:LOCAL_KEY', default_provider: 'keyless' },
      'the provider keyless takes none',
    ],
    [
      'one of an entry that is not listed',
      { providers: [{ provider: 'acme', credential: 'env:PATH' }] },
      'policy.providers.credential: env:PATH is not allowed',
    ],
  ])('is refused: %s', (_what, policy, problem) => {
    expect(refusal(policy)).toContain(problem)
  })

  it('that the operator takes off the list refuses the keys that name it', () => {
    const policy = { credential: 'env:LOCAL_KEY', default_provider: 'acme' }
    expect(refusal(policy)).toBe('')
    expect(refusal(policy, { credentials: { allowed: [] } })).toContain('is not allowed')
  })

  it('of a policy in the file is checked when it is loaded', () => {
    const named = { policies: { p: { credential: 'env:HOME' } } }
    expect(() => testPlan({ ...BASE, ...named })).toThrow('policies.p.credential: env:HOME')
    expect(() => testPlan({ ...BASE, policy: { upstream_url: 'http://x.test' } })).toThrow(
      'policy.upstream_url: the operator does not allow it',
    )
    const unknown = { credentials: { allowed: [{ credential: 'env:A', providers: ['acmee'] }] } }
    expect(() => testPlan({ ...BASE, ...unknown })).toThrow('credentials.allowed[0].providers')
  })
})

describe('upstream_url', () => {
  const open = { custom_upstreams: { enabled: true, ports: [80, 443, 8443] } }
  const policy = { default_provider: 'acme', upstream_url: 'https://gw.acme.test:8443/proxy/v1/' }

  it('takes the place of the address, and nothing that the operator set goes there', () => {
    const { provider } = targeted('acme/m', policy, open)
    expect(provider).toMatchObject({
      origin: 'https://gw.acme.test:8443',
      basePath: '/proxy/v1',
      headers: {},
      query: '',
      credential: null,
      credentialMissing: null,
      allowPrivate: false,
    })
    const claude = { ...policy, default_provider: 'claude' }
    expect(targeted('claude/m', claude, open).provider.headers).toEqual({
      'anthropic-version': '2023-06-01',
    })
    expect(targeted('claude/m', policy, open).provider.origin).toBe('http://127.0.0.1:9')
  })

  it('gets the credential that the policy names, if the operator lists it', () => {
    const { provider } = targeted('acme/m', { ...policy, credential: 'env:LOCAL_KEY' }, open)
    expect(provider.headers).toEqual({ authorization: 'Bearer local-secret' })
    expect(refusal({ ...policy, base_key_env: 'ACME_KEY' }, open)).toContain('is not allowed')
  })

  it.each([
    ['a private address', 'http://10.0.0.1/', 'is a private or special-use address'],
    ['an address in disguise', 'http://0x7f.1/', 'is a private or special-use address'],
    ['one of IPv6', 'http://[::ffff:169.254.169.254]/', 'is a private or special-use address'],
    ['this machine by name', 'http://a.localhost./', 'is a private or special-use address'],
  ])('is refused: %s', (_what, url, problem) => {
    expect(refusal({ ...policy, upstream_url: url }, open)).toContain(problem)
    const allowed = { custom_upstreams: { enabled: true, allow_private: true } }
    expect(refusal({ ...policy, upstream_url: url }, allowed)).toBe('')
  })

  it('is refused unless the operator allows it, or when nobody says whose address it is', () => {
    expect(refusal(policy)).toContain('custom_upstreams.enabled is false')
    expect(refusal({ upstream_url: 'http://x.test' }, open)).toContain('for which provider')
  })
})

describe('timeouts', () => {
  it('are the smallest of the policy, its layers and the provider', () => {
    const { provider } = targeted(
      'acme/m',
      { timeout: { connect: '1s', idle: '1h', total: '30s' } },
      { policy: { routing: { timeout: 40 } } },
    )
    expect(provider.timeouts).toEqual({
      connectMs: 1_000,
      firstByteMs: 300_000,
      idleMs: 300_000,
      totalMs: 30_000,
    })
    expect(targeted('acme/m', { timeout: '7s' }).provider.timeouts.totalMs).toBe(7_000)
    expect(targeted('acme/m', { timeout: '2h' }).provider.timeouts.totalMs).toBe(600_000)
  })

  it('may not be longer than what is inherited, unless that is overridable', () => {
    const closed = testPlan({ ...BASE, policy: { timeout: 30 } }).policies
    const longer = testKey({ policy: { timeout: 60 } })
    expect(checkKey(longer, closed).map(({ field }) => field)).toEqual(['timeout'])
    const open = testPlan({ ...BASE, policy: { timeout: 30, overridable: ['timeout'] } })
    expect(checkKey(longer, open.policies)).toEqual([])
    const { provider } = targeted(
      'acme/m',
      { timeout: 60 },
      { policy: { timeout: 30, overridable: ['timeout'] } },
    )
    expect(provider.timeouts.totalMs).toBe(60_000)
  })
})

function prompt(content: string): Written {
  return { role: 'system', content }
}

describe('prompts', () => {
  it("are the provider entry's, then those of the layers in their order", () => {
    const target = targeted(
      'acme/m',
      { prompts: [prompt('key')], providers: [{ provider: 'acme', prompts: [prompt('entry')] }] },
      { policy: { prompts: [prompt('global'), { ...prompt('é'), position: 'end' }] } },
    )
    expect(target.prompts).toEqual({
      list: [
        { role: 'system', content: 'entry', position: 'start' },
        { role: 'system', content: 'global', position: 'start' },
        { role: 'system', content: 'é', position: 'end' },
        { role: 'system', content: 'key', position: 'start' },
      ],
      texts: ['entry', 'global', 'é', 'key'],
      overheadTokens: 64,
      boundTokens: 64 + 5 + 6 + 2 + 3,
    })
  })

  it('make one target of a target, however often it is asked for', () => {
    const { plan, key } = compiled({ prompts: [prompt('a')] })
    const [target] = resolveModel(plan, key, 'acme/m')?.targets ?? []
    if (target === undefined) throw new Error('nobody serves it')
    expect(key.policy.retarget?.(target)).toBe(key.policy.retarget?.(target))
    expect(compiled({}).key.policy.retarget).toBeNull()
  })
})

describe('retry', () => {
  it('takes the later word of each field', () => {
    const { key } = compiled(
      { routing: { fallbacks: ['b'], retry: { max_retries: 3 } } },
      { policy: { retry: { max_retries: 1, fallbacks: ['a'], retry_on: [429, 503] } } },
    )
    expect(key.policy.retry).toEqual({
      maxRetries: 3,
      fallbacks: ['b'],
      retryOn: new Set([429, 503]),
    })
    expect(compiled({}).key.policy.retry).toBeNull()
  })

  it('refuses a fallback whose provider entry has limits of its own', () => {
    const policy = { retry: { fallbacks: ['claude-x'] } }
    const entry = { match: { models: 'claude-*' }, provider: 'claude' }
    expect(refusal({ ...policy, providers: [{ ...entry, timeout: 5 }] })).toBe('')
    expect(refusal({ ...policy, providers: [{ ...entry, max_tokens: 5 }] })).toContain(
      'policy.retry.fallbacks: "claude-x" falls under the providers entry of claude',
    )
  })
})

it('a key that is overdue for rotation is refused only if its policy says so', () => {
  const { policies } = testPlan(BASE)
  const record = testKey({ createdAtMs: 1_000, rotateEveryMs: 10_000 })
  expect(compileKey(record, policies).refusedFromMs).toBeNull()
  const policy = { disable_overdue_after: '5s' }
  expect(compileKey({ ...record, policy }, policies).refusedFromMs).toBe(16_000)
  const rotated = { ...record, policy, rotatedAtMs: 100_000 }
  expect(compileKey(rotated, policies).refusedFromMs).toBe(115_000)
})

it('explains each of these fields, without a secret', () => {
  const { policies } = testPlan({ ...BASE, policy: { timeout: 30 } })
  const policy = {
    default_provider: 'acme',
    base_key_env: 'LOCAL_KEY',
    prompts: [{ role: 'system', content: 'a' }],
    timeout: { total: '20s', idle: '5s' },
    retry: { max_retries: 2, fallbacks: ['b'], retry_on: [500] },
    disable_overdue_after: '7d',
  }
  const { fields } = explainPolicy(testKey({ policy }), policies)
  expect(fields).toEqual([
    { field: 'default_provider', value: 'acme', from: ['key'] },
    { field: 'credential', value: 'env:LOCAL_KEY', from: ['key'] },
    { field: 'prompts[0]', value: { role: 'system', content: 'a' }, from: ['key'] },
    { field: 'timeout.idle', value: '5s', from: ['key'] },
    { field: 'timeout.total', value: '20s', from: ['policy', 'key'] },
    { field: 'retry.max_retries', value: 2, from: ['key'] },
    { field: 'retry.fallbacks', value: ['b'], from: ['key'] },
    { field: 'retry.retry_on', value: [500], from: ['key'] },
    { field: 'disable_overdue_after', value: '1w', from: ['key'] },
  ])
})

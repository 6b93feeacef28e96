import { describe, expect, it } from 'vitest'
import { bedrock } from '../providers/catalog/bedrock.ts'
import { compileKey } from './compile-key.ts'
import type { GatewayPlan, ProviderPlan } from './gateway-plan.ts'
import { regionOf } from './request-signing.ts'
import { resolveModel } from './resolve-model.ts'
import { testKey, testPlan } from './testing/plan-fixtures.ts'

const PAIR = { AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret' }
const PARTS = { method: 'POST', host: 'h', path: '/p', contentType: null, body: '' }

function planOf(
  provider: Readonly<Record<string, unknown>>,
  env: Record<string, string>,
): GatewayPlan {
  const catalogue = new Map([['bedrock', bedrock]])
  return testPlan({ providers: { bedrock: provider } }, { catalogue, env })
}

function compiled(env: Record<string, string>, provider = {}): ProviderPlan {
  const plan = planOf({ params: { region: 'eu-west-1' }, ...provider }, env).providers.get(
    'bedrock',
  )
  if (plan === undefined) throw new Error('not compiled')
  return plan
}

describe('a provider that wants signatures', () => {
  it('signs with the pair of its variables, for the region of its params', () => {
    const { sign, headers, credentialMissing } = compiled(PAIR)
    expect(sign?.(PARTS, 0).join(' ')).toContain('/19700101/eu-west-1/bedrock/aws4_request')
    expect(headers['authorization']).toBeUndefined()
    expect(credentialMissing).toBeNull()
  })

  it('takes an API key before a pair, and sends it as it is', () => {
    const { sign, headers } = compiled({ ...PAIR, AWS_BEARER_TOKEN_BEDROCK: 'ABSKx' })
    expect(sign).toBeNull()
    expect(headers['authorization']).toBe('Bearer ABSKx')
  })

  it('names what is missing', () => {
    const { sign, credentialMissing } = compiled({ AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE' })
    expect(sign).toBeNull()
    expect(credentialMissing).toBe('env:AWS_BEARER_TOKEN_BEDROCK')
  })

  it('takes the region from the host, or asks for it', () => {
    const url = 'https://bedrock-runtime.us-gov-west-1.amazonaws.com'
    const plan = planOf({ base_url: url }, PAIR).providers.get('bedrock')
    expect(plan?.region).toBe('us-gov-west-1')
    expect(() => planOf({ base_url: 'https://proxy.example' }, PAIR)).toThrow('params.region')
  })
})

/** As the key's policy wants it, which the operator allows. */
function retargeted(policy: Readonly<Record<string, unknown>>): ProviderPlan | undefined {
  const plan = testPlan(
    {
      providers: { bedrock: { params: { region: 'eu-west-1' } } },
      custom_upstreams: { enabled: true },
      credentials: { allowed: ['env:LOCAL_KEY'] },
    },
    { catalogue: new Map([['bedrock', bedrock]]), env: PAIR },
  )
  const key = compileKey(
    testKey({ policy: { default_provider: 'bedrock', ...policy } }),
    plan.policies,
  )
  const [target] = resolveModel(plan, key, 'bedrock/m')?.targets ?? []
  return target === undefined ? undefined : key.policy.retarget?.(target).provider
}

describe('a policy over a provider that wants signatures', () => {
  it('lets nothing be signed for another address', () => {
    const provider = retargeted({ upstream_url: 'https://elsewhere.example' })
    expect(provider?.origin).toBe('https://elsewhere.example')
    expect(provider?.sign).toBeNull()
  })

  it('sends its own API key instead of a signature', () => {
    const provider = retargeted({ credential: 'env:LOCAL_KEY' })
    expect(provider?.sign).toBeNull()
    expect(provider?.headers).toEqual({ authorization: 'Bearer local-secret' })
  })
})

describe('regionOf', () => {
  it.each([
    ['x', 'host', 'x'],
    [undefined, 'bedrock-runtime.eu-central-1.amazonaws.com', 'eu-central-1'],
    [undefined, 'vpce-0abc.bedrock-runtime.us-east-1.vpce.amazonaws.com', 'us-east-1'],
    [undefined, 'proxy.example', null],
  ])('reads %j and %s', (param, host, region) => {
    expect(regionOf(param, host)).toBe(region)
  })
})

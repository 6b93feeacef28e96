import { describe, expect, it } from 'vitest'
import { bedrock } from '../providers/catalog/bedrock.ts'
import type { GatewayPlan, ProviderPlan } from './gateway-plan.ts'
import { regionOf } from './request-signing.ts'
import { testPlan } from './testing/plan-fixtures.ts'

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

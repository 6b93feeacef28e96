import { readFileSync } from 'node:fs'
import type { LookupAddress } from 'node:dns'
import { createServer } from 'node:net'
import { isIP } from 'node:net'
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../errors/gateway-error.ts'
import { compileKey } from '../../plan/compile-key.ts'
import type { ProviderPlan } from '../../plan/gateway-plan.ts'
import { testKey, testPlan } from '../../plan/testing/plan-fixtures.ts'
import { CLIENT_CALLS, CLIENT_IDS } from '../../testing/client-calls.ts'
import { ask, leftovers, NOTHING_LEFT, startHarness } from '../../testing/data-plane-harness.ts'
import { guardedLookup, GuardRefusal, type Resolve, UpstreamPools } from './pools.ts'
import { isSpecialAddress } from '../../lib/special-addresses.ts'

type Case = {
  readonly url: string
  readonly expect: 'block' | 'allow-ip' | 'block-by-default' | 'error-502'
  readonly why: string
  readonly dns?: readonly (readonly string[])[]
}

const corpus: { readonly cases: readonly Case[] } = JSON.parse(
  readFileSync(
    new URL('../../../../../e2e/corpora/url-ssrf/ssrf-cases.json', import.meta.url),
    'utf8',
  ),
)
/** Of the configuration: a port that the operator writes there is one that the operator wants. */
const cases = corpus.cases.filter((one) => one.expect !== 'block-by-default')

type Where = 'configuration' | 'policy'

/** The address as it is saved, in the file or in a policy; null: it is refused there. */
function saved({ url }: Case, where: Where, allowPrivate: boolean): ProviderPlan | null {
  try {
    return where === 'policy' ? savedInPolicy(url, allowPrivate) : savedInFile(url, allowPrivate)
  } catch {
    return null
  }
}

function savedInFile(url: string, allowPrivate: boolean): ProviderPlan | null {
  const x = {
    protocol: 'openai-chat',
    base_url: url,
    credential: 'none',
    allow_private: allowPrivate,
  }
  return testPlan({ providers: { x } }).providers.get('x') ?? null
}

function savedInPolicy(url: string, allowPrivate: boolean): ProviderPlan | null {
  const x = { protocol: 'openai-chat', base_url: 'https://x.test', credential: 'none' }
  const plan = testPlan({
    providers: { x },
    policy: { default_provider: 'x', upstream_url: url },
    models: { m: { targets: [{ provider: 'x' }] } },
    custom_upstreams: { enabled: true, allow_private: allowPrivate },
  })
  const key = compileKey(testKey(), plan.policies)
  const [target] = plan.models.get('m')?.targets ?? []
  return target === undefined ? null : (key.policy.retarget?.(target).provider ?? null)
}

/** Names that the corpus gives no answers for resolve as they would where they are dangerous. */
function answersFor({ dns }: Case, hostname: string): readonly (readonly string[])[] {
  if (dns !== undefined) return dns
  if (hostname.includes('metadata') || hostname === 'instance-data') return [['169.254.169.254']]
  return hostname.startsWith('example.com') ? [['93.184.216.34']] : [['127.0.0.1']]
}

/** What would be dialled, without dialling it. Null: refused. */
async function dialled(one: Case, where: Where): Promise<readonly string[] | null> {
  // Whatever was saved, and however it got there: the guard of the connection stands alone.
  const allowed = saved(one, where, true)
  if (allowed === null) return null
  const provider = { ...allowed, allowPrivate: false }
  const host = new URL(provider.origin).hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) !== 0) return poolIsRefused(provider) ? null : [host]
  const answers = [...answersFor(one, host)]
  const resolve: Resolve = (_hostname, _options, callback) => {
    const addresses = answers.shift() ?? []
    callback(
      null,
      addresses.map((address): LookupAddress => ({ address, family: isIP(address) })),
    )
  }
  return new Promise((resolved) => {
    guardedLookup(resolve)(host, { all: true }, (error, addresses) => {
      const list =
        typeof addresses === 'string' ? [addresses] : addresses.map(({ address }) => address)
      resolved(error instanceof GuardRefusal ? null : list)
    })
  })
}

function poolIsRefused(provider: ProviderPlan): boolean {
  try {
    new UpstreamPools().poolFor(provider)
    return false
  } catch (thrown) {
    return thrown instanceof GatewayError && thrown.code === 'upstream_refused_by_guard'
  }
}

/** Shows without a look-up; `metadata` and other names are found out by one. */
function isName({ url, dns }: Case): boolean {
  return dns !== undefined || /^http:\/\/(?:metadata|instance-data)|nip\.test\/$/.test(url)
}

describe.each(['configuration', 'policy'] as const)('addresses that a %s may not have', (where) => {
  it.each(where === 'policy' ? corpus.cases : cases)('$url: $expect, when it is saved', (one) => {
    const allowed = one.expect === 'allow-ip' || (one.expect !== 'block-by-default' && isName(one))
    expect(saved(one, where, false) !== null).toBe(allowed)
  })

  it.each(where === 'policy' ? corpus.cases : cases)(
    '$url: $expect, when it is dialled',
    async (one) => {
      const addresses = await dialled(one, where)
      // Of successive answers only the first is used, and that is public.
      const pinned = one.why.startsWith('DNS rebinding')
      expect(addresses === null).toBe(one.expect !== 'allow-ip' && !pinned)
      expect((addresses ?? []).some(isSpecialAddress)).toBe(false)
    },
  )
})

describe('a listener on loopback', () => {
  it.each([
    ['the name of this machine', ['127.0.0.1']],
    ['one of several answers', ['93.184.216.34', '127.0.0.1']],
    ['an address in another family', ['::ffff:127.0.0.1']],
    ['nothing at all', []],
  ])('hears nothing when a name stands for %s', async (_what, answers) => {
    let connections = 0
    const canary = createServer(() => connections++)
    await new Promise<void>((resolve) => canary.listen(0, '127.0.0.1', resolve))
    const address = canary.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const pools = new UpstreamPools((_name, _options, callback) =>
      callback(
        null,
        answers.map((one): LookupAddress => ({ address: one, family: isIP(one) })),
      ),
    )
    const harness = await startHarness({
      upstreamUrl: `http://canary.test:${port}`,
      provider: { allow_private: false },
      pools,
    })
    for (const id of CLIENT_IDS) {
      const answer = await ask(harness, CLIENT_CALLS[id].whole)
      expect(answer.status).toBe(502)
      expect(harness.records.at(-1)?.errorClass).toBe('upstream_refused_by_guard')
    }
    expect(leftovers(harness)).toEqual(NOTHING_LEFT)
    await harness.close()
    expect(connections).toBe(0)
    await new Promise((resolve) => canary.close(resolve))
  })
})

describe('isSpecialAddress', () => {
  it.each([
    ['127.0.0.1', true],
    ['::1', true],
    ['[::1]', true],
    ['::ffff:10.0.0.1', true],
    ['64:ff9b::a9fe:a9fe', true],
    ['fe80::1%eth0', true],
    ['2002:7f00:1::', true],
    ['2001:db8::1', true],
    ['not an address', true],
    ['8.8.8.8', false],
    ['2606:4700::1111', false],
    ['2a00:1450:4001::1', false],
  ])('%s: %s', (address, special) => {
    expect(isSpecialAddress(address)).toBe(special)
  })
})

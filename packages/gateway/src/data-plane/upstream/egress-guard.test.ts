import { readFileSync } from 'node:fs'
import type { LookupAddress } from 'node:dns'
import { createServer } from 'node:net'
import { isIP } from 'node:net'
import { afterAll, describe, expect, it } from 'vitest'
import { GatewayError } from '../../errors/gateway-error.ts'
import { testPlan } from '../../plan/testing/plan-fixtures.ts'
import { ask, startHarness } from '../../testing/data-plane-harness.ts'
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
/** Ports are the operator's own choice in this version: model servers listen on many. */
const cases = corpus.cases.filter((one) => one.expect !== 'block-by-default')
let asExpected = 0
afterAll(() => {
  process.stdout.write(
    `url-ssrf: ${asExpected} of ${cases.length} as expected, ${corpus.cases.length - cases.length} on ports not covered\n`,
  )
})

/** Names that the corpus gives no answers for resolve as they would where they are dangerous. */
function answersFor({ dns }: Case, hostname: string): readonly (readonly string[])[] {
  if (dns !== undefined) return dns
  if (hostname.includes('metadata') || hostname === 'instance-data') return [['169.254.169.254']]
  return hostname.startsWith('example.com') ? [['93.184.216.34']] : [['127.0.0.1']]
}

/** What would be dialled, without dialling it. Null: refused, when the plan is compiled or when a connection is made. */
async function dialled(one: Case): Promise<readonly string[] | null> {
  let provider
  try {
    provider = testPlan({
      providers: { x: { protocol: 'openai-chat', base_url: one.url, credential: 'none' } },
    }).providers.get('x')
  } catch {
    return null
  }
  if (provider === undefined) return null
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

function poolIsRefused(provider: Parameters<UpstreamPools['poolFor']>[0]): boolean {
  try {
    new UpstreamPools().poolFor(provider)
    return false
  } catch (thrown) {
    return thrown instanceof GatewayError && thrown.code === 'upstream_refused_by_guard'
  }
}

describe('addresses that a provider may not have', () => {
  it.each(cases)('$url: $expect', async (one) => {
    const addresses = await dialled(one)
    // Of successive answers only the first is used, and that is public.
    const pinned = one.why.startsWith('DNS rebinding')
    expect(addresses === null).toBe(one.expect !== 'allow-ip' && !pinned)
    expect((addresses ?? []).some(isSpecialAddress)).toBe(false)
    asExpected++
  })

  it('are not dialled: nothing reaches a listener on loopback', async () => {
    let connections = 0
    const canary = createServer(() => connections++)
    await new Promise<void>((resolve) => canary.listen(0, '127.0.0.1', resolve))
    const address = canary.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const hosts = ['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]', '2130706433', '0x7f.1']
    for (const host of hosts) {
      const harness = await startHarness({
        upstreamUrl: `http://${host}:${port}`,
        provider: { allow_private: false },
      })
      const body = '{"model":"m","messages":[{"role":"user","content":"hi"}]}'
      const answer = await ask(harness, { body })
      expect(answer.status).toBe(502)
      expect(answer.body.toString()).toContain('"code":"upstream_refused_by_guard"')
      await harness.close()
    }
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

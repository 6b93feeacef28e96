import { afterEach, expect, it } from 'vitest'
import { type AddressesOf, checkUpstreamAddresses } from './check-upstream-addresses.ts'
import { testControl, type TestControl } from './testing/test-control.ts'

const ADDRESSES: Readonly<Record<string, readonly string[]>> = {
  'public.test': ['93.184.215.14'],
  'both.test': ['93.184.215.14', '10.0.0.7'],
  'metadata.test': ['fd00:ec2::254'],
}
const addressesOf: AddressesOf = (name) => Promise.resolve(ADDRESSES[name] ?? [])

let opened: TestControl | null = null
afterEach(() => opened?.remove())

async function check(policy: unknown, upstreams: object = { enabled: true }): Promise<void> {
  opened = await testControl({ custom_upstreams: upstreams })
  await checkUpstreamAddresses(opened.control, policy, addressesOf)
}

it.each<[string, unknown, string]>([
  ['one of several', { upstream_url: 'http://both.test/v1' }, 'upstream_url: both.test stands for'],
  [
    'that of an entry',
    { providers: [{}, { upstream_url: 'https://metadata.test' }] },
    'providers[1].upstream_url: metadata.test',
  ],
  ['that of a map', { providers: { a: { upstream_url: 'http://both.test' } } }, 'both.test'],
])('refuses a name for a private address: %s', async (_which, policy, problem) => {
  await expect(check(policy)).rejects.toThrow(problem)
})

it.each<[string, unknown, object]>([
  ['public', { upstream_url: 'http://public.test' }, { enabled: true }],
  ['unknown', { upstream_url: 'http://unknown.test', providers: 'x' }, { enabled: true }],
  ['allowed', { upstream_url: 'http://both.test' }, { enabled: true, allow_private: true }],
])('leaves alone what is %s', async (_what, policy, upstreams) => {
  await expect(check(policy, upstreams)).resolves.toBeUndefined()
})

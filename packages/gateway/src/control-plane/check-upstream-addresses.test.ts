import { readFileSync } from 'node:fs'
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

type Case = { readonly url: string; readonly dns?: readonly (readonly string[])[] }

const corpus: { readonly cases: readonly Case[] } = JSON.parse(
  readFileSync(
    new URL('../../../../e2e/corpora/url-ssrf/ssrf-cases.json', import.meta.url),
    'utf8',
  ),
)
/** Names whose first answer is private; what is answered later is looked at when it is dialled. */
const NAMES = corpus.cases.filter(({ url, dns }) =>
  dns === undefined ? /^http:\/\/(?:metadata|instance-data)/.test(url) : !/rebind|empty/.test(url),
)

it.each(NAMES)('refuses $url when it is saved', async ({ url, dns }) => {
  opened = await testControl({ custom_upstreams: { enabled: true } })
  const answers: AddressesOf = () => Promise.resolve(dns?.[0] ?? ['169.254.169.254'])
  await expect(
    checkUpstreamAddresses(opened.control, { upstream_url: url }, answers),
  ).rejects.toThrow('stands for a private or special-use address')
})

import { describe, expect, it } from 'vitest'
import { hashKeySecret } from '../lib/virtual-key.ts'
import { codeOf, pathOf } from './testing/admin-client.ts'
import { useControl } from './testing/use-control.ts'

const CONFIG = {
  providers: { acme: {} },
  policy: { max_output_tokens: 1000 },
  policies: { contractor: { max_output_tokens: 500 } },
}

describe('policies', () => {
  const used = useControl('each', CONFIG)
  const { call, seen } = used

  it('hold for the keys that name them from the next request on', async () => {
    const put = await call('PUT', '/policies/night', { policy: { max_output_tokens: 10 } })
    expect(put.body).toMatchObject({
      name: 'night',
      owner: 'api',
      policy: { max_output_tokens: 10 },
    })
    const made = await call('POST', '/keys', { name: 'a', policies: ['night'] })
    const cap = (): unknown =>
      used.control().keyRing.find(String(made.body['key']), Date.now())?.policy.maxOutputTokens
    expect(cap()).toBe(10)
    const patched = await call('PATCH', '/policies/night', {
      policy: { max_output_tokens: 20, max_input_tokens: 5 },
    })
    expect(patched.body['policy']).toEqual({ max_output_tokens: 20, max_input_tokens: 5 })
    expect(cap()).toBe(20)
    await call('PATCH', '/policies/night', { max_input_tokens: null })
    expect((await call('GET', '/policies/night')).body['policy']).toEqual({ max_output_tokens: 20 })
    await call('PUT', '/policies/night', { max_tokens: 3 })
    expect((await call('GET', '/policies/night')).body['policy']).toEqual({ max_tokens: 3 })
    expect(cap()).toBe(1000)
    expect(seen().filter(({ type }) => type === 'policy.updated')).toHaveLength(4)
  })

  it('are listed with those of the file, by name', async () => {
    await call('PUT', '/policies/zeta', {})
    await call('PUT', '/policies/alpha', {})
    const { body } = await call('GET', '/policies?limit=2')
    expect(body).toMatchObject({
      items: [
        { name: 'alpha', owner: 'api' },
        { name: 'contractor', owner: 'file', created_at: null },
      ],
      total: 3,
    })
    const rest = await call('GET', `/policies?cursor=${String(body['next'])}`)
    expect(rest.body).toMatchObject({ items: [{ name: 'zeta' }], next: null })
  })

  it('cannot be deleted while keys use them', async () => {
    await call('PUT', '/policies/night', {})
    const made = await call('POST', '/keys', { name: 'nightly job', policies: ['night'] })
    const refused = await call('DELETE', '/policies/night')
    expect([refused.status, codeOf(refused)]).toEqual([409, 'policy_in_use'])
    expect(refused.text).toContain('nightly job')
    await call('DELETE', `/keys/${String(made.body['id'])}`)
    const deleted = await call('DELETE', '/policies/night')
    expect(deleted.body).toEqual({ name: 'night', deleted: true })
    expect(seen().at(-1)).toMatchObject({ type: 'policy.deleted', data: { name: 'night' } })
    expect((await call('GET', '/policies/night')).status).toBe(404)
    const late = await call('POST', '/keys', { name: 'b', policies: ['night'] })
    expect([late.status, pathOf(late)]).toEqual([400, 'policies[0]'])
  })

  it('are never deleted under a key that is made at the same moment', async () => {
    await call('PUT', '/policies/night', {})
    const [made, deleted] = await Promise.all([
      call('POST', '/keys', { name: 'a', policies: ['night'] }),
      call('DELETE', '/policies/night'),
    ])
    const outcomes = [
      [201, 409],
      [400, 200],
    ]
    expect(outcomes).toContainEqual([made.status, deleted.status])
  })

  it('lose none of 20 parallel patches', async () => {
    await call('PUT', '/policies/night', {})
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        call('PATCH', '/policies/night', { metadata: { [`m${i}`]: 'x' } }),
      ),
    )
    const { body } = await call('GET', '/policies/night')
    expect(body['policy']).toEqual({
      metadata: Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`m${i}`, 'x'])),
    })
  })
})

describe('policies that are refused', () => {
  const used = useControl('one', CONFIG)
  const { call } = used

  it.each([
    ['PUT', '/policies/a', { max_token: 1 }, [400, 'invalid_policy', 'max_token']],
    [
      'PUT',
      '/policies/a',
      { policy: { limits: [{}] } },
      [400, 'invalid_policy', 'limits[0].scope'],
    ],
    [
      'PUT',
      '/policies/a',
      { max_output_tokens: 2000 },
      [400, 'policy_conflict', 'max_output_tokens'],
    ],
    [
      'PUT',
      '/policies/a',
      { credential: 'env:PATH', default_provider: 'acme' },
      [400, 'invalid_policy', 'credential'],
    ],
    [
      'PUT',
      '/policies/a',
      { providers: [{ provider: 'acme', upstream_url: 'http://x.test' }] },
      [400, 'invalid_policy', 'providers[0].upstream_url'],
    ],
    [
      'PUT',
      '/policies/a',
      { default_provider: 'acne' },
      [400, 'invalid_policy', 'default_provider'],
    ],
    [
      'PUT',
      '/policies/a',
      { providers: [{ provider: 'x' }] },
      [400, 'invalid_policy', 'providers[0].provider'],
    ],
    ['PUT', '/policies/a', '{', [400, 'malformed_json', undefined]],
    ['PUT', '/policies/a%20b', {}, [400, 'invalid_request', 'name']],
    ['PUT', '/policies/__proto__', {}, [400, 'invalid_request', 'name']],
    ['PUT', '/policies/contractor', {}, [409, 'file_owned', undefined]],
    ['PATCH', '/policies/contractor', {}, [409, 'file_owned', undefined]],
    ['DELETE', '/policies/contractor', undefined, [409, 'file_owned', undefined]],
    ['PATCH', '/policies/nope', {}, [404, 'not_found', undefined]],
    ['DELETE', '/policies/nope', undefined, [404, 'not_found', undefined]],
    ['GET', '/policies/nope', undefined, [404, 'not_found', undefined]],
    ['PUT', '/policies/simulate', {}, [405, 'method_not_allowed', undefined]],
    ['POST', '/policies/simulate', {}, [400, 'invalid_request', 'model']],
  ])('%s %s %j is %j', async (method, path, body, expected) => {
    const answer = await call(method, path, body)
    expect([answer.status, codeOf(answer), pathOf(answer)]).toEqual(expected)
    expect(await used.control().store.policies.list()).toEqual([])
  })
})

describe('a policy that a key of the file contradicts', () => {
  const hash = hashKeySecret('hash-key-of-the-tests', 'tkn_x')
  const used = useControl('one', { providers: { acme: {} } })

  it('is taken back', async () => {
    const { call } = used
    await call('PUT', '/policies/night', { max_output_tokens: 50 })
    used.place().nextConfig({
      providers: { acme: {} },
      virtual_keys: [{ name: 'k', hash, policies: ['night'], policy: { max_output_tokens: 40 } }],
    })
    expect((await call('POST', '/config/reload')).status).toBe(200)
    const refused = await call('PUT', '/policies/night', { max_output_tokens: 30 })
    expect([refused.status, codeOf(refused)]).toEqual([400, 'invalid_policy'])
    const kept = await call('GET', '/policies/night')
    expect(kept.body['policy']).toEqual({ max_output_tokens: 50 })
    expect(used.control().plan().policies.named.get('night')).toEqual({ max_output_tokens: 50 })
    const deleted = await call('DELETE', '/policies/night')
    expect([deleted.status, codeOf(deleted)]).toEqual([409, 'policy_in_use'])
  })
})

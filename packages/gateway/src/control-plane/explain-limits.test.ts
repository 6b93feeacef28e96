import { describe, expect, it } from 'vitest'
import { codeOf } from './testing/admin-client.ts'
import { useControl } from './testing/use-control.ts'

const CONFIG = {
  providers: { acme: {} },
  policy: {
    limits: [
      { id: 'day', scope: 'key', unit: 'usd', algorithm: 'fixed', amount: 5, window: '24h' },
      { id: 'life', scope: 'user', unit: 'tokens', algorithm: 'lifetime', amount: 1000 },
      {
        id: 'listed',
        scope: 'user',
        unit: 'tokens',
        algorithm: 'lifetime',
        values: { eve: { amount: 5 } },
      },
      { id: 'ip', scope: 'ip', unit: 'requests', capacity: 2, refill_per_sec: 1 },
      { id: 'team', scope: 'team', unit: 'requests', algorithm: 'lifetime', amount: 1 },
      { id: 'at', scope: 'provider', unit: 'requests', algorithm: 'lifetime', amount: 1 },
      {
        id: 'other',
        scope: 'key',
        unit: 'requests',
        algorithm: 'lifetime',
        amount: 1,
        match: { models: 'gpt-*' },
      },
    ],
  },
}

describe('explaining limits', () => {
  const used = useControl('each', CONFIG)

  async function newKey(user: string): Promise<string> {
    const { body } = await used.call('POST', '/keys', { name: user, subject: { user } })
    return String(body['id'])
  }

  it('says whose counter each limit has, and why a request passes or not', async () => {
    const id = await newKey('alice')
    const asked = `/keys/${id}/limits?model=acme/acme-1&input_tokens=100&output_tokens=200`
    const { body } = await used.call('GET', asked)
    expect(body).toMatchObject({
      passes: true,
      refused_by: [],
      target: 'acme/acme-1',
      request: { input_tokens: 100, output_tokens: 200 },
    })
    expect(body['limits']).toMatchObject([
      { id: 'day', value: id, outcome: 'passes', amount: 5, from: ['policy'], window: '24h' },
      { id: 'life', value: 'alice', outcome: 'passes', needs: 300, used: 0, amount: 1000 },
      { id: 'listed', outcome: 'not_applied' },
      { id: 'ip', outcome: 'depends', value: null },
      { id: 'team', outcome: 'not_applied' },
      { id: 'at', value: 'acme', outcome: 'passes' },
      { id: 'other', outcome: 'not_applied', reason: 'it is for other models' },
    ])
  })

  it('tells a short limit from one that can never take it', async () => {
    const id = await newKey('alice')
    const path = `/keys/${id}/limits?ip=10.0.0.1&input_tokens=`
    const shrunk = await used.call('GET', `${path}700&output_tokens=9000`)
    expect(shrunk.body['limits']).toMatchObject([
      {},
      { id: 'life', outcome: 'shrinks' },
      {},
      { outcome: 'passes' },
      {},
      {},
      {},
    ])
    const never = await used.call('GET', `${path}2000`)
    expect(never.body).toMatchObject({ passes: false, refused_by: ['life'] })
    const { body } = await used.call('GET', `/keys/${await newKey('eve')}/limits`)
    expect(body).toMatchObject({ passes: false, refused_by: ['life', 'listed'] })
  })

  it('refuses what it does not know', async () => {
    expect(codeOf(await used.call('GET', '/keys/nope/limits'))).toBe('not_found')
    const id = await newKey('alice')
    const answer = await used.call('GET', `/keys/${id}/limits?input_tokens=-1`)
    expect(codeOf(answer)).toBe('invalid_request')
  })
})

import { beforeAll, describe, expect, it } from 'vitest'
import { codeOf, pathOf, type Answer } from './testing/admin-client.ts'
import { useControl, type UsedControl } from './testing/use-control.ts'

const CONFIG = {
  providers: { acme: {} },
  policy: {
    limits: [
      { id: 'key-day', scope: 'key', unit: 'usd', algorithm: 'fixed', amount: 5, window: '24h' },
      { id: 'team-rpm', scope: 'team', unit: 'requests', algorithm: 'lifetime', amount: 10 },
    ],
  },
}

/** One settled request of a new key of the team: 2 dollars. */
async function spend(used: UsedControl, team: string): Promise<string> {
  const { body } = await used.call('POST', '/keys', { name: team, subject: { team } })
  const { keyRing, gate, clock } = used.control()
  const key = keyRing.find(String(body['key']), clock.wallMs())
  const demand = { inputTokens: 1, outputTokens: 1, fixedCostPicoUsd: 2e12, outputPicoUsd: 0 }
  const taken = await gate.reserve(key?.charges ?? [], demand)
  if (!taken.ok) throw new Error('The limit refused.')
  gate.settle(taken.reservation, { inputTokens: 1, outputTokens: 1, costNanoUsd: 2e9 })
  return String(body['id'])
}

function itemsOf({ body }: Answer): unknown {
  return body['items']
}

describe('limits', () => {
  const used = useControl('each', CONFIG)
  const { call, seen } = used

  it('lists counters, money in dollars', async () => {
    const id = await spend(used, 'red')
    await spend(used, 'blue')
    const listed = await call('GET', `/limits?id=key-day&value=${id}`)
    expect(itemsOf(listed)).toMatchObject([
      { id: 'key-day', scope: 'key', value: id, unit: 'usd', used: 2, reserved: 0, amount: 5 },
    ])
    expect((await call('GET', '/limits')).body).toMatchObject({ total: 4, next: null })
    expect(itemsOf(await call('GET', '/limits?scope=team&value=red'))).toMatchObject([
      { id: 'team-rpm', value: 'red', used: 1, resets_at: null },
    ])
    const first = await call('GET', '/limits?limit=3')
    const rest = await call('GET', `/limits?cursor=${String(first.body['next'])}`)
    expect(rest.body).toMatchObject({ total: 4, next: null })
    expect(itemsOf(rest)).toHaveLength(1)
  })

  it('resets one counter, or all of a limit', async () => {
    await spend(used, 'red')
    await spend(used, 'blue')
    expect((await call('POST', '/limits/team-rpm/reset', { value: 'red' })).body).toMatchObject({
      id: 'team-rpm',
      changed: 1,
    })
    expect(itemsOf(await call('GET', '/limits?id=team-rpm'))).toMatchObject([{ value: 'blue' }])
    expect((await call('POST', '/limits/team-rpm/reset')).body).toMatchObject({ changed: 2 })
    expect(itemsOf(await call('GET', '/limits?id=team-rpm'))).toEqual([])
    expect(seen().at(-1)).toMatchObject({
      type: 'limit.reset',
      data: { limit: 'team-rpm', value: null },
    })
    expect(await used.control().store.counters.list()).toHaveLength(2)
  })

  it('grants dollars', async () => {
    const id = await spend(used, 'red')
    const granted = await call('POST', '/limits/key-day/grant', { value: id, amount: 1.5 })
    expect(granted.body).toMatchObject({ changed: 1, items: [{ amount: 6.5, used: 2 }] })
    expect(seen().at(-1)).toMatchObject({
      type: 'limit.granted',
      data: { limit: 'key-day', value: id, unit: 'usd', amount: 1.5 },
    })
  })

  it('resets a limit that nobody has used yet', async () => {
    expect((await call('POST', '/limits/team-rpm/reset')).body).toMatchObject({ changed: 0 })
  })
})

describe('changes of limits that are refused', () => {
  const used = useControl('one', CONFIG)
  const { call } = used
  beforeAll(() => spend(used, 'red'))

  it.each([
    ['reset', 'nope', {}, [404, 'not_found', undefined]],
    ['grant', 'nope', { value: 'x', amount: 1 }, [404, 'not_found', undefined]],
    ['grant', 'team-rpm', { value: 'nobody', amount: 1 }, [409, 'no_counter', 'value']],
    ['grant', 'team-rpm', { value: 'red', amount: 1.5 }, [400, 'invalid_request', 'amount']],
    ['grant', 'team-rpm', { value: 'red', amount: 0 }, [400, 'invalid_request', 'amount']],
    ['grant', 'team-rpm', { value: 'red', amount: -1 }, [400, 'invalid_request', 'amount']],
    ['grant', 'key-day', { value: 'red', amount: 1e-10 }, [400, 'invalid_request', 'amount']],
    ['grant', 'key-day', { value: 'red', amount: 1e15 }, [400, 'invalid_request', 'amount']],
    ['grant', 'team-rpm', { value: 'red' }, [400, 'invalid_request', 'amount']],
    ['grant', 'team-rpm', { amount: 1 }, [400, 'invalid_request', 'value']],
    ['reset', 'team-rpm', { values: 'x' }, [400, 'invalid_request', 'values']],
  ])('refuses to %s %s with %j', async (verb, id, body, expected) => {
    const answer = await call('POST', `/limits/${id}/${verb}`, body)
    expect([answer.status, codeOf(answer), pathOf(answer)]).toEqual(expected)
  })
})

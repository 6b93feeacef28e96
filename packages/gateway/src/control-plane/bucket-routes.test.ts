import { describe, expect, it } from 'vitest'
import { createAdminApp } from './admin-app.ts'
import { readAnswer, type Answer } from './testing/admin-client.ts'
import { TOKEN } from './testing/test-control.ts'
import { useControl, type UsedControl } from './testing/use-control.ts'

const used = useControl('each', { providers: { acme: {} } })

async function ask(method: string, path: string, body?: object, token = TOKEN): Promise<Answer> {
  const response = await createAdminApp(used.control()).request(path, {
    method,
    headers: { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return await readAnswer(response)
}

async function spend(place: UsedControl, user: string, tokens: number): Promise<boolean> {
  const made = await place.call('POST', '/keys', { name: user, subject: { user } })
  const { keyRing, gate, clock } = place.control()
  const key = keyRing.find(String(made.body['key']), clock.wallMs())
  const demand = { inputTokens: tokens, outputTokens: 0, fixedCostPicoUsd: 0, outputPicoUsd: 0 }
  const taken = await gate.reserve(key?.charges ?? [], demand)
  if (!taken.ok) return false
  gate.settle(taken.reservation, { inputTokens: tokens, outputTokens: 0, costNanoUsd: 0 })
  return true
}

describe("TokenGuard's endpoints", () => {
  it('sets a bucket, which holds from the next request on', async () => {
    const set = await ask('POST', '/config/budget', {
      scope: 'user',
      id: 'alice',
      capacity: 100,
      refillPerSec: 0,
    })
    expect(set.body).toEqual({
      ok: true,
      scope: 'user:alice',
      bucket: { tokens: 100, capacity: 100, refillPerSec: 0 },
    })
    expect(await spend(used, 'alice', 60)).toBe(true)
    expect(await spend(used, 'alice', 60)).toBe(false)
    expect(await spend(used, 'bob', 1e6)).toBe(true)
    expect((await ask('GET', '/buckets/user/alice')).body).toEqual({
      scope: 'user:alice',
      bucket: { tokens: 40, capacity: 100, refillPerSec: 0 },
    })
    const more = await ask('POST', '/config/budget', { scope: 'user', id: 'alice', capacity: 500 })
    expect(more.body).toMatchObject({ bucket: { tokens: 440, capacity: 500, refillPerSec: 0 } })
    expect(await spend(used, 'alice', 400)).toBe(true)
  })

  it('sets the rate of a user, and the bucket of all', async () => {
    expect(
      (await ask('POST', '/config/refill-rate', { userId: 'eve', refillPerSec: 9 })).body,
    ).toEqual({
      ok: true,
      userId: 'eve',
      refillPerSec: 9,
      bucket: { tokens: 1000, capacity: 1000, refillPerSec: 9 },
    })
    await ask('POST', '/config/budget', { scope: 'global', capacity: 10, refillPerSec: -1 })
    expect((await ask('GET', '/buckets/global')).body).toEqual({
      scope: 'global',
      bucket: { tokens: 10, capacity: 10, refillPerSec: 0 },
    })
    expect(await spend(used, 'bob', 11)).toBe(false)
  })

  it('shows the defaults where nothing was set, and sets nothing', async () => {
    expect((await ask('GET', '/buckets/team/red')).body).toEqual({
      scope: 'team:red',
      bucket: { tokens: 1000, capacity: 1000, refillPerSec: 5 },
    })
    expect(used.control().plan().policies.global.limits).toBeUndefined()
  })

  it.each([
    ['POST', '/config/budget', { scope: 'nope', id: 'x' }, 'invalid scope'],
    ['POST', '/config/budget', { scope: 'team' }, 'id required for non-global scope'],
    [
      'POST',
      '/config/refill-rate',
      { userId: 'x', refillPerSec: -1 },
      'refillPerSec must be 0 or more',
    ],
    ['GET', '/buckets/nope/x', undefined, 'invalid scope'],
  ])('refuses %s %s %j', async (method, path, body, detail) => {
    const answer = await ask(method, path, body)
    expect([answer.status, answer.body]).toEqual([400, { detail }])
  })

  it('needs the token', async () => {
    const answer = await ask('GET', '/buckets/global', undefined, 'wrong')
    expect(answer.status).toBe(401)
  })
})

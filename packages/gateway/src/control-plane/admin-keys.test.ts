import { beforeAll, describe, expect, it } from 'vitest'
import { hashKeySecret } from '../lib/virtual-key.ts'
import { codeOf, pathOf, type Answer, type Call } from './testing/admin-client.ts'
import { useControl, type UsedControl } from './testing/use-control.ts'

const SECRET = 'tkn_declared-in-the-file-0123456789abcdefghijkl'
const FILE_KEY = { name: 'bootstrap', hash: hashKeySecret('hash-key-of-the-tests', SECRET) }
const CONFIG = {
  providers: { acme: {} },
  models: { fast: { targets: [{ provider: 'acme', model: 'acme-1' }] } },
  policy: { max_output_tokens: 1000 },
  policies: { contractor: { max_output_tokens: 500 } },
  teams: { research: { policy: { max_input_tokens: 9000 } } },
  virtual_keys: [FILE_KEY],
}
const HOUR_MS = 3_600_000

function textOf(value: unknown): string {
  expect(typeof value).toBe('string')
  return String(value)
}

type NewKey = { readonly id: string; readonly secret: string; readonly answer: Answer }

async function newKey(call: Call, body: Readonly<Record<string, unknown>> = {}): Promise<NewKey> {
  const answer = await call('POST', '/keys', { name: 'laptop', ...body })
  expect(answer.status).toBe(201)
  return { id: textOf(answer.body['id']), secret: textOf(answer.body['key']), answer }
}

function works({ control }: UsedControl, secret: string): boolean {
  return control().keyRing.find(secret, control().clock.wallMs()) !== null
}

describe('making keys', () => {
  const used = useControl('one', CONFIG)
  const { call, seen } = used
  it('shows the secret once and lets it work at once', async () => {
    const { id, secret, answer } = await newKey(call, {
      policy: { max_tokens: 5 },
      policies: ['contractor'],
      subject: { team: 'research', user: 'ada' },
      scopes: ['chat'],
      expires: '24h',
      rotate_every: '30d',
      metadata: { cost_centre: '7' },
    })
    expect(works(used, secret)).toBe(true)
    expect(answer.body).toMatchObject({
      name: 'laptop',
      last4: secret.slice(-4),
      state: 'active',
      owner: 'api',
      enabled: true,
      revoked_at: null,
      rotated_at: null,
      last_used_at: null,
      rotate_every: '30d',
      created_by: 'admin',
      scopes: ['chat'],
      subject: { team: 'research', rolegroup: null, role: null, user: 'ada' },
      policy: { max_tokens: 5 },
      policies: ['contractor'],
      metadata: { cost_centre: '7' },
    })
    const read = await call('GET', `/keys/${id}`)
    const { key: _key, ...rest } = answer.body
    expect(read.body).toEqual({ ...rest, last_used_at: null })
    expect(seen().at(-1)).toMatchObject({ type: 'key.created', data: { key_id: id } })
  })

  it.each([
    ['24h', 24 * HOUR_MS],
    ['7d', 7 * 24 * HOUR_MS],
    ['1w', 7 * 24 * HOUR_MS],
  ])('expires after %s', async (expires, ms) => {
    const { answer, secret } = await newKey(call, { expires })
    const at = Date.parse(textOf(answer.body['expires_at']))
    expect(Math.abs(at - used.control().clock.wallMs() - ms)).toBeLessThan(5000)
    used.place().advance(ms + 1)
    expect(works(used, secret)).toBe(false)
  })

  it.each(['1mo', '1y', '2099-01-31T12:00:00Z', '2099-01-31T12:00:00+02:00'])(
    'takes %s',
    async (expires) => {
      const { answer } = await newKey(call, { expires })
      expect(Date.parse(textOf(answer.body['expires_at']))).toBeGreaterThan(Date.now())
    },
  )

  it.each(['never', 'none', 'clear', null])('never expires with %s', async (expires) => {
    const { answer } = await newKey(call, { expires })
    expect(answer.body['expires_at']).toBeNull()
  })
})

describe('keys that are refused', () => {
  const used = useControl('one', CONFIG)
  const { call, seen } = used

  it.each([
    ['no name', {}, 'invalid_request', 'name'],
    ['an empty name', { name: ' ' }, 'invalid_request', 'name'],
    ['a long name', { name: 'x'.repeat(129) }, 'invalid_request', 'name'],
    ['a line break', { name: 'a\nb' }, 'invalid_request', 'name'],
    ['a C1 control', { name: 'a\u0085b' }, 'invalid_request', 'name'],
    ['a line separator', { name: 'a\u2028b' }, 'invalid_request', 'name'],
    ['an escape', { name: 'a\u001b[31m' }, 'invalid_request', 'name'],
    ['a name that is no text', { name: 7 }, 'invalid_request', 'name'],
    ['an unknown field', { name: 'a', polcy: {} }, 'invalid_request', 'polcy'],
    [
      'a member __proto__',
      '{"name":"a","metadata":{"__proto__":"b"}}',
      'invalid_request',
      'metadata.__proto__',
    ],
    ['a bad expiry', { name: 'a', expires: 'soon' }, 'invalid_request', 'expires'],
    ['a past expiry', { name: 'a', expires: '2001-01-01T00:00:00Z' }, 'invalid_request', 'expires'],
    [
      'a time without a zone',
      { name: 'a', expires: '2099-01-01T00:00:00' },
      'invalid_request',
      'expires',
    ],
    ['a bad rotation', { name: 'a', rotate_every: '1x' }, 'invalid_request', 'rotate_every'],
    ['an unknown scope', { name: 'a', scopes: ['chad'] }, 'invalid_request', 'scopes[0]'],
    ['an unknown level', { name: 'a', subject: { tem: 'x' } }, 'invalid_request', 'subject.tem'],
    [
      'a bad metadata name',
      { name: 'a', metadata: { 'a b': 'c' } },
      'invalid_request',
      'metadata["a b"]',
    ],
    [
      'an unknown policy field',
      { name: 'a', policy: { max_token: 1 } },
      'invalid_policy',
      'policy.max_token',
    ],
    [
      'a bad window',
      {
        name: 'a',
        policy: {
          limits: [{ scope: 'key', unit: 'tokens', algorithm: 'fixed', amount: 1, window: '1x' }],
        },
      },
      'invalid_policy',
      'policy.limits[0].window',
    ],
    ['an unknown policy', { name: 'a', policies: ['contracter'] }, 'invalid_policy', 'policies[0]'],
    [
      'an unknown provider',
      { name: 'a', policy: { default_provider: 'acne' } },
      'invalid_policy',
      'policy.default_provider',
    ],
    [
      'a looser policy',
      { name: 'a', policy: { max_output_tokens: 2000 } },
      'policy_conflict',
      'policy.max_output_tokens',
    ],
    ['no JSON', '{"name":', 'malformed_json', undefined],
    ['a list', '[]', 'malformed_json', undefined],
    ['a member twice', '{"name":"a","name":"b"}', 'malformed_json', undefined],
    [
      'deep nesting',
      `{"name":"a","policy":${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}}`,
      'malformed_json',
      undefined,
    ],
  ])('refuses %s', async (_what, body, code, path) => {
    const answer = await call('POST', '/keys', body)
    expect(answer.status).toBe(400)
    expect([codeOf(answer), pathOf(answer)]).toEqual([code, path])
    expect(await used.control().store.keys.list()).toEqual([])
    expect(seen()).toEqual([])
  })

  it('refuses a body above 1 MiB', async () => {
    const answer = await call('POST', '/keys', { name: 'a', policy: { a: 'x'.repeat(1_100_000) } })
    expect([answer.status, codeOf(answer)]).toEqual([413, 'body_too_large'])
  })
})

describe('changing keys', () => {
  const used = useControl('one', CONFIG)
  const { call, seen } = used
  it('merges a patch into the policy, and replaces it when asked', async () => {
    const { id } = await newKey(call, {
      policy: { max_tokens: 5, budget: { daily: 1, monthly: 9 } },
    })
    const patched = await call('PATCH', `/keys/${id}`, {
      policy: { max_tokens: null, budget: { daily: 2 }, max_input_tokens: 7 },
    })
    expect(patched.body['policy']).toEqual({
      budget: { daily: 2, monthly: 9 },
      max_input_tokens: 7,
    })
    const replaced = await call('PATCH', `/keys/${id}`, {
      policy: { max_tokens: 1 },
      replace: true,
    })
    expect(replaced.body['policy']).toEqual({ max_tokens: 1 })
    const removed = await call('PATCH', `/keys/${id}`, { policy: null })
    expect(removed.body['policy']).toEqual({})
    expect(seen().at(-1)).toMatchObject({ type: 'key.updated', data: { changed: ['policy'] } })
  })

  it.each([
    [{ name: 'new' }, { name: 'new' }],
    [{ metadata: { b: '2', a: null } }, { metadata: { b: '2' } }],
    [{ metadata: null }, { metadata: {} }],
    [
      { subject: { user: 'bob' } },
      { subject: { team: 'research', rolegroup: null, role: null, user: 'bob' } },
    ],
    [
      { subject: { team: null } },
      { subject: { team: null, rolegroup: null, role: null, user: null } },
    ],
    [{ subject: null }, { subject: { team: null, rolegroup: null, role: null, user: null } }],
    [{ scopes: ['messages'] }, { scopes: ['messages'] }],
    [{ scopes: null }, { scopes: [] }],
    [{ policies: ['contractor'] }, { policies: ['contractor'] }],
    [{ expires: '2098-01-01T00:00:00Z' }, { expires_at: '2098-01-01T00:00:00.000Z' }],
    [{ expires: 'clear' }, { expires_at: null }],
    [{ rotate_every: '7d' }, { rotate_every: '1w' }],
    [{ enabled: false }, { enabled: false, state: 'disabled' }],
    [{}, { name: 'laptop' }],
  ])('applies %j', async (patch, expected) => {
    const { id } = await newKey(call, {
      metadata: { a: '1' },
      subject: { team: 'research' },
      scopes: ['chat'],
      expires: '1d',
    })
    const answer = await call('PATCH', `/keys/${id}`, patch)
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject(expected)
    expect((await call('GET', `/keys/${id}`)).body).toEqual(answer.body)
  })

  it.each([
    [{ policy: { max_output_tokens: 5000 } }, 'policy_conflict', 'policy.max_output_tokens'],
    [{ policy: { nope: 1 } }, 'invalid_policy', 'policy.nope'],
    [{ policies: ['nope'] }, 'invalid_policy', 'policies[0]'],
    [{ metadata: { 'x y': '1' } }, 'invalid_request', 'metadata["x y"]'],
    [{ name: null }, 'invalid_request', 'name'],
    [{ id: 'key_other' }, 'invalid_request', 'id'],
    [{ created_by: 'x' }, 'invalid_request', 'created_by'],
    [{ expires_at: null }, 'invalid_request', 'expires_at'],
  ])('refuses %j and changes nothing', async (patch, code, path) => {
    const { id } = await newKey(call)
    const before = (await call('GET', `/keys/${id}`)).body
    const answer = await call('PATCH', `/keys/${id}`, patch)
    expect([answer.status, codeOf(answer), pathOf(answer)]).toEqual([400, code, path])
    expect((await call('GET', `/keys/${id}`)).body).toEqual(before)
  })

  it('does not hold against a key what its parents tightened later', async () => {
    const { id } = await newKey(call, { policy: { max_output_tokens: 900 } })
    used.place().nextConfig({ ...CONFIG, policy: { max_output_tokens: 800 } })
    expect((await call('POST', '/config/reload')).status).toBe(200)
    expect((await call('PATCH', `/keys/${id}`, { name: 'b' })).status).toBe(200)
    expect((await call('PATCH', `/keys/${id}`, { policy: { max_tokens: 1 } })).status).toBe(200)
    const worse = await call('PATCH', `/keys/${id}`, { policy: { max_output_tokens: 950 } })
    expect(codeOf(worse)).toBe('policy_conflict')
  })

  it('loses none of 20 parallel patches', async () => {
    const { id } = await newKey(call)
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        call('PATCH', `/keys/${id}`, { metadata: { [`m${i}`]: String(i) } }),
      ),
    )
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200))
    const { body } = await call('GET', `/keys/${id}`)
    expect(body['metadata']).toEqual(
      Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`m${i}`, String(i)])),
    )
  })

  it('goes on after a change that failed', async () => {
    const { id } = await newKey(call)
    const [bad, good] = await Promise.all([
      call('PATCH', `/keys/${id}`, { policy: { nope: 1 } }),
      call('PATCH', `/keys/${id}`, { name: 'after' }),
    ])
    expect([bad.status, good.status]).toEqual([400, 200])
  })
})

describe('the life of a key', () => {
  const used = useControl('each', CONFIG)
  const { call, seen } = used
  it('is refused while disabled and works again once enabled', async () => {
    const { id, secret } = await newKey(call)
    expect((await call('POST', `/keys/${id}/disable`)).body['state']).toBe('disabled')
    expect(works(used, secret)).toBe(false)
    expect((await call('POST', `/keys/${id}/enable`, {})).body['state']).toBe('active')
    expect(works(used, secret)).toBe(true)
  })

  it('is revoked for good', async () => {
    const { id, secret } = await newKey(call)
    const revoked = await call('DELETE', `/keys/${id}`)
    expect(revoked.body).toMatchObject({ state: 'revoked' })
    expect(works(used, secret)).toBe(false)
    expect((await call('DELETE', `/keys/${id}`)).body).toEqual(revoked.body)
    for (const [method, path, body] of [
      ['PATCH', '', { name: 'x' }],
      ['POST', '/enable', {}],
      ['POST', '/disable', {}],
      ['POST', '/rotate', {}],
    ] as const) {
      const answer = await call(method, `/keys/${id}${path}`, body)
      expect([answer.status, codeOf(answer)]).toEqual([409, 'key_revoked'])
    }
    expect(seen().filter(({ type }) => type === 'key.revoked')).toHaveLength(1)
  })

  it('rotates at once, or with a grace', async () => {
    const { id, secret: first } = await newKey(call)
    const rotated = await call('POST', `/keys/${id}/rotate`)
    const second = textOf(rotated.body['key'])
    expect(rotated.body).toMatchObject({ id, last4: second.slice(-4), previous_valid_until: null })
    expect([works(used, first), works(used, second)]).toEqual([false, true])
    const again = await call('POST', `/keys/${id}/rotate`, { grace: '1h' })
    const third = textOf(again.body['key'])
    expect(again.body['previous_valid_until']).not.toBeNull()
    expect([works(used, second), works(used, third)]).toEqual([true, true])
    used.place().advance(HOUR_MS + 1)
    expect([works(used, second), works(used, third)]).toEqual([false, true])
    expect((await call('GET', `/keys/${id}`)).body['previous_valid_until']).toBeNull()
    const refused = await call('POST', `/keys/${id}/rotate`, { grace: 'a while' })
    expect([refused.status, pathOf(refused)]).toEqual([400, 'grace'])
    expect(works(used, third)).toBe(true)
  })

  it.each(['0', '0s', 'none', null])('has no grace with %s', async (grace) => {
    const { id, secret } = await newKey(call)
    await call('POST', `/keys/${id}/rotate`, { grace })
    expect(works(used, secret)).toBe(false)
  })

  it('survives a restart as it was answered', async () => {
    const { id, secret } = await newKey(call, { expires: '1d' })
    await call('POST', `/keys/${id}/rotate`, { grace: '1h' })
    used.control().keyRing.replaceAll(await used.control().store.keys.list())
    expect(works(used, secret)).toBe(true)
  })
})

describe('finding and listing keys', () => {
  const used = useControl('each', CONFIG)
  const { call } = used
  it('takes a unique prefix of the id or the hash', async () => {
    const { id, secret } = await newKey(call)
    const hash = hashKeySecret('hash-key-of-the-tests', secret)
    for (const prefix of [id.slice(0, 12), hash, hash.slice(0, 10)]) {
      expect((await call('GET', `/keys/${prefix}`)).body['id']).toBe(id)
    }
  })

  it('lists what an ambiguous prefix matches', async () => {
    const ids = [(await newKey(call)).id, (await newKey(call)).id]
    const answer = await call('PATCH', '/keys/key_', { name: 'x' })
    expect([answer.status, codeOf(answer)]).toEqual([409, 'ambiguous_id'])
    for (const id of ids) expect(answer.text).toContain(id)
  })

  it('pages through keys while others are made', async () => {
    for (let i = 0; i < 5; i++) await newKey(call, { name: `k${i}` })
    const names: unknown[] = []
    let next: unknown = null
    do {
      const cursor = next === null ? '' : `&cursor=${textOf(next)}`
      const { body } = await call('GET', `/keys?limit=2${cursor}`)
      const items = body['items']
      if (Array.isArray(items)) names.push(...items.map((item) => item.name))
      next = body['next']
      if (names.length === 2) await newKey(call, { name: 'k5' })
    } while (next !== null)
    expect(new Set(names).size).toBe(names.length)
    expect(names.filter((name) => /^k\d$/.test(String(name)))).toHaveLength(6)
  })

  it('explains a policy and its sources', async () => {
    const { id } = await newKey(call, { policies: ['contractor'], subject: { team: 'research' } })
    const { body } = await call('GET', `/keys/${id}/explain?model=fast`)
    expect(body).toMatchObject({
      key: { id, name: 'laptop' },
      layers: ['policy', 'teams.research', 'policies.contractor', 'key'],
      model: { name: 'fast', allowed: true },
    })
    expect(body['fields']).toContainEqual({
      field: 'max_output_tokens',
      value: 500,
      from: ['policy', 'policies.contractor'],
    })
  })
})

describe('keys of the file', () => {
  const used = useControl('one', CONFIG)
  const { call } = used
  it('are shown, and changed by the file only', async () => {
    const { body } = await call('GET', '/keys?name=bootstrap')
    const items = Array.isArray(body['items']) ? body['items'] : []
    expect(items).toMatchObject([{ owner: 'file', created_at: null, created_by: 'config' }])
    const id = textOf(items[0].id)
    for (const [method, path, sent] of [
      ['PATCH', '', { name: 'x' }],
      ['DELETE', '', undefined],
      ['POST', '/rotate', {}],
      ['POST', '/enable', {}],
      ['POST', '/disable', {}],
    ] as const) {
      const answer = await call(method, `/keys/${id}${path}`, sent)
      expect([answer.status, codeOf(answer)]).toEqual([409, 'file_owned'])
      expect(answer.text).toContain('virtual_keys')
    }
    expect(works(used, SECRET)).toBe(true)
  })
})

describe('looking for keys', () => {
  const { call } = useControl('one', CONFIG)
  beforeAll(async () => {
    await newKey(call, { policies: ['contractor'] })
    await newKey(call, { name: 'off', enabled: false, subject: { team: 'research' } })
  })

  it.each([
    ['name=lap', ['laptop']],
    ['state=disabled', ['off']],
    ['team=research', ['off']],
    ['user=nobody', []],
    ['policy=contractor', ['laptop']],
  ])('filters by %s', async (query, expected) => {
    const { body } = await call('GET', `/keys?${query}`)
    const items = Array.isArray(body['items']) ? body['items'] : []
    expect(items.map((item) => item.name)).toEqual(expected)
    expect(body['total']).toBe(expected.length)
  })

  it.each(['nope', 'key_nope', '%00', '%2F', '..%2F..', '%F0%9F%92%A9'])(
    'has no key %s',
    async (id) => {
      const answer = await call('GET', `/keys/${id}`)
      expect([answer.status, codeOf(answer)]).toEqual([404, 'not_found'])
    },
  )
})

describe('keys that are overdue for rotation', () => {
  const used = useControl('one', CONFIG)
  const { call } = used

  it('are shown, and refused where their policy says so', async () => {
    const warned = await newKey(call, { rotate_every: '30d' })
    const strict = await newKey(call, {
      rotate_every: '30d',
      policy: { disable_overdue_after: '2d' },
    })
    const states = async (): Promise<readonly unknown[]> =>
      Promise.all(
        [warned, strict].map(async ({ id }) => (await call('GET', `/keys/${id}`)).body['state']),
      )
    const { body } = await call('GET', `/keys/${warned.id}`)
    const dueInMs =
      Date.parse(textOf(body['rotation_due_at'])) - Date.parse(textOf(body['created_at']))
    expect(dueInMs).toBe(30 * 24 * HOUR_MS)
    used.place().advance(31 * 24 * HOUR_MS)
    expect(await states()).toEqual(['active', 'active'])
    used.place().advance(24 * HOUR_MS)
    expect(await states()).toEqual(['active', 'overdue'])
    expect([works(used, warned.secret), works(used, strict.secret)]).toEqual([true, false])
    const listed = await call('GET', '/keys?state=overdue')
    expect(listed.body).toMatchObject({ total: 1, items: [{ id: strict.id }] })
    await call('POST', `/keys/${strict.id}/rotate`, {})
    expect(await states()).toEqual(['active', 'active'])
  })
})

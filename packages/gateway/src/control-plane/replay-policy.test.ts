import { describe, expect, it } from 'vitest'
import { NO_USAGE } from '../contracts/usage.ts'
import type { UsageRecord } from '../contracts/usage-record.ts'
import { usageRecord } from '../testing/usage-record.ts'
import { startAdminServer } from './admin-server.ts'
import { replayPolicy } from './replay-policy.ts'
import { codeOf, pathOf } from './testing/admin-client.ts'
import { useControl } from './testing/use-control.ts'

const TARGETS = [
  { provider: 'acme', model: 'dear', price: { input: 0, output: 10 } },
  { provider: 'acme', model: 'cheap', price: { input: 0, output: 1 } },
]
const CONFIG = {
  providers: { acme: {} },
  models: { m: { targets: TARGETS, max_output: 1000 } },
  teams: { blue: { policy: { max_output_tokens: 900 } } },
}
const HOUR_MS = 3_600_000

function perHour(amount: number, scope = 'key'): object {
  const limit = { id: 'rph', unit: 'requests', algorithm: 'sliding', window: '1h' }
  return { limits: [{ ...limit, scope, amount }] }
}

async function* endless(): AsyncGenerator<UsageRecord> {
  for (;;) yield usageRecord({ keyId: null })
}

async function* nothing(): AsyncGenerator<UsageRecord> {}

describe('POST /policies/replay', () => {
  const used = useControl('each', CONFIG)
  const replay = (body: object) => used.call('POST', '/policies/replay', body)

  async function newKey(team: string | null = null): Promise<string> {
    const { body } = await used.call('POST', '/keys', { name: 'k', subject: { team } })
    return String(body['id'])
  }

  /** Calls of an hour ago, a second apart, with 100 tokens of output each. */
  async function record(keyId: string, count: number, over: Partial<UsageRecord> = {}) {
    const { ledger } = used.control()
    const fromMs = used.control().clock.wallMs() - HOUR_MS
    for (let i = 0; i < count; i++) {
      const facts = {
        startedAtMs: fromMs + i * 1000,
        keyId,
        requestedModel: 'm',
        model: 'm',
        usage: { ...NO_USAGE, inputTokens: 0, outputTokens: 100 },
        costNanoUsd: 1_000_000,
        latencyMs: 500,
        asked: { inputTokens: null, maxOutputTokens: 100 },
      }
      await ledger.append(usageRecord({ ...facts, ...over }))
    }
  }

  it("tries a key's own policy, and tells of this key only", async () => {
    const [one, other] = [await newKey(), await newKey()]
    await record(one, 5)
    await record(other, 3)
    const { status, body } = await replay({ key: one, policy: perHour(2) })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      scope: { kind: 'key', value: one },
      records: 8,
      requests: 5,
      recorded: { refused: 0, cost_nanousd: 5_000_000 },
      before: { admitted: 5, refused: 0, cost_nanousd: 5_000_000 },
      after: { admitted: 2, refused: 3, cost_nanousd: 2_000_000 },
      saved_nanousd: 3_000_000,
      changes: { refused: 3, admitted: 0 },
      refused_by: [{ name: 'rph', before: 0, after: 3 }],
      by_key: [{ name: one, requests: 5 }],
      by_model: [{ name: 'm', requests: 5 }],
      others: { requests: 3, changes: { refused: 0 } },
    })
    expect(body['examples']).toMatchObject([
      { key_id: one, change: 'refused', after: { admitted: false, refused_by: 'rph' } },
      {},
      {},
    ])
    expect(body['notes']).toContainEqual(expect.stringContaining('cannot know'))
  })

  it('tries the global policy, and a team’s', async () => {
    const [inTeam, outside] = [await newKey('blue'), await newKey()]
    await record(inTeam, 4, { team: 'blue' })
    await record(outside, 4)
    expect((await replay({ policy: perHour(5, 'global') })).body).toMatchObject({
      scope: { kind: 'all' },
      requests: 8,
      after: { refused: 3 },
      others: null,
    })
    expect((await replay({ team: 'blue', policy: perHour(1, 'team') })).body).toMatchObject({
      scope: { kind: 'team', value: 'blue' },
      requests: 4,
      after: { refused: 3 },
      others: { requests: 4, changes: { refused: 0 } },
    })
  })

  it('tries another configuration of models, aliases and routing', async () => {
    await record(await newKey(), 3)
    const models = { m: { targets: TARGETS.toReversed(), max_output: 1000 } }
    const { body } = await replay({ config: { models } })
    expect(body).toMatchObject({
      after: { admitted: 3, cost_nanousd: 300_000 },
      saved_nanousd: 2_700_000,
      targets: [
        {
          from: 'acme/dear',
          to: 'acme/cheap',
          requests: 3,
          before_nanousd: 3_000_000,
          after_nanousd: 300_000,
        },
      ],
    })
    const alias = { m2: { variants: [{ model: 'm' }] } }
    await record(await newKey(), 2, { requestedModel: 'm2' })
    expect((await replay({ config: { aliases: alias } })).body).toMatchObject({
      refused_by: [{ name: 'model_not_found', before: 2, after: 0 }],
      changes: { admitted: 2 },
    })
  })

  it('reads only what lies in the time that was asked for', async () => {
    await record(await newKey(), 2)
    expect((await replay({ policy: {}, since: '10m' })).body).toMatchObject({ records: 0 })
    expect((await replay({ policy: {}, since: '2h', until: '90m' })).body).toMatchObject({
      records: 0,
    })
    expect((await replay({ policy: {}, since: '2h' })).body).toMatchObject({ records: 2 })
  })

  it('changes nothing', async () => {
    const key = await newKey()
    await record(key, 2)
    const plan = used.control().plan()
    const events = used.seen().length
    await replay({ key, policy: perHour(1), config: { aliases: {} } })
    expect(used.control().plan()).toBe(plan)
    expect(await used.control().gate.list()).toEqual([])
    expect((await used.call('GET', `/keys/${key}`)).body['policy']).toEqual({})
    expect(used.seen()).toHaveLength(events)
  })

  it('says what of a policy would have no effect', async () => {
    const key = await newKey('blue')
    const { body } = await replay({ key, policy: { max_output_tokens: 950 } })
    expect(body['notes']).toContainEqual(
      expect.stringMatching(/^policy\.max_output_tokens has no effect/),
    )
  })

  it('runs once at a time, and ends with its caller', async () => {
    await record(await newKey(), 500)
    const first = replay({ policy: {} })
    const second = await replay({ policy: {} })
    expect([second.status, codeOf(second)]).toEqual([409, 'replay_running'])
    expect((await first).status).toBe(200)
    const left = new AbortController()
    const cut = replayPolicy(used.control(), { policy: {} }, left.signal)
    left.abort(new Error('left'))
    await expect(cut).rejects.toThrow('has left')
    expect((await replay({ policy: {} })).status).toBe(200)
  })

  it('ends when the connection of its caller does', async () => {
    const { store } = used.control()
    const calls = { count: 0 }
    const iterate = (): AsyncGenerator<UsageRecord> => (calls.count++ === 0 ? endless() : nothing())
    const control = {
      ...used.control(),
      store: { ...store, records: { ...store.records, iterate } },
    }
    const admin = await startAdminServer(control, { host: '127.0.0.1', port: 0 })
    const ask = (signal?: AbortSignal): Promise<Response> =>
      fetch(`${admin.url}/admin/v1/policies/replay`, {
        method: 'POST',
        headers: { authorization: `Bearer ${control.adminToken}` },
        body: JSON.stringify({ policy: {} }),
        ...(signal === undefined ? {} : { signal }),
      })
    const leaving = new AbortController()
    const first = ask(leaving.signal).catch(() => null)
    await expect.poll(() => calls.count).toBe(1)
    expect((await ask()).status).toBe(409)
    leaving.abort()
    expect(await first).toBeNull()
    await expect.poll(async () => (await ask()).status).toBe(200)
    await admin.close()
  })

  it.each([
    [{}, 'policy'],
    [{ policy: {}, since: 'soon' }, 'since'],
    [{ policy: {}, since: '1h', until: '2h' }, 'until'],
    [{ policy: {}, key: 'k', team: 't' }, 'team'],
    [{ policy: {}, merge: true }, 'merge'],
    [{ policy: {}, config: { policy: {} } }, 'policy'],
    [{ policy: {}, other: 1 }, 'other'],
  ])('refuses what it cannot mean: %j', async (body, path) => {
    const answer = await replay(body)
    expect([answer.status, codeOf(answer), pathOf(answer)]).toEqual([400, 'invalid_request', path])
  })

  it('refuses sections that cannot be tried, with their path', async () => {
    const providers = await replay({ config: { providers: {} } })
    expect([codeOf(providers), pathOf(providers)]).toEqual(['invalid_config', 'providers'])
    const model = { targets: [{ provider: 'acme', credential: 'file:/etc/hostname' }] }
    const secret = await replay({ config: { models: { m: model } } })
    expect([codeOf(secret), pathOf(secret)]).toEqual([
      'invalid_config',
      'models.m.targets[0].credential',
    ])
    const unknown = await replay({ config: { models: { m: { targets: [{ provider: 'x' }] } } } })
    expect([unknown.status, codeOf(unknown)]).toEqual([400, 'invalid_policy'])
    const bad = await replay({ policy: { limits: [{ id: 'x' }] } })
    expect([bad.status, codeOf(bad)]).toEqual([400, 'invalid_policy'])
    expect((await replay({ key: 'key_none', policy: {} })).status).toBe(404)
  })
})

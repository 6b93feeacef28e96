import { describe, expect, it } from 'vitest'
import type { UsageRecord } from '../../contracts/usage-record.ts'
import { NO_USAGE } from '../../contracts/usage.ts'
import { compileKey } from '../../plan/compile-key.ts'
import { testKey, testPlan } from '../../plan/testing/plan-fixtures.ts'
import { PROTOCOLS } from '../../registry.ts'
import { usageRecord } from '../../testing/usage-record.ts'
import { EndQueue } from './end-queue.ts'
import { replay, type ReplayOptions, type Ruling } from './replay.ts'

type Config = Readonly<Record<string, unknown>>

const START_MS = Date.UTC(2026, 2, 10, 10)
const PROVIDERS = { acme: {}, far: { extends: 'acme' } }
const price = (output: number) => ({ input: 0, output })
const DEAR = { provider: 'acme', model: 'dear', price: price(10) }
const CHEAP = { provider: 'far', model: 'cheap', price: price(1) }
const BASE = { providers: PROVIDERS, models: { m: { targets: [DEAR, CHEAP], max_output: 1000 } } }

function ruling(config: Config, policies: Readonly<Record<string, Config>> = {}): Ruling {
  const plan = testPlan({ ...BASE, ...config })
  return {
    plan,
    keyOf(id) {
      const policy = policies[id]
      return policy === undefined ? null : compileKey(testKey({ id, policy }), plan.policies)
    },
  }
}

/** One request that wrote 100 tokens in a second, of a client that allowed 100. */
function past(over: Partial<UsageRecord> & { readonly atMs?: number } = {}): UsageRecord {
  const { atMs = 0, ...fields } = over
  return usageRecord({
    startedAtMs: START_MS + atMs,
    keyId: 'a',
    requestedModel: 'm',
    model: 'm',
    provider: 'acme',
    target: 'acme/dear',
    usage: { ...NO_USAGE, inputTokens: 0, outputTokens: 100 },
    costNanoUsd: 1_000_000,
    latencyMs: 1000,
    asked: { inputTokens: null, maxOutputTokens: 100 },
    ...fields,
  })
}

async function* each(records: readonly UsageRecord[]): AsyncGenerator<UsageRecord> {
  for (const record of records) yield record
}

async function* endless(): AsyncGenerator<UsageRecord> {
  for (let atMs = 0; ; atMs++) yield past({ atMs })
}

function run(
  records: readonly UsageRecord[],
  after: Ruling,
  over: Partial<ReplayOptions> = {},
): ReturnType<typeof replay> {
  return replay({
    records: each(records),
    protocols: PROTOCOLS,
    before: ruling({}, { a: {}, b: {} }),
    after,
    isTold: () => true,
    maxRecords: 1e6,
    signal: new AbortController().signal,
    ...over,
  })
}

const limit = (fields: Config): Config => ({ limits: [{ id: 'new', scope: 'key', ...fields }] })
const PER_MINUTE = { unit: 'requests', algorithm: 'sliding', amount: 2, window: '1m' }

describe('replay', () => {
  it('counts in the time of the records: a rate refuses what comes too soon, and only that', async () => {
    const times = [0, 1000, 2000, 90_000, 91_000]
    const records = times.map((atMs) => past({ atMs }))
    const { report } = await run(records, ruling({}, { a: limit(PER_MINUTE) }))
    expect(report.requests).toBe(5)
    expect(report.before).toMatchObject({ admitted: 5, refused: 0, costNanoUsd: 5_000_000 })
    expect(report.after).toMatchObject({ admitted: 4, refused: 1, costNanoUsd: 4_000_000 })
    expect(Object.fromEntries(report.refusedBy)).toEqual({ new: { before: 0, after: 1 } })
    expect(report.changed).toMatchObject({ refused: 1, admitted: 0 })
    expect(report.examples).toMatchObject([
      { past: { record: { startedAtMs: START_MS + 2000 } }, change: 'refused' },
    ])
  })

  it('holds calls for as long as they took', async () => {
    const one = limit({ unit: 'concurrent', algorithm: 'concurrent', amount: 1 })
    const overlapping = [past(), past({ atMs: 999 }), past({ atMs: 1001 })]
    const { report } = await run(overlapping, ruling({}, { a: one }))
    expect(report.after).toMatchObject({ admitted: 2, refused: 1 })
  })

  it('reserves what the client allowed, settles what was used, and waits for what calls give back', async () => {
    const life = limit({ unit: 'tokens', algorithm: 'lifetime', amount: 1100, min_output: 1000 })
    const asked = { inputTokens: null, maxOutputTokens: 1000 }
    const held = [past({ asked }), past({ atMs: 500, asked })]
    const after = ruling({}, { a: life })
    const { report } = await run(held, after)
    // The second waits until the first has given 900 of its 1,000 tokens back.
    expect(report.after).toMatchObject({ admitted: 2, refused: 0 })
    const long = [past({ asked, latencyMs: 60_000 }), past({ atMs: 500, asked })]
    expect((await run(long, after)).report.after).toMatchObject({ admitted: 1, refused: 1 })
    const spent = [past({ asked }), past({ atMs: 2000, asked }), past({ atMs: 4000, asked })]
    expect((await run(spent, after)).report.after).toMatchObject({ admitted: 2, refused: 1 })
  })

  it('prices recorded usage at another target, and tells from where to where', async () => {
    const turned = { models: { m: { targets: [CHEAP, DEAR], max_output: 1000 } } }
    const { report } = await run([past(), past({ atMs: 1 })], ruling(turned, { a: {} }))
    expect(report.after.costNanoUsd).toBe(200_000)
    expect(report.targets()).toEqual([
      {
        from: 'acme/dear',
        to: 'far/cheap',
        requests: 2,
        beforeNanoUsd: 2_000_000,
        afterNanoUsd: 200_000,
      },
    ])
    expect(report.changed.target).toBe(2)
    expect(report.models()).toMatchObject([{ name: 'm', requests: 2 }])
  })

  it('cuts answers at a tighter cap, and counts what is left of them', async () => {
    const { report } = await run([past()], ruling({}, { a: { max_output_tokens: 40 } }))
    expect(report.after).toMatchObject({ shrunk: 1, costNanoUsd: 400_000 })
    expect(report.changed.shrunk).toBe(1)
  })

  it('refuses what the candidate does not allow, by the code that the client would get', async () => {
    const after = ruling({ policy: { models: { deny: ['m'] } } }, { a: {} })
    const { report } = await run([past()], after)
    expect(Object.fromEntries(report.refusedBy)).toEqual({
      model_not_allowed: { before: 0, after: 1 },
    })
    const gone = await run([past({ keyId: 'gone' })], ruling({}, { a: {} }))
    expect(Object.fromEntries(gone.report.refusedBy)).toEqual({
      invalid_api_key: { before: 1, after: 1 },
    })
  })

  it('admits what was refused, and does not make up what it would have cost', async () => {
    const refused = past({
      usage: NO_USAGE,
      costNanoUsd: 0,
      attempts: [],
      status: 429,
      errorSource: 'gateway',
      errorClass: 'rate_limit_exceeded',
      latencyMs: 1,
    })
    const tight = ruling({}, { a: limit({ ...PER_MINUTE, amount: 1 }) })
    const { report } = await run([past(), refused], ruling({}, { a: {} }), { before: tight })
    expect(report.before).toMatchObject({ refused: 1, unknownCost: 0 })
    expect(report.after).toMatchObject({ admitted: 2, unknownCost: 1, costNanoUsd: 1_000_000 })
    expect(report.changed.admitted).toBe(1)
    expect(report.recorded.refused).toBe(1)
  })

  it('releases what failed at the provider, and passes over what no policy decides on', async () => {
    const failed = past({ usage: NO_USAGE, costNanoUsd: 0, status: 502 })
    const life = limit({ unit: 'tokens', algorithm: 'lifetime', amount: 150, min_output: 100 })
    const records = [
      failed,
      past({ atMs: 2000 }),
      past({ keyId: null }),
      past({ requestedModel: null }),
      past({ cache: 'idempotent' }),
      past({ endpoint: 'unknown' }),
    ]
    const { report } = await run(records, ruling({}, { a: life }))
    expect(report.after).toMatchObject({ admitted: 2, refused: 0 })
    expect(report.passedOver).toEqual({
      no_key: 1,
      not_read: 1,
      from_cache: 1,
      unknown_endpoint: 1,
    })
  })

  it('lets others take their part of a shared limit, and tells of them apart', async () => {
    const shared = { policy: limit({ ...PER_MINUTE, scope: 'global' }) }
    const records = [past({ keyId: 'b' }), past({ keyId: 'b', atMs: 1 }), past({ atMs: 2 })]
    const { report, others } = await run(records, ruling(shared, { a: {}, b: {} }), {
      isTold: ({ keyId }) => keyId === 'a',
    })
    expect(report.after).toMatchObject({ admitted: 0, refused: 1 })
    expect(others.after).toMatchObject({ admitted: 2, refused: 0 })
  })

  it('takes the output of older records for what their clients asked', async () => {
    const { asked: _asked, ...older } = past()
    const { report } = await run([older], ruling({}, { a: {} }))
    expect(report.inexact).toBe(1)
    expect(report.after.admitted).toBe(1)
  })

  it('is bounded in records, and ends when nobody wants it any more', async () => {
    const many = Array.from({ length: 50 }, (_, i) => past({ atMs: i }))
    expect(await run(many, ruling({}, { a: {} }), { maxRecords: 10 })).toMatchObject({
      records: 10,
      truncated: true,
    })
    const gone = new AbortController()
    gone.abort(new Error('left'))
    const options = { records: endless(), signal: gone.signal }
    await expect(run([], ruling({}, { a: {} }), options)).rejects.toThrow('left')
  })

  it('keeps rows of names from clients bounded', async () => {
    const records = Array.from({ length: 1500 }, (_, i) =>
      past({ atMs: i, requestedModel: `nobody-${i}` }),
    )
    const { report } = await run(records, ruling({}, { a: {} }))
    expect(report.models()).toHaveLength(1001)
    expect(report.models()[0]).toMatchObject({ name: '(others)', requests: 500 })
    expect(report.examples).toEqual([])
  })
})

describe('EndQueue', () => {
  it('gives the earliest first, whatever the order they came in', () => {
    const queue = new EndQueue<{ readonly atMs: number }>()
    const times = Array.from({ length: 500 }, (_, i) => (i * 7919) % 503)
    for (const atMs of times) queue.add({ atMs })
    const taken: number[] = []
    while (queue.size > 0) taken.push(queue.take()?.atMs ?? Number.NaN)
    expect(taken).toEqual(times.toSorted((one, other) => one - other))
    expect(queue.take()).toBeUndefined()
    expect(queue.nextMs()).toBe(Infinity)
  })
})

import { describe, expect, it } from 'vitest'
import type { RecordFilter, RecordStore } from '../contracts/store.ts'
import type { UsageRecord } from '../contracts/usage-record.ts'
import { NO_USAGE } from '../contracts/usage.ts'
import { usageRecord } from '../testing/usage-record.ts'
import { createStats, restoreStats } from './stats.ts'

const START = 1_750_000_000_000

function fakeClock(): { monotonicMs(): number; wallMs(): number; pass(ms: number): void } {
  let elapsedMs = 0
  return {
    monotonicMs: () => 1000 + elapsedMs,
    wallMs: () => START + elapsedMs,
    pass: (ms) => {
      elapsedMs += ms
    },
  }
}

describe('rolling stats', () => {
  it('adds up requests, errors, tokens, money and durations, overall and by name', () => {
    const stats = createStats({ clock: fakeClock() })
    stats.sink(usageRecord({ latencyMs: 100, ttftMs: 10, savedNanoUsd: 4 }))
    stats.sink(
      usageRecord({
        model: 'b',
        keyId: 'key_b',
        provider: null,
        errorClass: 'internal',
        costNanoUsd: null,
        usage: { ...NO_USAGE, inputTokens: 1, reasoningTokens: 2, cacheWrite1hTokens: 3 },
        latencyMs: 1000,
      }),
    )
    const view = stats.view()
    expect(view.windows['1m']).toMatchObject({
      requests: 2,
      errors: 1,
      usage: {
        input: 101,
        output: 20,
        cache_read: 0,
        cache_write_5m: 0,
        cache_write_1h: 3,
        reasoning: 2,
      },
      cost_nanousd: 27_000,
      saved_nanousd: 4,
    })
    expect(view.windows['1m'].latency_ms.p50).toBeCloseTo(100, -1)
    expect(view.windows['1m'].latency_ms.p99).toBeCloseTo(1000, -2)
    expect(view.windows['1m'].ttft_ms.p99).toBeCloseTo(10, 0)
    expect(Object.keys(view.by_model)).toEqual(['gpt-4o-mini', 'b'])
    expect(view.by_key['key_b']?.['24h'].errors).toBe(1)
    expect(view.by_provider['none']?.['5m'].requests).toBe(1)
  })

  it('lets a request leave each window when its time is over', () => {
    const clock = fakeClock()
    const stats = createStats({ clock })
    stats.sink(usageRecord())
    const counts = (): number[] => Object.values(stats.view().windows).map((each) => each.requests)
    expect(counts()).toEqual([1, 1, 1, 1])
    clock.pass(57_000)
    expect(counts()).toEqual([1, 1, 1, 1])
    clock.pass(4000)
    expect(counts()).toEqual([0, 1, 1, 1])
    clock.pass(5 * 60_000)
    expect(counts()).toEqual([0, 0, 1, 1])
    clock.pass(60 * 60_000)
    expect(counts()).toEqual([0, 0, 0, 1])
    clock.pass(24 * 3_600_000)
    expect(counts()).toEqual([0, 0, 0, 0])
  })

  it('does not count a slot twice when the ring comes round', () => {
    const clock = fakeClock()
    const stats = createStats({ clock })
    for (let i = 0; i < 10; i++) {
      stats.sink(usageRecord())
      clock.pass(60_000)
    }
    stats.sink(usageRecord())
    expect(stats.view().windows['1m'].requests).toBe(1)
    expect(stats.view().windows['1h'].requests).toBe(11)
  })

  it('bounds the names, folds the rest into other, and loses no request', () => {
    const stats = createStats({ clock: fakeClock(), mostLabels: 10 })
    for (let i = 0; i < 500; i++) stats.sink(usageRecord({ model: `m${i}` }))
    const { by_model } = stats.view()
    expect(Object.keys(by_model)).toHaveLength(11)
    const requests = Object.values(by_model).map((windows) => windows['1m'].requests)
    expect(requests.reduce((sum, each) => sum + each, 0)).toBe(500)
    expect(by_model['other']?.['1m'].requests).toBe(490)
  })

  it('gives the place of a name unused for a day to a new one', () => {
    const clock = fakeClock()
    const stats = createStats({ clock, mostLabels: 1 })
    stats.sink(usageRecord({ model: 'old' }))
    clock.pass(25 * 3_600_000)
    stats.sink(usageRecord({ model: 'new' }))
    expect(Object.keys(stats.view().by_model)).toEqual(['new'])
  })

  it('treats __proto__ as a name like any other', () => {
    const stats = createStats({ clock: fakeClock() })
    stats.sink(usageRecord({ model: '__proto__' }))
    expect(Object.keys(stats.view().by_model)).toEqual(['__proto__'])
  })

  it('restores the last day from the store, each request at the time it ended', async () => {
    const clock = fakeClock()
    const stats = createStats({ clock })
    await restoreStats(
      stats,
      recordsOf([
        usageRecord({ startedAtMs: START - 25 * 3_600_000 }),
        usageRecord({ startedAtMs: START - 2 * 3_600_000 }),
        usageRecord({ startedAtMs: START - 100_000, latencyMs: 90_000 }),
        usageRecord({ startedAtMs: START }),
      ]),
      START,
    )
    const counts = Object.values(stats.view().windows).map((each) => each.requests)
    expect(counts).toEqual([1, 1, 1, 2])
  })
})

function recordsOf(records: readonly UsageRecord[]): RecordStore {
  return {
    list: () => Promise.reject(new Error('not used')),
    async *iterate({ sinceMs = 0, untilMs = Infinity }: RecordFilter) {
      for (const record of records) {
        if (record.startedAtMs >= sinceMs && record.startedAtMs < untilMs) yield record
      }
    },
    summary: () => Promise.reject(new Error('not used')),
    prune: () => Promise.reject(new Error('not used')),
  }
}

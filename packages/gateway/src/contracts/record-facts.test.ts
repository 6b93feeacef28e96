import { describe, expect, it } from 'vitest'
import { usageRecord } from '../testing/usage-record.ts'
import { countedOf, factsOf, type RecordFacts } from './record-facts.ts'
import type { UsageRecord } from './usage-record.ts'

const RECORDS: Readonly<Record<string, UsageRecord>> = {
  'that succeeded': usageRecord(),
  'of a stream that was cut, after a fallback': usageRecord({
    stream: true,
    complete: false,
    estimated: true,
    errorClass: 'cancelled',
    ttftMs: 12.5,
    attempts: [
      { target: 'a/one', status: 503, errorClass: 'upstream_error', durationMs: 3 },
      { target: 'b/two', status: 200, errorClass: null, durationMs: 40 },
    ],
    routing: {
      strategy: 'priority',
      mode: null,
      alias: 'fast',
      variant: null,
      reason: 'alias',
      candidates: [
        { target: 'b/two', rejected: null, score: 0 },
        { target: 'c/three', rejected: 'circuit_open', score: 0 },
      ],
    },
  }),
  'that was refused before anything was known': usageRecord({
    keyId: null,
    team: null,
    user: null,
    model: null,
    provider: null,
    target: null,
    attempts: [],
    status: 429,
    errorSource: 'gateway',
    errorClass: 'rate_limit_exceeded',
    costNanoUsd: null,
    limits: ['a', 'b"\t\n'],
    routing: null,
  }),
}

describe('record facts', () => {
  it.each(Object.entries(RECORDS))('say what is counted of a record %s', (_, record) => {
    const facts: RecordFacts = JSON.parse(JSON.stringify(factsOf(record)))
    const { attempts, routing, usage, ...same } = countedOf(facts)
    expect(record).toMatchObject(same)
    expect(record.usage).toMatchObject(usage)
    expect(attempts).toEqual(
      record.attempts.map(({ target, errorClass }) => ({ target, errorClass })),
    )
    expect(routing?.alias).toBe(record.routing?.alias ?? null)
    expect(routing?.candidates).toEqual(
      (record.routing?.candidates ?? [])
        .filter(({ rejected }) => rejected !== null)
        .map(({ target, rejected }) => ({ target, rejected })),
    )
  })
})

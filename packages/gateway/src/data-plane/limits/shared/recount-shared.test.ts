import { describe, expect, it } from 'vitest'
import type { SharedCounter, SharedReading } from '../../../contracts/shared-counters.ts'
import { recountShared } from './recount-shared.ts'

const KEY = 'life|key|k1'
const ERA = 5

type Life = {
  readonly settled: number
  readonly base?: number
  readonly era?: number
  readonly ledgers?: readonly string[]
}

function life({ settled, base = 0, era = ERA, ledgers = ['ours'] }: Life): SharedCounter {
  const state = {
    format: 1,
    id: 'life',
    scope: 'key',
    value: 'k1',
    unit: 'tokens',
    algorithm: { kind: 'lifetime', amount: 1000 },
    meter: { settled, open: 7, extra: 50 },
    era,
    base: base === 0 ? [] : [[0, base]],
    settled,
    generation: 'g',
    saved_at_ms: 1000,
  }
  return { counterKey: KEY, state: JSON.stringify(state), ledgers }
}

function reading(...counters: readonly SharedCounter[]): SharedReading {
  return { nowMs: 2000, generation: 'g', ledger: 'ours', counters }
}

function recountOf(before: Life | null, after: Life | null, said: number): unknown {
  const [first, last] = [before, after].map((one) => reading(...(one === null ? [] : [life(one)])))
  if (first === undefined || last === undefined) throw new Error('two readings')
  const charged = [
    { counter: KEY, era: ERA, at: 0, amount: said },
    { counter: KEY, era: ERA - 1, at: 0, amount: 4000 },
  ]
  const [one] = recountShared({
    before: first,
    after: last,
    stored: [life({ settled: 30 })],
    charged,
  })
  return one
}

describe('recountShared', () => {
  it.each([
    ['nothing goes on', { settled: 30 }, { settled: 30 }, 30],
    ['a call ends between the readings', { settled: 30 }, { settled: 42 }, 37],
    ['some was counted without a record', { settled: 30, base: 10 }, { settled: 30, base: 10 }, 20],
    ['a reset between the readings', { settled: 90, era: 4 }, { settled: 3 }, 3],
  ])('no difference: %s', (_, before, after, said) => {
    const { settled } = after
    expect(recountOf(before, after, said)).toMatchObject({ counted: settled, recounted: settled })
  })

  it.each([
    ['lowered', { settled: 30 }, 31, { counted: 30, recounted: 31 }],
    ['raised', { settled: 30 }, 20, { counted: 30, recounted: 20 }],
    ['deleted', null, 30, { counted: 0, recounted: 30 }],
  ])('a difference: the counter was %s', (_, counter, said, expected) => {
    expect(recountOf(counter, counter, said)).toMatchObject(expected)
  })

  it('with records in another ledger only what ours says too much is a difference', () => {
    const shared = { settled: 30, ledgers: ['ours', 'theirs'] }
    expect(recountOf(shared, shared, 20)).toMatchObject({
      recounted: null,
      reason: expect.stringContaining('another ledger'),
    })
    expect(recountOf(shared, shared, 31)).toMatchObject({ counted: 30, recounted: 31 })
  })
})

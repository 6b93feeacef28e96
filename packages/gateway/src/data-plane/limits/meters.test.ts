import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bucketLevel, excessOf } from '../../testing/gate-model.ts'
import { limitOf } from '../../testing/gate-fixtures.ts'
import { BucketMeter } from './bucket.ts'
import { FixedMeter } from './fixed.ts'
import type { Meter } from './meter.ts'
import { SlidingMeter } from './sliding.ts'

type Event = { readonly waitMs: number; readonly amount: number; readonly end: number }
type Held = { readonly atMs: number; amount: number; open: boolean; readonly ticket: number }

const START_MS = 1_750_000_000_000

const events = (longestMs: number): fc.Arbitrary<Event[]> =>
  fc.array(
    fc.record({
      waitMs: fc.oneof(fc.constant(0), fc.nat(Math.ceil(longestMs / 50)), fc.nat(longestMs)),
      amount: fc.nat(60),
      /** Which open one ends before this one starts, and at which share: below 0, none. */
      end: fc.double({ min: -0.5, max: 1, noNaN: true }),
    }),
    { maxLength: 60 },
  )

/** Calls `check` before each take; takes what fits. */
function drive(
  meter: Meter,
  sequence: readonly Event[],
  check: (held: readonly Held[], nowMs: number, event: Event) => void,
): Held[] {
  const held: Held[] = []
  let nowMs = START_MS
  for (const event of sequence) {
    nowMs += event.waitMs
    const open = held.filter((one) => one.open)
    const ending = open[event.amount % Math.max(1, open.length)]
    if (event.end >= 0 && ending !== undefined) {
      const used = Math.floor(ending.amount * event.end)
      meter.close({ ticket: ending.ticket, amount: ending.amount }, used, nowMs)
      ending.amount = used
      ending.open = false
    }
    check(held, nowMs, event)
    if (event.amount > meter.freeAt(nowMs)) continue
    const ticket = meter.take(event.amount, nowMs)
    held.push({ atMs: nowMs, amount: event.amount, open: true, ticket })
  }
  return held
}

describe('SlidingMeter', () => {
  it.each([1_000, 1_001, 7_777, 60_000])(
    'never holds more than the amount in any %i ms, and refuses at most 1/60 early',
    (windowMs) => {
      fc.assert(
        fc.property(events(windowMs), (sequence) => {
          const window = { kind: 'duration', ms: windowMs, text: '' } as const
          const algorithm = { kind: 'sliding', amount: 100, window } as const
          const held = drive(new SlidingMeter(algorithm), sequence, () => {})
          expect(excessOf(limitOf(algorithm), held)).toBeLessThanOrEqual(0)
          const meter = new SlidingMeter(algorithm)
          drive(meter, sequence, (before, nowMs) => {
            const since = nowMs - windowMs - Math.ceil(windowMs / 60)
            const recent = before.filter(({ atMs }) => atMs >= since)
            const sum = recent.reduce((total, one) => total + one.amount, 0)
            expect(meter.freeAt(nowMs)).toBeGreaterThanOrEqual(100 - sum)
          })
        }),
        { numRuns: 300 },
      )
    },
  )

  it('keeps no more than 61 slots, and none when idle', () => {
    const window = { kind: 'duration', ms: 60_000, text: '1m' } as const
    const meter = new SlidingMeter({ kind: 'sliding', amount: 1e9, window })
    for (let at = 0; at < 200_000; at += 137) {
      const ticket = meter.take(1, START_MS + at)
      meter.close({ ticket, amount: 1 }, 1, START_MS + at)
      const { slots } = meter.save(START_MS + at)
      expect(Array.isArray(slots) && slots.length).toBeLessThanOrEqual(61)
    }
    expect(meter.idleAt(START_MS + 200_000)).toBe(false)
    expect(meter.idleAt(START_MS + 262_000)).toBe(true)
  })
})

describe('FixedMeter', () => {
  const window = { kind: 'duration', ms: 3_600_000, text: '1h' } as const
  const algorithm = { kind: 'fixed', amount: 100, window, align: 'clock' } as const
  const endMs = Math.ceil(START_MS / window.ms) * window.ms

  it('opens no window again that had ended before a start under a clock that went back', () => {
    const before = new FixedMeter(algorithm)
    before.close({ ticket: before.take(100, endMs - 5_000), amount: 100 }, 100, endMs - 4_000)
    const state = before.save(endMs + 30_000)
    const after = FixedMeter.restore(algorithm, {
      state,
      chargeOpen: false,
      nowMs: endMs - 20_000,
    })
    expect(after.take(60, endMs - 20_000)).toBe(endMs)
    expect(after.freeAt(endMs + 60_000)).toBe(40)
  })

  it('gives nothing twice when it was saved without a window', () => {
    const state = new FixedMeter(algorithm).save(endMs + 30_000)
    const nowMs = endMs + 10_000
    const after = FixedMeter.restore(algorithm, { state, chargeOpen: false, nowMs })
    after.take(100, nowMs)
    expect(after.freeAt(endMs + 31_000)).toBe(0)
  })
})

describe('BucketMeter', () => {
  const rates = fc.constantFrom(0, 0.001, 1 / 3, 1, 7.3, 25, 1_000)

  it('is always where it would be had every amount been charged, as it turned out, at its own time', () => {
    fc.assert(
      fc.property(events(20_000), rates, (sequence, refillPerSec) => {
        const algorithm = { kind: 'bucket', capacity: 100, refillPerSec } as const
        const meter = new BucketMeter(algorithm, START_MS)
        const held = drive(meter, sequence, (before, nowMs) => {
          const exact = bucketLevel(algorithm, before, nowMs)
          expect(meter.freeAt(nowMs)).toBeLessThanOrEqual(exact + 1e-6)
          // Only whole units are handed out.
          expect(meter.freeAt(nowMs)).toBeGreaterThan(exact - 1 - 1e-6)
        })
        expect(excessOf(limitOf(algorithm), held)).toBeLessThanOrEqual(0)
      }),
      { numRuns: 2_000 },
    )
  })

  it('does not hand out its capacity twice when a reservation is given back after a refill', () => {
    const meter = new BucketMeter({ kind: 'bucket', capacity: 100, refillPerSec: 100 }, START_MS)
    const first = meter.take(100, START_MS)
    const second = meter.take(100, START_MS + 1_000)
    meter.close({ ticket: first, amount: 100 }, 0, START_MS + 1_000)
    expect(meter.freeAt(START_MS + 1_000)).toBe(0)
    meter.close({ ticket: second, amount: 100 }, 0, START_MS + 1_000)
    expect(meter.freeAt(START_MS + 1_000)).toBe(100)
  })

  it('refills while a reservation is open', () => {
    const meter = new BucketMeter({ kind: 'bucket', capacity: 100, refillPerSec: 10 }, START_MS)
    meter.take(100, START_MS)
    expect(meter.freeAt(START_MS + 3_000)).toBe(30)
    expect(meter.reservedAt(START_MS + 3_000)).toBe(70)
  })

  it.each([
    [5_000_000_000_000, 58_000_000],
    [50, 50 / 86_400],
    [3, 0.29],
  ])(
    'earns its refill exactly over many small steps: capacity %d, %d a second',
    (capacity, refillPerSec) => {
      const meter = new BucketMeter({ kind: 'bucket', capacity, refillPerSec }, START_MS)
      meter.take(capacity, START_MS)
      const endMs = START_MS + Math.floor((capacity / refillPerSec) * 500)
      const stepMs = Math.max(1, Math.floor((endMs - START_MS) / 1_000))
      for (let at = START_MS; at < endMs; at += stepMs) meter.freeAt(at)
      const exact = ((endMs - START_MS) * refillPerSec) / 1_000
      expect(meter.freeAt(endMs)).toBeLessThanOrEqual(exact)
      expect(meter.freeAt(endMs)).toBeGreaterThan(exact * (1 - 1e-6) - 1)
    },
  )
})

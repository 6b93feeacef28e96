import { describe, expect, it } from 'vitest'
import {
  MINUTE,
  bucket,
  chargeOf,
  fixed,
  lifetime,
  limitOf,
  sliding,
} from '../../testing/gate-fixtures.ts'
import { Counters } from './counters.ts'

describe('Counters', () => {
  it('forgets callers that were idle for a window, and no others', () => {
    const counters = new Counters()
    const limits = [sliding(10, MINUTE), fixed(10, MINUTE), bucket(10, 1)].map((one) =>
      limitOf(one),
    )
    const life = limitOf(lifetime(10))
    let nowMs = 1_750_000_000_000
    let most = 0
    for (let caller = 0; caller < 60_000; caller++) {
      nowMs += 10
      counters.sweep(nowMs)
      const charged = caller % 6_000 === 0 ? [...limits, life] : limits
      for (const limit of charged) {
        const { meter } = counters.of(chargeOf(limit, `ip-${caller}`), nowMs)
        const ticket = meter.take(1, nowMs)
        meter.close({ ticket, amount: 1 }, 1, nowMs)
      }
      most = Math.max(most, counters.size)
    }
    // 6,100 callers in the longest window, three counters each, as many again that a round of sweeping has yet to find.
    expect(most).toBeLessThan(40_000)
    nowMs += 120_000
    for (let call = 0; call < 20_000; call++) counters.sweep(nowMs)
    expect([...counters.all()].map((counter) => counter.limit.id)).toEqual(
      Array.from({ length: 10 }, () => 'lifetime'),
    )
  })

  it('keeps a counter with an open reservation', () => {
    const counters = new Counters()
    const charge = chargeOf(limitOf(fixed(10, MINUTE)))
    const counter = counters.of(charge, 0)
    const ticket = counter.meter.take(5, 0)
    for (let call = 0; call < 100; call++) counters.sweep(600_000)
    expect(counters.of(charge, 600_000)).toBe(counter)
    counter.meter.close({ ticket, amount: 5 }, 5, 600_000)
    for (let call = 0; call < 100; call++) counters.sweep(600_000)
    expect(counters.size).toBe(0)
  })
})

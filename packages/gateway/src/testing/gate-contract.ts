import { describe, expect, it } from 'vitest'
import type { LimitAlert, LimitAlgorithm } from '../contracts/limit.ts'
import {
  actualOf,
  admitted,
  bucket,
  chargeOf,
  concurrent,
  DAY,
  demandFor,
  fixed,
  type GateUnderTest,
  HOUR,
  lifetime,
  limitOf,
  type MakeGate,
  MINUTE,
  MONTH,
  refused,
  sliding,
} from './gate-fixtures.ts'
import { gateInvariants } from './gate-invariants.ts'
import { VirtualClock } from './virtual-clock.ts'

type Fixture = {
  readonly gate: GateUnderTest
  readonly clock: VirtualClock
  readonly alerts: LimitAlert[]
}

/** What every backend of the gate must do. See docs/guides/limits.md. */
export function gateContract(name: string, makeGate: MakeGate): void {
  async function start(clock = new VirtualClock()): Promise<Fixture> {
    const alerts: LimitAlert[] = []
    const gate = await makeGate({ clock, onAlert: (alert) => alerts.push(alert) })
    return { gate, clock, alerts }
  }

  describe(`${name}: gate contract`, () => {
    describe('one limit', () => {
      /** [algorithm, ms from the first call until it refills enough for 40 of 100 that were taken at once] */
      const CASES: readonly (readonly [LimitAlgorithm, number | null])[] = [
        [bucket(100, 8), 5_000],
        [bucket(100, 0.3), 133_334],
        [bucket(100, 0), null],
        [sliding(100, MINUTE), 61_000],
        [sliding(100, HOUR), 61 * 60_000],
        [fixed(100, HOUR), 3_600_000],
        [fixed(100, HOUR, 'first_use'), 3_600_000],
        [fixed(100, DAY), 14 * 3_600_000],
        [fixed(100, MONTH), Date.UTC(2026, 3, 1) - Date.UTC(2026, 2, 10, 10)],
        [lifetime(100), null],
      ]

      it.each(CASES)(
        'admits the amount, and refuses with the exact wait: %j',
        async (algorithm, waitMs) => {
          const { gate, clock } = await start()
          const charges = [chargeOf(limitOf(algorithm))]
          for (let i = 0; i < 10; i++) {
            const reservation = admitted(await gate.reserve(charges, demandFor(10)))
            await gate.settle(reservation, actualOf(10))
          }
          const refusal = refused(await gate.reserve(charges, demandFor(40)))
          expect(refusal).toMatchObject({ used: 100, reserved: 0, amount: 100, neverFits: false })
          expect(refusal.retryAfterMs).toBe(waitMs)
          if (waitMs === null) return
          clock.advance(waitMs - 1)
          expect((await gate.reserve(charges, demandFor(40))).ok).toBe(false)
          clock.advance(1)
          expect((await gate.reserve(charges, demandFor(40))).ok).toBe(true)
        },
      )

      it.each(CASES)(
        'tells a request that can never pass from one that has to wait: %j',
        async (algorithm) => {
          const { gate } = await start()
          const refusal = refused(
            await gate.reserve([chargeOf(limitOf(algorithm))], demandFor(101)),
          )
          expect(refusal).toMatchObject({ neverFits: true, retryAfterMs: null, used: 0 })
        },
      )

      it.each(CASES)('charges more than was reserved in full, as debt: %j', async (algorithm) => {
        const { gate } = await start()
        const charges = [chargeOf(limitOf(algorithm))]
        const reservation = admitted(await gate.reserve(charges, demandFor(10)))
        await gate.settle(reservation, actualOf(150))
        expect(refused(await gate.reserve(charges, demandFor(1))).used).toBe(150)
      })

      it.each(CASES)(
        'gives back what was not used, and everything on release: %j',
        async (algorithm) => {
          const { gate } = await start()
          const charges = [chargeOf(limitOf(algorithm))]
          const first = admitted(await gate.reserve(charges, demandFor(60)))
          const second = admitted(await gate.reserve(charges, demandFor(40)))
          expect(refused(await gate.reserve(charges, demandFor(1))).reserved).toBe(100)
          await gate.release(first)
          await gate.settle(second, actualOf(5))
          expect(await gate.statesOf(second)).toMatchObject([{ used: 5, reserved: 0, amount: 100 }])
          expect((await gate.reserve(charges, demandFor(96))).ok).toBe(false)
          expect((await gate.reserve(charges, demandFor(95))).ok).toBe(true)
        },
      )

      it('does not hand out a bucket twice when a reservation comes back after the refill', async () => {
        const { gate, clock } = await start()
        const charges = [chargeOf(limitOf(bucket(100, 100)))]
        const first = admitted(await gate.reserve(charges, demandFor(100)))
        clock.advance(1_000)
        const second = admitted(await gate.reserve(charges, demandFor(100)))
        await gate.release(first)
        expect(refused(await gate.reserve(charges, demandFor(1))).retryAfterMs).toBe(10)
        await gate.release(second)
        admitted(await gate.reserve(charges, demandFor(100)))
      })

      it('counts requests in flight, whatever they use', async () => {
        const { gate } = await start()
        const charges = [chargeOf(limitOf(concurrent(2), { unit: 'concurrent' }))]
        const first = admitted(await gate.reserve(charges, demandFor(5)))
        const second = admitted(await gate.reserve(charges, demandFor(5)))
        expect(refused(await gate.reserve(charges, demandFor(5)))).toMatchObject({
          used: 2,
          amount: 2,
          retryAfterMs: null,
          resetsAtMs: null,
        })
        await gate.settle(first, actualOf(500))
        admitted(await gate.reserve(charges, demandFor(5)))
        await gate.release(second)
        admitted(await gate.reserve(charges, demandFor(5)))
      })

      it.each([
        ['requests', 1],
        ['tokens', 30],
        ['input_tokens', 10],
        ['output_tokens', 20],
        ['usd', 30_001],
        ['concurrent', 1],
      ] as const)('counts %s', async (unit, amount) => {
        const { gate } = await start()
        const charges = [chargeOf(limitOf(lifetime(1e9), { unit }))]
        const demand = { ...demandFor(10, 20), fixedCostPicoUsd: 10_000_001 }
        const reservation = admitted(await gate.reserve(charges, demand))
        expect(await gate.statesOf(reservation)).toMatchObject([{ used: 0, reserved: amount }])
        await gate.settle(reservation, actualOf(4, 3))
        const used = {
          requests: 1,
          tokens: 7,
          input_tokens: 4,
          output_tokens: 3,
          usd: 7_000,
          concurrent: 1,
        }
        expect(await gate.statesOf(reservation)).toMatchObject([{ used: used[unit], reserved: 0 }])
      })

      it('takes no money for an unpriced model', async () => {
        const { gate } = await start()
        const charges = [chargeOf(limitOf(lifetime(1), { unit: 'usd' }))]
        const unpriced = { ...demandFor(1e6, 1e6), fixedCostPicoUsd: null }
        const reservation = admitted(await gate.reserve(charges, unpriced))
        expect(await gate.statesOf(reservation)).toMatchObject([{ reserved: 0 }])
      })

      it('rejects demands that are not whole numbers, and never stores one', async () => {
        const { gate } = await start()
        const charges = [chargeOf(limitOf(lifetime(10)))]
        for (const bad of [Number.NaN, Infinity, -1, 0.5, 2 ** 53]) {
          await expect(async () => gate.reserve(charges, demandFor(bad))).rejects.toThrow(
            RangeError,
          )
          await expect(async () => gate.reserve(charges, demandFor(0, bad))).rejects.toThrow(
            RangeError,
          )
        }
        const reservation = admitted(await gate.reserve(charges, demandFor(10)))
        await gate.settle(reservation, actualOf(Number.NaN))
        expect(await gate.statesOf(reservation)).toMatchObject([{ used: 10, reserved: 0 }])
      })

      it('keeps a settlement in the window of its reservation', async () => {
        const { gate, clock } = await start()
        for (const algorithm of [fixed(100, HOUR), sliding(100, HOUR)]) {
          const charges = [chargeOf(limitOf(algorithm))]
          const old = admitted(await gate.reserve(charges, demandFor(100)))
          clock.advance(61 * 60_000)
          const fresh = admitted(await gate.reserve(charges, demandFor(90)))
          await gate.settle(old, actualOf(100))
          expect(await gate.statesOf(fresh)).toMatchObject([{ used: 0, reserved: 90 }])
        }
      })
    })

    describe('several limits', () => {
      it('takes all or nothing', async () => {
        const { gate } = await start()
        const roomy = chargeOf(limitOf(lifetime(100)))
        const rate = chargeOf(limitOf(sliding(100, MINUTE)))
        const tight = chargeOf(limitOf(fixed(5, HOUR)))
        for (const charges of [
          [roomy, rate, tight],
          [tight, roomy, rate],
        ]) {
          expect(refused(await gate.reserve(charges, demandFor(10))).limit.id).toBe('fixed')
        }
        expect(await gate.list()).toEqual([])
      })

      it('names the limit that decides when the request passes', async () => {
        const { gate } = await start()
        const minute = chargeOf(limitOf(fixed(10, MINUTE), { id: 'minute' }))
        const hour = chargeOf(limitOf(fixed(10, HOUR), { id: 'hour' }))
        const life = chargeOf(limitOf(lifetime(10)))
        const tiny = chargeOf(limitOf(sliding(1, MINUTE), { id: 'tiny' }))
        const flight = chargeOf(limitOf(concurrent(0), { unit: 'concurrent' }))
        admitted(await gate.reserve([minute, hour, life], demandFor(10)))
        const named = async (...charges: (typeof minute)[]) =>
          refused(await gate.reserve(charges, demandFor(2))).limit.id
        expect(await named(minute, hour)).toBe('hour')
        expect(await named(hour, minute)).toBe('hour')
        expect(await named(life, hour)).toBe('lifetime')
        expect(await named(hour, life)).toBe('lifetime')
        expect(await named(life, tiny, hour)).toBe('tiny')
        expect(await named(minute, flight)).toBe('concurrent')
      })

      it('charges a counter that is named twice once', async () => {
        const { gate } = await start()
        const limit = limitOf(lifetime(10))
        const reservation = admitted(
          await gate.reserve([chargeOf(limit), chargeOf(limit)], demandFor(10)),
        )
        expect(await gate.statesOf(reservation)).toMatchObject([{ reserved: 10 }])
      })

      it('holds a shared counter to each policy: its amount, its mode', async () => {
        const { gate } = await start()
        const strict = [chargeOf(limitOf(lifetime(10), { id: 'shared' }))]
        const loose = [chargeOf(limitOf(lifetime(20), { id: 'shared' }))]
        const watching = [chargeOf(limitOf(lifetime(5), { id: 'shared', mode: 'shadow' }))]
        const seen = admitted(await gate.reserve(watching, demandFor(8)))
        expect((await gate.reserve(strict, demandFor(3))).ok).toBe(false)
        admitted(await gate.reserve(loose, demandFor(12)))
        expect((await gate.reserve([...loose, ...strict], demandFor(1))).ok).toBe(false)
        expect(await gate.statesOf(seen)).toEqual([])
      })

      it('keeps the values of a scope apart', async () => {
        const { gate } = await start()
        const limit = limitOf(lifetime(10))
        admitted(await gate.reserve([chargeOf(limit, 'a')], demandFor(10)))
        admitted(await gate.reserve([chargeOf(limit, 'b')], demandFor(10)))
        expect((await gate.reserve([chargeOf(limit, 'a')], demandFor(1))).ok).toBe(false)
      })
    })

    describe('shrink', () => {
      const shrinking = { whenShort: 'shrink', minOutputTokens: 20 } as const

      it.each([
        ['tokens', 100, 90],
        ['output_tokens', 100, 100],
        ['usd', 100_000, 90],
        ['usd', 100_999, 90],
      ] as const)('caps the output to what is left of %s', async (unit, amount, granted) => {
        const { gate } = await start()
        const charges = [chargeOf(limitOf(lifetime(amount), { unit, ...shrinking }))]
        const reservation = admitted(await gate.reserve(charges, demandFor(10, 4096)))
        expect(reservation).toMatchObject({ outputTokens: granted, shrunk: true })
        const [state] = await gate.statesOf(reservation)
        expect(state?.reserved).toBeLessThanOrEqual(amount)
      })

      it('fits the tightest of several limits, in any order, and reserves the cap everywhere', async () => {
        const { gate } = await start()
        const a = chargeOf(limitOf(lifetime(300), shrinking))
        const b = chargeOf(limitOf(lifetime(200_000), { id: 'usd', unit: 'usd', ...shrinking }))
        const c = chargeOf(limitOf(sliding(1000, MINUTE), shrinking))
        for (const charges of [
          [a, b, c],
          [b, c, a],
        ]) {
          const reservation = admitted(await gate.reserve(charges, demandFor(10, 4096)))
          expect(reservation.outputTokens).toBe(190)
          const reserved = (await gate.statesOf(reservation)).map((state) => state.reserved)
          expect(reserved.toSorted((one, other) => one - other)).toEqual([200, 200, 200_000])
          await gate.release(reservation)
        }
      })

      it('never goes below the least cap; a request that asks for less than that is not capped', async () => {
        const { gate } = await start()
        const charges = [chargeOf(limitOf(fixed(29, HOUR), shrinking))]
        expect(refused(await gate.reserve(charges, demandFor(10, 100)))).toMatchObject({
          neverFits: true,
        })
        expect(admitted(await gate.reserve(charges, demandFor(10, 19))).shrunk).toBe(false)
        expect(refused(await gate.reserve(charges, demandFor(10, 1)))).toMatchObject({
          neverFits: false,
          retryAfterMs: 3_600_000,
        })
      })

      it('waits only until the least cap fits', async () => {
        const { gate, clock } = await start()
        const charges = [chargeOf(limitOf(bucket(100, 10), shrinking))]
        const first = admitted(await gate.reserve(charges, demandFor(100)))
        await gate.settle(first, actualOf(100))
        expect(refused(await gate.reserve(charges, demandFor(10, 500))).retryAfterMs).toBe(3_000)
        clock.advance(3_000)
        expect(admitted(await gate.reserve(charges, demandFor(10, 500))).outputTokens).toBe(20)
      })
    })

    describe('modes', () => {
      it.each(['warn', 'shadow'] as const)('%s admits, counts and reports', async (mode) => {
        const { gate } = await start()
        const charges = [chargeOf(limitOf(fixed(10, HOUR), { mode }))]
        expect(admitted(await gate.reserve(charges, demandFor(10))).excused).toEqual([])
        const over = admitted(await gate.reserve(charges, demandFor(5)))
        expect(over.excused).toMatchObject([{ used: 10, amount: 10, retryAfterMs: 3_600_000 }])
        await gate.settle(over, actualOf(5))
        expect(await gate.list()).toMatchObject([{ used: 5, reserved: 10 }])
        expect(await gate.statesOf(over)).toEqual([])
      })

      it('expected reserves the 95th percentile of the output, and may go into debt', async () => {
        const { gate } = await start()
        const charges = [chargeOf(limitOf(lifetime(10_000), { reserve: 'expected' }))]
        for (let i = 0; i < 20; i++) {
          const reservation = admitted(await gate.reserve(charges, demandFor(0, 400)))
          await gate.settle(reservation, actualOf(0, i))
        }
        await gate.reset('lifetime', null)
        const expected = admitted(await gate.reserve(charges, demandFor(0, 9_999)))
        const [state] = await gate.statesOf(expected)
        expect(state?.reserved).toBeGreaterThanOrEqual(15)
        expect(state?.reserved).toBeLessThanOrEqual(19)
        expect(expected).toMatchObject({ outputTokens: 9_999, shrunk: false })
        await gate.settle(expected, actualOf(0, 12_000))
        expect(await gate.statesOf(expected)).toMatchObject([{ used: 12_000, reserved: 0 }])
      })

      it('expected learns for each model', async () => {
        const { gate } = await start()
        const charges = [chargeOf(limitOf(lifetime(100_000), { reserve: 'expected' }))]
        for (let i = 0; i < 16; i++) {
          for (const [model, tokens] of [
            ['terse', 1],
            ['wordy', 300],
          ] as const) {
            const reservation = admitted(
              await gate.reserve(charges, { ...demandFor(0, 400), model }),
            )
            await gate.settle(reservation, actualOf(0, tokens))
          }
        }
        const reserved: number[] = []
        for (const model of ['terse', 'wordy', 'new']) {
          const reservation = admitted(await gate.reserve(charges, { ...demandFor(0, 400), model }))
          reserved.push((await gate.statesOf(reservation))[0]?.reserved ?? 0)
          await gate.release(reservation)
        }
        expect(reserved).toEqual([1, 300, 400])
      })
    })

    describe('alerts', () => {
      it('are given once per window, by what was settled', async () => {
        const { gate, clock, alerts } = await start()
        const charges = [chargeOf(limitOf(fixed(100, HOUR), { alerts: [0.5, 0.9] }))]
        const use = async (tokens: number) =>
          gate.settle(admitted(await gate.reserve(charges, demandFor(tokens))), actualOf(tokens))
        const held = admitted(await gate.reserve(charges, demandFor(50)))
        expect(alerts).toEqual([])
        await gate.release(held)
        await use(49)
        expect(alerts).toEqual([])
        await use(1)
        await use(1)
        expect(alerts).toMatchObject([{ fraction: 0.5, used: 50, amount: 100, value: 'k1' }])
        await use(45)
        expect(alerts.map((alert) => alert.fraction)).toEqual([0.5, 0.9])
        clock.advance(3_600_000)
        await use(95)
        expect(alerts.map((alert) => alert.fraction)).toEqual([0.5, 0.9, 0.5, 0.9])
      })
    })

    describe('edits', () => {
      it.each([
        [lifetime(100), lifetime(150)],
        [fixed(100, HOUR), fixed(150, HOUR)],
        [sliding(100, HOUR), sliding(150, HOUR)],
        [bucket(100, 0), bucket(150, 0)],
        [fixed(100, HOUR), fixed(150, DAY)],
        [sliding(100, HOUR), lifetime(150)],
      ])('keep what was counted: %j', async (before, after) => {
        const { gate } = await start()
        const old = [chargeOf(limitOf(before, { id: 'x' }))]
        const edited = [chargeOf(limitOf(after, { id: 'x' }))]
        await gate.settle(admitted(await gate.reserve(old, demandFor(80))), actualOf(80))
        expect(refused(await gate.reserve(edited, demandFor(71))).used).toBe(80)
        admitted(await gate.reserve(edited, demandFor(70)))
        expect(refused(await gate.reserve(old, demandFor(1))).used).toBe(150)
      })

      it('settle a reservation that was made before the edit', async () => {
        const { gate } = await start()
        const old = admitted(
          await gate.reserve([chargeOf(limitOf(lifetime(100), { id: 'x' }))], demandFor(100)),
        )
        const edited = [chargeOf(limitOf(lifetime(120), { id: 'x' }))]
        admitted(await gate.reserve(edited, demandFor(20)))
        await gate.settle(old, actualOf(40))
        expect(await gate.list()).toMatchObject([{ used: 40, reserved: 20, amount: 120 }])
      })
    })

    describe('administration', () => {
      const ALL = [lifetime(100), fixed(100, HOUR), sliding(100, HOUR), bucket(100, 0)]

      it.each(ALL)('reset forgets what was used, not what is open: %j', async (algorithm) => {
        const { gate } = await start()
        const charges = [chargeOf(limitOf(algorithm, { id: 'x' }))]
        await gate.settle(admitted(await gate.reserve(charges, demandFor(70))), actualOf(70))
        const open = admitted(await gate.reserve(charges, demandFor(30)))
        expect(await gate.reset('x', 'somebody else')).toEqual([])
        expect(await gate.reset('x', 'k1')).toHaveLength(1)
        expect(await gate.list()).toMatchObject([{ used: 0, reserved: 30 }])
        await gate.settle(open, actualOf(10))
        expect(await gate.list()).toMatchObject([{ used: 10, reserved: 0 }])
      })

      it.each(ALL)('grant adds an allowance to the current window: %j', async (algorithm) => {
        const { gate } = await start()
        const charges = [chargeOf(limitOf(algorithm, { id: 'x' }))]
        await gate.settle(admitted(await gate.reserve(charges, demandFor(100))), actualOf(100))
        expect(await gate.grant('x', 'k1', 25)).toHaveLength(1)
        expect((await gate.reserve(charges, demandFor(26))).ok).toBe(false)
        admitted(await gate.reserve(charges, demandFor(25)))
      })

      it.each([fixed(100, HOUR), sliding(100, HOUR)])(
        'a grant ends with its window: %j',
        async (algorithm) => {
          const { gate, clock } = await start()
          const charges = [chargeOf(limitOf(algorithm, { id: 'x' }))]
          await gate.settle(admitted(await gate.reserve(charges, demandFor(100))), actualOf(100))
          await gate.grant('x', 'k1', 25)
          clock.advance(61 * 60_000)
          expect(refused(await gate.reserve(charges, demandFor(101))).neverFits).toBe(true)
        },
      )

      it('lists the counters that hold something, with the end of their window', async () => {
        const { gate, clock } = await start()
        const hour = chargeOf(limitOf(fixed(100, HOUR), { unit: 'requests' }))
        const life = chargeOf(limitOf(lifetime(100)), 'k2')
        await gate.settle(admitted(await gate.reserve([hour, life], demandFor(7))), actualOf(7))
        expect(await gate.list()).toEqual([
          {
            id: 'fixed',
            scope: 'key',
            value: 'k1',
            unit: 'requests',
            used: 1,
            reserved: 0,
            amount: 100,
            resetsAtMs: Date.UTC(2026, 2, 10, 11),
          },
          {
            id: 'lifetime',
            scope: 'key',
            value: 'k2',
            unit: 'tokens',
            used: 7,
            reserved: 0,
            amount: 100,
            resetsAtMs: null,
          },
        ])
        clock.advance(3_600_000)
        expect((await gate.list()).map((view) => view.id)).toEqual(['lifetime'])
      })
    })

    gateInvariants(makeGate)
  })
}

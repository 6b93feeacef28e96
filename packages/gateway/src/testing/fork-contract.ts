import { describe, expect, it } from 'vitest'
import type { LimitAlgorithm } from '../contracts/limit.ts'
import {
  actualOf,
  admitted,
  bucket,
  chargeOf,
  concurrent,
  demandFor,
  fixed,
  HOUR,
  lifetime,
  limitOf,
  type MakeGate,
  MINUTE,
  refused,
  sliding,
} from './gate-fixtures.ts'
import { VirtualClock } from './virtual-clock.ts'

const HOUR_MS = 3_600_000

/** What a fork of every backend must do: begin where the gate stands, and leave it alone. */
export function forkContract(name: string, makeGate: MakeGate): void {
  const start = async () => {
    const clock = new VirtualClock()
    return { clock, gate: await makeGate({ clock, onAlert: () => {} }) }
  }

  describe(`${name}: fork`, () => {
    const ALGORITHMS: readonly LimitAlgorithm[] = [
      bucket(100, 1),
      sliding(100, MINUTE),
      sliding(100, HOUR),
      fixed(100, HOUR),
      fixed(100, HOUR, 'first_use'),
      lifetime(100),
    ]

    it.each(ALGORITHMS)('begins with what is used and what is open: %j', async (algorithm) => {
      const { gate } = await start()
      const charges = [chargeOf(limitOf(algorithm))]
      await gate.settle(admitted(await gate.reserve(charges, demandFor(30))), actualOf(30))
      admitted(await gate.reserve(charges, demandFor(20)))
      const fork = await gate.fork(0)
      expect(fork.fits(charges, demandFor(50))).toBe(true)
      const refusal = refused(fork.reserve(charges, demandFor(51)))
      expect(refusal).toMatchObject({ used: 50, reserved: 20, amount: 100, neverFits: false })
    })

    it.each(ALGORITHMS)('takes nothing from the gate: %j', async (algorithm) => {
      const { gate } = await start()
      const charges = [chargeOf(limitOf(algorithm))]
      await gate.settle(admitted(await gate.reserve(charges, demandFor(30))), actualOf(30))
      const before = await gate.list()
      const fork = await gate.fork(0)
      fork.settle(admitted(fork.reserve(charges, demandFor(60))), actualOf(60))
      expect(fork.reserve(charges, demandFor(20)).ok).toBe(false)
      expect(await gate.list()).toEqual(before)
      expect(await gate.openReservations()).toBe(0)
      expect((await gate.reserve(charges, demandFor(70))).ok).toBe(true)
    })

    it('counts calls in flight, and ends them when it looks ahead', async () => {
      const { gate } = await start()
      const charges = [chargeOf(limitOf(concurrent(1), { unit: 'concurrent' }))]
      admitted(await gate.reserve(charges, demandFor(1)))
      expect((await gate.fork(0)).reserve(charges, demandFor(1)).ok).toBe(false)
      expect((await gate.fork(60_000)).reserve(charges, demandFor(1)).ok).toBe(true)
    })

    it('looks ahead: a window that has ended by then is full again', async () => {
      const { gate } = await start()
      const charges = [chargeOf(limitOf(fixed(100, HOUR)))]
      await gate.settle(admitted(await gate.reserve(charges, demandFor(90))), actualOf(90))
      expect((await gate.fork(HOUR_MS - 1)).reserve(charges, demandFor(20)).ok).toBe(false)
      expect((await gate.fork(HOUR_MS)).reserve(charges, demandFor(20)).ok).toBe(true)
    })

    it('looks ahead: what is open has used all that it holds', async () => {
      const { gate } = await start()
      const charges = [chargeOf(limitOf(lifetime(100)))]
      admitted(await gate.reserve(charges, demandFor(80)))
      const refusal = refused((await gate.fork(1000)).reserve(charges, demandFor(30)))
      expect(refusal).toMatchObject({ used: 80, reserved: 0 })
    })

    it('follows another amount of the limit, and keeps an allowance', async () => {
      const { gate } = await start()
      const charges = [chargeOf(limitOf(lifetime(100)))]
      await gate.settle(admitted(await gate.reserve(charges, demandFor(90))), actualOf(90))
      await gate.grant('lifetime', 'k1', 50)
      expect((await gate.fork(0)).reserve(charges, demandFor(60)).ok).toBe(true)
      const tighter = [chargeOf(limitOf(lifetime(40)))]
      expect(refused((await gate.fork(0)).reserve(tighter, demandFor(1)))).toMatchObject({
        used: 90,
        amount: 90,
      })
    })

    it('gives a limit that nothing has charged yet its whole amount', async () => {
      const { gate } = await start()
      const charges = [chargeOf(limitOf(lifetime(10)))]
      const fork = await gate.fork(0)
      expect(fork.reserve(charges, demandFor(10)).ok).toBe(true)
      expect(fork.reserve(charges, demandFor(1)).ok).toBe(false)
      expect(await gate.list()).toEqual([])
    })
  })
}

import { describe, expect, it } from 'vitest'
import type { LimitCharge } from '../contracts/limit.ts'
import { createMemoryGate } from '../data-plane/limits/memory-gate.ts'
import { gateContract } from '../testing/gate-contract.ts'
import {
  actualOf,
  admitted,
  chargeOf,
  concurrent,
  demandFor,
  HOUR,
  lifetime,
  limitOf,
  MINUTE,
  refused,
  sliding,
} from '../testing/gate-fixtures.ts'
import { VirtualClock } from '../testing/virtual-clock.ts'
import { workerGates } from '../testing/worker-gates.ts'
import { KnownLimits } from './charge-names.ts'
import { GateDesk } from './gate-desk.ts'
import { WorkerGate } from './worker-gate.ts'

gateContract('one owner, two workers', workerGates(2))

type Worker = { readonly gate: WorkerGate; readonly desk: GateDesk }

function fixture() {
  const clock = new VirtualClock()
  const owner = createMemoryGate({ clock, onAlert: () => {} })
  const limits = new KnownLimits()
  const worker = (): Worker => {
    const answers: Record<string, (text: string) => void> = {
      r: (text) => gate.onReserved(text),
      f: (text) => gate.onRefused(text),
      b: (text) => gate.onFailed(text),
      e: (text) => gate.onExtended(text),
    }
    const desk = new GateDesk({
      gate: owner,
      durable: owner.durable,
      limits,
      send: (line) => queueMicrotask(() => answers[line.charAt(0)]?.(line.slice(1))),
    })
    const gate: WorkerGate = new WorkerGate({
      send: (line) => queueMicrotask(() => void desk.take(line.charAt(0), line.slice(1))),
      clock,
    })
    return { gate, desk }
  }
  return { clock, owner, worker }
}

const turn = async (): Promise<void> => {
  await new Promise((resolve) => setImmediate(resolve))
}

describe('workers of one owner', () => {
  it.each([
    ['lifetime', limitOf(lifetime(100), { unit: 'requests' })],
    ['sliding', limitOf(sliding(100, MINUTE), { unit: 'requests' })],
    ['concurrent', limitOf(concurrent(100), { unit: 'concurrent' })],
  ])('admit exactly the amount of a %s limit among 4 x 200 at once', async (_name, limit) => {
    const { owner, worker } = fixture()
    const charges = [chargeOf(limit)]
    const gates = [1, 2, 3, 4].map(() => worker().gate)
    const results = await Promise.all(
      Array.from({ length: 200 }).flatMap(() =>
        gates.map((gate) => gate.reserve(charges, demandFor(1))),
      ),
    )
    expect(results.filter(({ ok }) => ok)).toHaveLength(100)
    expect(owner.list()).toMatchObject([{ used: 0, reserved: 100 }])
  })

  it('a limit that both have compiled is one to the owner: neither takes the other for an edit', async () => {
    const { owner, worker } = fixture()
    const [one, other] = [worker(), worker()]
    for (const { gate } of [one, other, one]) {
      const limit = limitOf(lifetime(100), { reserve: 'expected' })
      admitted(await gate.reserve([chargeOf(limit)], demandFor(1)))
    }
    expect(owner.list()).toMatchObject([{ reserved: 3 }])
  })

  it('tells the journal what is held of durable counters, as the owner does', async () => {
    const { owner, worker } = fixture()
    const { gate } = worker()
    const charges: LimitCharge[] = [
      chargeOf(limitOf(sliding(100, HOUR))),
      chargeOf(limitOf(sliding(50, MINUTE), { id: 'minute' })),
      chargeOf(limitOf(lifetime(900), { id: 'life', unit: 'usd' })),
    ]
    const alone = owner.reserve(charges, demandFor(0))
    if (!alone.ok) throw new Error('refused')
    const reservation = admitted(await gate.reserve(charges, demandFor(0)))
    expect(gate.durable.held(reservation)).toEqual(owner.durable.held(alone.reservation))
    expect(gate.durable.held(reservation).map(({ id }) => id)).toEqual(['sliding', 'life'])
  })

  it('what a worker that died held of short windows counts, and of durable ones what its journal says', async () => {
    const { owner, worker } = fixture()
    const { gate, desk } = worker()
    const charges = [
      chargeOf(limitOf(lifetime(100))),
      chargeOf(limitOf(sliding(100, MINUTE), { id: 'minute' })),
      chargeOf(limitOf(concurrent(1), { unit: 'concurrent' })),
    ]
    admitted(await gate.reserve(charges, demandFor(30)))
    desk.abandonAll(true)
    expect(owner.list()).toMatchObject([{ id: 'minute', used: 30, reserved: 0 }])
    expect(owner.openReservations()).toBe(0)
  })

  it('without a journal all that a worker that died held is charged', async () => {
    const { owner, worker } = fixture()
    const { gate, desk } = worker()
    admitted(await gate.reserve([chargeOf(limitOf(lifetime(100)))], demandFor(10, 20)))
    desk.abandonAll(false)
    expect(owner.list()).toMatchObject([{ used: 30, reserved: 0 }])
  })

  it('a settlement with numbers that are none charges the whole reservation', async () => {
    const { owner, worker } = fixture()
    const { gate } = worker()
    const reservation = admitted(
      await gate.reserve([chargeOf(limitOf(lifetime(100)))], demandFor(10, 20)),
    )
    gate.settle(reservation, { inputTokens: NaN, outputTokens: 1, costNanoUsd: 1 })
    await turn()
    expect(owner.list()).toMatchObject([{ used: 30, reserved: 0 }])
  })

  it('states follow a settlement at once, before the owner tells them', async () => {
    const { worker } = fixture()
    const { gate } = worker()
    const charges = [chargeOf(limitOf(lifetime(100)))]
    const reservation = admitted(await gate.reserve(charges, demandFor(10, 20)))
    expect(gate.statesOf(reservation)).toMatchObject([{ used: 0, reserved: 30 }])
    gate.settle(reservation, actualOf(5, 5))
    expect(gate.statesOf(reservation)).toMatchObject([{ used: 10, reserved: 0 }])
  })

  it('fits by what was told last, and not by what is old', async () => {
    const { clock, worker } = fixture()
    const { gate } = worker()
    const charges = [chargeOf(limitOf(lifetime(100)))]
    expect(gate.fits(charges, demandFor(1))).toBe(false)
    const reservation = admitted(await gate.reserve(charges, demandFor(10)))
    expect(gate.fits(charges, demandFor(90))).toBe(true)
    expect(gate.fits(charges, demandFor(91))).toBe(false)
    clock.advance(6000)
    expect(gate.fits(charges, demandFor(1))).toBe(false)
    gate.release(reservation)
  })

  it('a gate of the owner that fails is an error of the request, not of the worker', async () => {
    const limits = new KnownLimits()
    const broken = createMemoryGate({ clock: new VirtualClock(), onAlert: () => {} })
    const desk = new GateDesk({
      gate: { ...broken, reserve: () => Promise.reject(new Error('Redis said no')) },
      durable: broken.durable,
      limits,
      send: (line) => gate.onFailed(line.slice(1)),
    })
    const gate = new WorkerGate({
      send: (line) => queueMicrotask(() => void desk.take(line.charAt(0), line.slice(1))),
      clock: new VirtualClock(),
    })
    await expect(gate.reserve([chargeOf(limitOf(lifetime(1)))], demandFor(1))).rejects.toThrow(
      'Redis said no',
    )
  })

  it('a refusal names the limit of the request, with what the owner counted', async () => {
    const { worker } = fixture()
    const [one, other] = [worker(), worker()]
    const charges = [chargeOf(limitOf(sliding(100, MINUTE), { unit: 'requests' }))]
    for (let i = 0; i < 100; i++) admitted(await one.gate.reserve(charges, demandFor(1)))
    const refusal = refused(await other.gate.reserve(charges, demandFor(1)))
    expect(refusal).toMatchObject({ used: 100, reserved: 100, amount: 100, value: 'k1' })
    expect(refusal.limit).toBe(charges[0]?.limit)
  })
})

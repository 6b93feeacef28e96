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
import { Rooms } from './rooms.ts'
import { GateDesk } from './gate-desk.ts'
import { WorkerGate } from './worker-gate.ts'

gateContract('one owner, two workers', workerGates(2))

type Worker = { readonly gate: WorkerGate; readonly desk: GateDesk }

function fixture() {
  const clock = new VirtualClock()
  const owner = createMemoryGate({ clock, onAlert: () => {} })
  const limits = new KnownLimits()
  const rooms = new Rooms(owner.room)
  const lines: string[] = []
  const worker = (): Worker => {
    const answers: Record<string, (text: string) => void> = {
      r: (text) => gate.onReserved(text),
      f: (text) => gate.onRefused(text),
      b: (text) => gate.onFailed(text),
      e: (text) => gate.onExtended(text),
      o: (text) => gate.onRoom(text),
      c: (text) => gate.onAskedBack(text),
    }
    const desk = new GateDesk({
      gate: owner,
      durable: owner.durable,
      limits,
      rooms,
      send: (line) => queueMicrotask(() => answers[line.charAt(0)]?.(line.slice(1))),
    })
    const gate: WorkerGate = new WorkerGate({
      send: (line) => {
        lines.push(line)
        queueMicrotask(() => void desk.take(line.charAt(0), line.slice(1)))
      },
      clock,
    })
    return { gate, desk }
  }
  return { clock, owner, rooms, lines, worker }
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
        gates.map(async (gate) => gate.reserve(charges, demandFor(1))),
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
      rooms: null,
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

describe('room that is set aside', () => {
  const far = [
    chargeOf(limitOf(lifetime(1e9))),
    chargeOf(limitOf(sliding(1e9, MINUTE), { id: 'minute', unit: 'requests' })),
    chargeOf(limitOf(concurrent(1e6), { unit: 'concurrent' })),
  ]

  it('is reserved in without waiting, and the owner counts it all the same', async () => {
    const { owner, lines, worker } = fixture()
    const { gate } = worker()
    const first = admitted(await gate.reserve(far, demandFor(10, 20)))
    await turn()
    const second = gate.reserve(far, demandFor(5, 5))
    if (second instanceof Promise) throw new Error('it was asked for')
    expect(gate.statesOf(admitted(second))).toMatchObject([
      { used: 0, reserved: 40 },
      { used: 0, reserved: 2 },
      { used: 0, reserved: 2 },
    ])
    expect(gate.durable.held(admitted(second))).toMatchObject([{ id: 'lifetime', amount: 10 }])
    await turn()
    expect(lines.filter((line) => line.startsWith('K'))).toHaveLength(1)
    expect(owner.list()).toMatchObject([{ reserved: 40 }, { reserved: 2 }, { reserved: 2 }])
    gate.settle(admitted(second), actualOf(3, 3))
    gate.release(first)
    await turn()
    expect(owner.list()).toMatchObject([
      { used: 6, reserved: 0 },
      { used: 1, reserved: 0 },
    ])
    expect(owner.openReservations()).toBe(0)
  })

  it('is no use once what was told is old, so that a quiet worker tells what is true', async () => {
    const { clock, worker } = fixture()
    const { gate } = worker()
    admitted(await gate.reserve(far, demandFor(1)))
    await turn()
    clock.advance(251)
    expect(gate.reserve(far, demandFor(1))).toBeInstanceOf(Promise)
  })

  it('is never given near a limit', async () => {
    const { owner, lines, worker } = fixture()
    const { gate } = worker()
    const charges = [chargeOf(limitOf(lifetime(2000), { unit: 'requests' }))]
    for (let i = 0; i < 2000; i++) admitted(await gate.reserve(charges, demandFor(1)))
    expect(refused(await gate.reserve(charges, demandFor(1)))).toMatchObject({ used: 2000 })
    expect(lines.some((line) => line.startsWith('K'))).toBe(false)
    expect(owner.list()).toMatchObject([{ reserved: 2000 }])
  })

  it('comes back before anybody is refused: all workers together get the amount, and no more', async () => {
    const { owner, lines, worker } = fixture()
    const gates = [1, 2, 3].map(() => worker().gate)
    const charges = [chargeOf(limitOf(lifetime(5000), { unit: 'requests' }))]
    let passed = 0
    for (let i = 0; i < 2000; i++) {
      const results = await Promise.all(
        gates.map(async (gate) => gate.reserve(charges, demandFor(1))),
      )
      passed += results.filter(({ ok }) => ok).length
      expect(owner.list()[0]?.reserved ?? 0).toBeLessThanOrEqual(5000)
    }
    await turn()
    expect(passed).toBe(5000)
    expect(owner.list()).toMatchObject([{ reserved: 5000, amount: 5000 }])
    expect(lines.filter((line) => line.startsWith('K')).length).toBeGreaterThan(1000)
  })

  it('a large demand gets what others have set aside', async () => {
    const { owner, worker } = fixture()
    const [one, other] = [worker(), worker()]
    const charges = [chargeOf(limitOf(lifetime(100_000)))]
    admitted(await one.gate.reserve(charges, demandFor(20)))
    await turn()
    expect(owner.room.aside(charges[0]?.counterKey ?? '')).toBeGreaterThan(1000)
    const rest = admitted(await other.gate.reserve(charges, demandFor(100_000 - 20)))
    expect(rest.outputTokens).toBe(0)
    expect(owner.list()).toMatchObject([{ reserved: 100_000 }])
    expect(refused(await one.gate.reserve(charges, demandFor(1)))).toMatchObject({ used: 100_000 })
  })

  it('of a worker that died is free at once', async () => {
    const { owner, worker } = fixture()
    const { gate, desk } = worker()
    const [charge = far[0]] = far
    if (charge === undefined) throw new Error('none')
    admitted(await gate.reserve([charge], demandFor(100)))
    await turn()
    expect(owner.room.aside(charge.counterKey)).toBeGreaterThan(0)
    desk.abandonAll(true)
    expect(owner.room.aside(charge.counterKey)).toBe(0)
  })

  it('is not used for a limit that was edited since', async () => {
    const { worker } = fixture()
    const { gate } = worker()
    admitted(await gate.reserve([chargeOf(limitOf(lifetime(1e9)))], demandFor(1)))
    await turn()
    const edited = [chargeOf(limitOf(lifetime(10)))]
    expect(refused(await gate.reserve(edited, demandFor(11)))).toMatchObject({ amount: 10 })
  })
})

import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { ServerAway } from '../../../contracts/script-server.ts'
import type { HeldCharge } from '../../../contracts/durable-charge.ts'
import type { Reservation } from '../../../contracts/limit.ts'
import {
  actualOf,
  admitted,
  chargeOf,
  demandFor,
  lifetime,
  limitOf,
} from '../../../testing/gate-fixtures.ts'
import { HandLink, type HandPlace } from '../../../testing/hand-link.ts'
import { hasRedis, type RedisProcess, startRedis } from '../../../testing/redis-process.ts'
import { connectSim } from '../../../testing/simulation/shared/sim-redis.ts'
import { TEST_START_MS, VirtualClock } from '../../../testing/virtual-clock.ts'
import { GATE_SCRIPT, SharedGate } from './shared-gate.ts'

vi.setConfig({ testTimeout: 20_000 })

const CHARGES = [chargeOf(limitOf(lifetime(1000)))]
const LEASED = [chargeOf(limitOf(lifetime(1000), { reserve: 'lease' }))]
const STREAM = { ...demandFor(0), outputTokens: 900, mayLease: true }
/** Beyond, whoever waits would wait for ever. */
const MOST_PAUSES = 300

type Pauses = { onPause: (count: number) => Promise<void> | void }

async function spend(gate: SharedGate, tokens: number): Promise<void> {
  gate.settle(admitted(await gate.reserve(CHARGES, demandFor(tokens))), actualOf(tokens))
  await gate.flush()
}

/** It lost what has to be there before requests go on. */
async function refused(connecting: Promise<void>): Promise<void> {
  await expect(connecting).rejects.toThrow(ServerAway)
}

/** As a gate of one process notes it: it is reported, and ends no reservation. */
function unnamed(held: HeldCharge): HeldCharge {
  const { counter, amount, at, era, id, scope, value, unit, algorithm } = held
  return { counter, amount, at, era, id, scope, value, unit, algorithm }
}

describe.skipIf(!hasRedis())('a shared gate whose connections break', () => {
  let redis: RedisProcess
  let place: HandPlace

  beforeAll(async () => {
    redis = await startRedis()
    const client = await connectSim(redis.url)
    const sha = await client.sendCommand<string>(['SCRIPT', 'LOAD', GATE_SCRIPT])
    place = { nowMs: TEST_START_MS, run: 'run-1', client, sha }
  })

  beforeEach(async () => {
    await place.client.sendCommand(['FLUSHALL'])
    Object.assign(place, { nowMs: TEST_START_MS, run: 'run-1' })
  })

  afterAll(async () => {
    place.client.destroy()
    await redis.stop()
  })

  function member(): { gate: SharedGate; link: HandLink; pauses: Pauses } {
    const link = new HandLink(place)
    const pauses: Pauses = { onPause: () => {} }
    let count = 0
    const gate = new SharedGate({
      server: link,
      namespace: 'test',
      clock: new VirtualClock(),
      lifetimeMs: () => 660_000,
      onAlert: () => {},
      onState: () => {},
      onWarning: () => {},
      async pause(ms) {
        count += 1
        if (count > MOST_PAUSES) throw new ServerAway('was waited for too long')
        place.nowMs += ms
        await pauses.onPause(count)
        await nextTurn()
      },
    })
    gate.start()
    return { gate, link, pauses }
  }

  /** Two that know of each other, each of which used 100, and the second 50 more that the first has not heard of. */
  async function pair(): Promise<readonly [ReturnType<typeof member>, ReturnType<typeof member>]> {
    const both = [member(), member()] as const
    for (const { gate, link } of both) {
      await link.connect()
      await spend(gate, 100)
    }
    for (const { gate } of both) await gate.housekeep()
    for (const { gate } of both) await gate.housekeep()
    await spend(both[1].gate, 50)
    return both
  }

  async function lostAll(links: readonly HandLink[]): Promise<void> {
    for (const link of links) link.lose()
    await place.client.sendCommand(['FLUSHALL'])
    place.run = 'run-2'
  }

  it('tells an empty server the rest when the connection broke while it told', async () => {
    const { gate, link } = member()
    await link.connect()
    await spend(gate, 10)
    const open = []
    for (let i = 0; i < 3; i++) open.push(admitted(await gate.reserve(CHARGES, demandFor(100))))
    await lostAll([link])
    await expect(link.connect({ operation: 'reopen', call: 2, deadAfter: true })).rejects.toThrow(
      ServerAway,
    )
    await link.connect()
    expect(await gate.list()).toMatchObject([{ used: 10, reserved: 300 }])
    for (const reservation of open) gate.settle(reservation, actualOf(70))
    await gate.flush()
    expect(await gate.list()).toMatchObject([{ used: 220, reserved: 0 }])
  })

  it('leases nothing of what it had leased before, also after a connection that broke', async () => {
    const { gate, link } = member()
    await link.connect()
    await spend(gate, 10)
    await gate.housekeep()
    await gate.housekeep()
    await lostAll([link])
    gate.release(admitted(await gate.reserve(CHARGES, demandFor(1))))
    await expect(link.connect({ operation: 'ready', call: 1, deadAfter: true })).rejects.toThrow(
      ServerAway,
    )
    await link.connect()
    await gate.flush()
    link.lose()
    expect((await gate.reserve(CHARGES, demandFor(1))).ok).toBe(false)
  })

  it('waits no longer for others when the clock of the server is set back meanwhile', async () => {
    const [first, second] = await pair()
    await lostAll([first.link, second.link])
    first.pauses.onPause = (count) => {
      if (count === 2) place.nowMs -= 60_000
    }
    await first.link.connect()
    expect(first.gate.problem()).toBeNull()
  })

  it('goes on after all have told what they knew, also when the clock of the server is set ahead', async () => {
    const [first, second] = await pair()
    await lostAll([first.link, second.link])
    let waited = 0
    first.pauses.onPause = async (count) => {
      waited = count
      if (count === 2) place.nowMs += 68_000
      if (count === 5) await second.link.connect()
    }
    await first.link.connect()
    expect(waited).toBe(5)
    await spend(first.gate, 30)
    expect(await first.gate.list()).toMatchObject([{ used: 280 }])
  })

  it('and waits for all of them when the clock was set ahead before the loss', async () => {
    const [first, second] = await pair()
    place.nowMs += 68_000
    await first.gate.housekeep()
    await lostAll([first.link, second.link])
    let waited = 0
    first.pauses.onPause = async (count) => {
      waited = count
      if (count === 3) await second.link.connect()
    }
    await first.link.connect()
    expect(waited).toBe(3)
    expect(await first.gate.list()).toMatchObject([{ used: 250 }])
  })

  it('brings its lease too: what is spent alone comes out of it until the gate opens', async () => {
    const [first, second] = await pair()
    for (const { gate } of [first, second]) await gate.housekeep()
    await lostAll([first.link, second.link])
    const alone = admitted(await second.gate.reserve(CHARGES, demandFor(40)))
    second.gate.settle(alone, actualOf(40))
    const lost = { operation: 'ready', call: 2, deadAfter: true }
    await expect(second.link.connect(lost)).rejects.toThrow(ServerAway)
    await first.link.connect()
    expect((await first.gate.reserve(CHARGES, demandFor(740))).ok).toBe(false)
  })

  it('gives nothing of its lease back before the server has the calls that were admitted on it', async () => {
    const [first, second] = await pair()
    for (const { gate } of [first, second]) await gate.housekeep()
    second.link.lose()
    admitted(await second.gate.reserve(CHARGES, demandFor(100)))
    await refused(second.link.connect({ operation: 'reopen', call: 1, deadAfter: true }))
    second.link.lose()
    // 250 are used. Of the rest the second has a quarter, 187, of which its call holds 100.
    expect((await first.gate.reserve(CHARGES, demandFor(750 - 87))).ok).toBe(false)
    expect((await first.gate.reserve(CHARGES, demandFor(750 - 187))).ok).toBe(true)
  })

  it('nor before the server has counted what was used of it', async () => {
    const [first, second] = await pair()
    for (const { gate } of [first, second]) await gate.housekeep()
    second.link.lose()
    const alone = admitted(await second.gate.reserve(CHARGES, demandFor(100)))
    second.gate.settle(alone, actualOf(100))
    await refused(second.link.connect({ operation: 'report', call: 1, deadAfter: false }))
    await second.gate.flush()
    expect((await first.gate.reserve(CHARGES, demandFor(750 - 87))).ok).toBe(false)
    expect((await first.gate.reserve(CHARGES, demandFor(750 - 187))).ok).toBe(true)
  })

  /** One call that was admitted while the server was away, and is still open. */
  async function admittedAlone(): Promise<{
    gate: SharedGate
    link: HandLink
    alone: Reservation
  }> {
    const { gate, link } = member()
    await link.connect()
    await spend(gate, 10)
    await gate.housekeep()
    await gate.housekeep()
    link.lose()
    return { gate, link, alone: admitted(await gate.reserve(CHARGES, demandFor(40))) }
  }

  it('forgets no use of a call whose taking was lost and whose end was not', async () => {
    const { gate, link, alone } = await admittedAlone()
    await refused(link.connect({ operation: 'reopen', call: 1, deadAfter: false }))
    link.lose()
    gate.settle(alone, actualOf(30))
    await link.connect()
    await gate.flush()
    expect(await gate.list()).toMatchObject([{ used: 40, reserved: 0 }])
  })

  it('counts a call once that was admitted alone, taken by the server, and left open by a crash', async () => {
    const { gate, link, alone } = await admittedAlone()
    const journal = gate.durable.held(alone)
    await link.connect()
    await gate.flush()
    expect(await gate.list()).toMatchObject([{ used: 10, reserved: 40 }])
    link.lose()
    const next = member()
    next.gate.durable.charge(journal)
    await next.link.connect()
    await next.gate.flush()
    expect(await next.gate.list()).toMatchObject([{ used: 50, reserved: 0 }])
  })

  it('also when the server never heard of it', async () => {
    const { gate, alone } = await admittedAlone()
    const next = member()
    next.gate.durable.charge(gate.durable.held(alone))
    await next.link.connect()
    await next.gate.flush()
    expect(await next.gate.list()).toMatchObject([{ used: 50, reserved: 0 }])
  })

  it('brings an end too that was counted and whose answer was lost', async () => {
    const { gate, link } = member()
    await link.connect()
    await spend(gate, 10)
    link.lose()
    await link.connect({ operation: 'close', call: 1, deadAfter: true, isRun: true })
    await spend(gate, 25)
    link.lose()
    await link.connect()
    await gate.flush()
    await lostAll([link])
    await link.connect()
    expect(await gate.list()).toMatchObject([{ used: 35, reserved: 0 }])
  })

  it('brings what it spent alone, when the server is lost right after it was told', async () => {
    const { gate, link } = await admittedAlone()
    gate.settle(admitted(await gate.reserve(CHARGES, demandFor(30))), actualOf(30))
    await link.connect()
    await gate.flush()
    await lostAll([link])
    await link.connect()
    await gate.flush()
    expect(await gate.list()).toMatchObject([{ used: 40, reserved: 40 }])
  })

  it('brings a replica that took over what a stream was given since', async () => {
    const { gate, link } = member()
    await link.connect()
    const stream = admitted(await gate.reserve(LEASED, STREAM))
    const keys = await place.client.sendCommand<string[]>(['KEYS', '*'])
    const kept = await Promise.all(keys.map((key) => place.client.sendForBytes(['DUMP', key])))
    const held = await gate.extend(stream, 700)
    await lostAll([link])
    for (const [index, key] of keys.entries()) {
      await place.client.sendCommand(['RESTORE', key, '0', kept[index] ?? ''])
    }
    await link.connect()
    expect(held).toBeGreaterThanOrEqual(700)
    expect(await gate.list()).toMatchObject([{ reserved: held }])
    gate.settle(stream, { inputTokens: 0, outputTokens: held, costNanoUsd: 0 })
    await gate.flush()
    expect(await gate.list()).toMatchObject([{ used: held, reserved: 0 }])
  })

  it('counts what it spent alone once, also when the next start tells it again', async () => {
    const { gate, link } = await admittedAlone()
    gate.settle(admitted(await gate.reserve(CHARGES, demandFor(30))), actualOf(30))
    const stored = gate.takeChanged()
    await link.connect()
    await gate.flush()
    link.lose()
    const next = member()
    next.gate.restore(stored)
    await next.link.connect()
    await next.gate.flush()
    expect(await next.gate.list()).toMatchObject([{ used: 40 }])
  })

  it('has the next start tell what a call used that ended before the server had it', async () => {
    const { gate, link, alone } = await admittedAlone()
    await refused(link.connect({ operation: 'reopen', call: 1, deadAfter: true }))
    link.lose()
    gate.settle(alone, actualOf(30))
    const next = member()
    next.gate.restore(gate.takeChanged())
    await next.link.connect()
    await next.gate.flush()
    expect(await next.gate.list()).toMatchObject([{ used: 40, reserved: 0 }])
  })

  it('and counts it once where the server had the end, and its answer was lost', async () => {
    const { gate, link, alone } = await admittedAlone()
    await link.connect({ operation: 'close', call: 1, deadAfter: true, isRun: true })
    gate.settle(alone, actualOf(30))
    await gate.flush()
    const next = member()
    next.gate.restore(gate.takeChanged())
    await next.link.connect()
    await next.gate.flush()
    expect(await next.gate.list()).toMatchObject([{ used: 40, reserved: 0 }])
  })

  it('has the next start tell what was spent alone and not told, until it was told', async () => {
    const { gate } = await admittedAlone()
    gate.settle(admitted(await gate.reserve(CHARGES, demandFor(30))), actualOf(30))
    const second = member()
    second.gate.restore(gate.takeChanged())
    const third = member()
    third.gate.restore(second.gate.takeChanged())
    await third.link.connect()
    await third.gate.flush()
    expect(await third.gate.list()).toMatchObject([{ used: 40 }])
    const owed = third.gate.takeChanged().filter(({ state }) => state.includes('"owed"'))
    expect(owed).toEqual([])
  })

  it('waits once for what a dead gateway leases, and not with every request', async () => {
    const [first, second] = await pair()
    for (const { gate } of [second, first, second]) await gate.housekeep()
    second.link.lose()
    let pauses = 0
    first.pauses.onPause = () => {
      pauses += 1
    }
    expect((await first.gate.reserve(CHARGES, demandFor(700))).ok).toBe(false)
    expect(pauses).toBeGreaterThan(5)
    pauses = 0
    expect((await first.gate.reserve(CHARGES, demandFor(700))).ok).toBe(false)
    expect(pauses).toBe(0)
  })

  it('counts a report whose call was lost while a later one was run', async () => {
    const { gate, link } = member()
    await link.connect()
    await spend(gate, 10)
    await gate.housekeep()
    await gate.housekeep()
    link.lose()
    gate.settle(admitted(await gate.reserve(CHARGES, demandFor(40))), actualOf(40))
    const left = gate.durable.held(admitted(await gate.reserve(CHARGES, demandFor(5))))
    gate.durable.charge(left.map(unnamed))
    await refused(link.connect({ operation: 'report', call: 1, deadAfter: false }))
    await gate.flush()
    link.lose()
    await link.connect()
    await gate.flush()
    expect(await gate.list()).toMatchObject([{ used: 55, reserved: 5 }])
  })
})

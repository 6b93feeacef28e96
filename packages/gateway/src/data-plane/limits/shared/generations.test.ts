import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  type ScriptConnection,
  type ScriptServer,
  type ScriptServerHandlers,
  type ScriptValue,
  ServerAway,
} from '../../../contracts/script-server.ts'
import {
  actualOf,
  admitted,
  chargeOf,
  demandFor,
  lifetime,
  limitOf,
} from '../../../testing/gate-fixtures.ts'
import { hasRedis, type RedisProcess, startRedis } from '../../../testing/redis-process.ts'
import { connectSim, type SimClient } from '../../../testing/simulation/shared/sim-redis.ts'
import { TEST_START_MS, VirtualClock } from '../../../testing/virtual-clock.ts'
import { GATE_SCRIPT, SharedGate } from './shared-gate.ts'

vi.setConfig({ testTimeout: 20_000 })

const CHARGES = [chargeOf(limitOf(lifetime(1000)))]
/** Beyond, whoever waits would wait for ever. */
const MOST_PAUSES = 300

/** One server for several gates. Its clock and its restarts are the test's. */
type Place = { nowMs: number; run: string; readonly client: SimClient; readonly sha: string }

type Pauses = { onPause: (count: number) => Promise<void> | void }

/** Connections are made when the test says so, and break before the call that it names. */
class HandLink implements ScriptServer {
  #handlers: ScriptServerHandlers | null = null
  readonly #place: Place

  constructor(place: Place) {
    this.#place = place
  }

  start(handlers: ScriptServerHandlers): void {
    this.#handlers = handlers
  }

  async stop(): Promise<void> {}

  /** `breaksAt`: of the calls of this operation, the first that is not run. */
  async connect(breaksAt: { operation: string; call: number } | null = null): Promise<void> {
    const connection = this.#connection(breaksAt)
    await this.#handlers?.onConnect(connection)
  }

  lose(): void {
    this.#handlers?.onLost('lost by the test')
  }

  #connection(breaksAt: { operation: string; call: number } | null): ScriptConnection {
    const place = this.#place
    let left = breaksAt?.call ?? 0
    let alive = true
    return {
      serverRun: place.run,
      async run(keys, [operation = '', , ...args]): Promise<ScriptValue> {
        if (operation === breaksAt?.operation) left -= 1
        if (!alive || (breaksAt !== null && left === 0)) {
          alive = false
          throw new ServerAway('is away')
        }
        place.nowMs += 1
        const words = [String(keys.length), ...keys, operation, String(place.nowMs), ...args]
        return place.client.sendCommand<ScriptValue>(['EVALSHA', place.sha, ...words])
      },
      async scanSet(key) {
        return { cursor: '0', members: await place.client.sendCommand<string[]>(['SMEMBERS', key]) }
      },
      fail() {
        alive = false
      },
    }
  }
}

async function spend(gate: SharedGate, tokens: number): Promise<void> {
  gate.settle(admitted(await gate.reserve(CHARGES, demandFor(tokens))), actualOf(tokens))
  await gate.flush()
}

describe.skipIf(!hasRedis())('a server that lost its counters', () => {
  let redis: RedisProcess
  let place: Place

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

  it('is told the rest when the connection broke while it was told', async () => {
    const { gate, link } = member()
    await link.connect()
    await spend(gate, 10)
    const open = []
    for (let i = 0; i < 3; i++) open.push(admitted(await gate.reserve(CHARGES, demandFor(100))))
    await lostAll([link])
    await expect(link.connect({ operation: 'reopen', call: 2 })).rejects.toThrow(ServerAway)
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
    await expect(link.connect({ operation: 'ready', call: 1 })).rejects.toThrow(ServerAway)
    await link.connect()
    await gate.flush()
    link.lose()
    expect((await gate.reserve(CHARGES, demandFor(1))).ok).toBe(false)
  })

  it('is waited for no longer when its clock is set back meanwhile', async () => {
    const [first, second] = await pair()
    await lostAll([first.link, second.link])
    first.pauses.onPause = (count) => {
      if (count === 2) place.nowMs -= 60_000
    }
    await first.link.connect()
    expect(first.gate.problem()).toBeNull()
  })

  it('opens to nobody before all have told what they knew, also when its clock is set ahead', async () => {
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

  it('and a process is no less a member when the clock is set ahead before the loss', async () => {
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
})

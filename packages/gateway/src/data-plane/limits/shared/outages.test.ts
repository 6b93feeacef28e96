import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { CounterState, Reservation } from '../../../contracts/limit.ts'
import type { ScriptServer } from '../../../contracts/script-server.ts'
import { SYSTEM_CLOCK } from '../../../lib/clock.ts'
import { createRedisServer } from '../../../storage/redis/redis-server.ts'
import { type CutProxy, cutProxy } from '../../../testing/cut-proxy.ts'
import {
  actualOf,
  admitted,
  bucket,
  chargeOf,
  concurrent,
  DAY,
  demandFor,
  fixed,
  HOUR,
  lifetime,
  limitOf,
  refused,
  sliding,
} from '../../../testing/gate-fixtures.ts'
import { hasRedis, type RedisProcess, startRedis } from '../../../testing/redis-process.ts'
import { GATE_SCRIPT, SharedGate } from './shared-gate.ts'

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

type Member = {
  readonly gate: SharedGate
  readonly server: ScriptServer
  readonly warnings: string[]
}

async function usedOf(gate: SharedGate): Promise<Record<string, number>> {
  await gate.flush()
  return Object.fromEntries((await gate.list()).map(({ id, used }) => [id, used]))
}

async function spendAll(gate: SharedGate, charges: ReturnType<typeof chargeOf>[]): Promise<number> {
  for (let spent = 0; ; spent++) {
    const result = await gate.reserve(charges, demandFor(1))
    if (!result.ok) return spent
    gate.settle(result.reservation, actualOf(1))
  }
}

async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  await vi.waitFor(async () => expect(await done()).toBe(true), { timeout: 10_000, interval: 20 })
}

describe.skipIf(!hasRedis())('a shared gate on a real Redis', () => {
  let redis: RedisProcess
  const members: Member[] = []
  const proxies: CutProxy[] = []

  beforeEach(async () => {
    redis = await startRedis()
  })
  afterEach(async () => {
    redis.freeze(false)
    for (const { gate } of members.splice(0)) await gate.stop()
    for (const proxy of proxies.splice(0)) await proxy.close()
    await redis.stop()
  })

  async function member(
    options: {
      url?: string
      lifetimeMs?: number
      timeoutMs?: number
      states?: CounterState[]
    } = {},
  ): Promise<Member> {
    const { url = redis.url, lifetimeMs = 660_000, timeoutMs = 500 } = options
    const server = createRedisServer({ url, script: GATE_SCRIPT, timeoutMs })
    const warnings: string[] = []
    const gate = new SharedGate({
      server,
      namespace: 'test',
      clock: SYSTEM_CLOCK,
      lifetimeMs: () => lifetimeMs,
      onAlert: () => {},
      onState: () => {},
      onWarning: (warning) => warnings.push(warning),
    })
    gate.restore(options.states ?? [])
    gate.start()
    const made = { gate, server, warnings }
    members.push(made)
    await until(() => gate.problem() === null)
    return made
  }

  it('charges in full what a lost owner held, and gives its concurrency back', async () => {
    const lost = await member({ lifetimeMs: 400 })
    const other = await member()
    const charges = [
      chargeOf(limitOf(lifetime(100))),
      chargeOf(limitOf(concurrent(1), { unit: 'concurrent' })),
    ]
    admitted(await lost.gate.reserve(charges, demandFor(30)))
    await lost.server.stop()
    expect(refused(await other.gate.reserve(charges, demandFor(1))).limit.id).toBe('concurrent')
    await until(async () => (await other.gate.reserve(charges, demandFor(1))).ok)
    expect(await usedOf(other.gate)).toMatchObject({ lifetime: 30 })
  })

  it('keeps a reservation whose owner is slow but alive', async () => {
    const { gate } = await member({ lifetimeMs: 1500 })
    const charges = [chargeOf(limitOf(lifetime(100)))]
    const slow = admitted(await gate.reserve(charges, demandFor(30)))
    await sleep(3500)
    gate.settle(slow, actualOf(4))
    expect(await usedOf(gate)).toEqual({ lifetime: 4 })
  })

  it('goes on alone within the timeout, and gives back what was asked meanwhile', async () => {
    const { gate } = await member({ timeoutMs: 50 })
    const charges = [chargeOf(limitOf(lifetime(1000)))]
    const open = admitted(await gate.reserve(charges, demandFor(10)))
    await sleep(600)
    redis.freeze(true)
    const startedMs = performance.now()
    const alone = admitted(await gate.reserve(charges, demandFor(20)))
    expect(performance.now() - startedMs).toBeLessThan(2000)
    gate.settle(alone, actualOf(15))
    gate.settle(open, actualOf(7))
    const late = admitted(await gate.reserve(charges, demandFor(5)))
    redis.freeze(false)
    await until(() => gate.problem() === null)
    gate.settle(late, actualOf(3))
    await sleep(300)
    expect(await usedOf(gate)).toEqual({ lifetime: 25 })
    expect(await gate.list()).toMatchObject([{ reserved: 0 }])
  })

  it.each([lifetime(90), fixed(90, DAY), sliding(90, HOUR), bucket(90, 0)])(
    'cut off alone, spends what it leased, which nobody else can: %j',
    async (algorithm) => {
      const proxy = await cutProxy(redis.port)
      proxies.push(proxy)
      const cutOff = await member({ url: `redis://127.0.0.1:${proxy.port}` })
      const other = await member()
      const charges = [chargeOf(limitOf(algorithm, { id: 'x' }))]
      for (const { gate } of [cutOff, other]) {
        gate.settle(admitted(await gate.reserve(charges, demandFor(5))), actualOf(5))
      }
      await sleep(1000)
      proxy.cut()
      await until(() => cutOff.gate.problem() !== null)
      const alone = await spendAll(cutOff.gate, charges)
      const together = await spendAll(other.gate, charges)
      expect(alone).toBeGreaterThan(0)
      expect(10 + alone + together).toBe(90)
      proxy.mend()
      await until(() => cutOff.gate.problem() === null)
      await until(async () => (await usedOf(other.gate))['x'] === 90)
    },
  )

  it('brings everything back that a server lost: counters, open calls, and nothing twice', async () => {
    const one = await member()
    const two = await member()
    const charges = [
      chargeOf(limitOf(lifetime(100))),
      chargeOf(limitOf(fixed(100, HOUR))),
      chargeOf(limitOf(sliding(100, HOUR))),
    ]
    const held: Reservation[] = []
    for (const { gate } of [one, two]) {
      gate.settle(admitted(await gate.reserve(charges, demandFor(10))), actualOf(10))
      held.push(admitted(await gate.reserve(charges, demandFor(7))))
      await gate.flush()
    }
    await redis.command('FLUSHALL')
    for (const { gate } of [one, two]) await gate.reserve(charges, demandFor(0))
    await until(() => one.gate.problem() === null && two.gate.problem() === null)
    expect((await one.gate.list()).map(({ used, reserved }) => [used, reserved])).toEqual([
      [20, 14],
      [20, 14],
      [20, 14],
    ])
    for (const [index, { gate }] of [one, two].entries()) {
      const reservation = held[index]
      if (reservation !== undefined) gate.settle(reservation, actualOf(6))
      await gate.flush()
    }
    expect(await usedOf(one.gate)).toEqual({ lifetime: 32, fixed: 32, sliding: 32 })
  })

  it('builds one counter up again that is gone: a missing key is not a full budget', async () => {
    const { gate } = await member()
    const charges = [chargeOf(limitOf(lifetime(100)))]
    gate.settle(admitted(await gate.reserve(charges, demandFor(95))), actualOf(95))
    await gate.flush()
    await redis.command('DEL', '{test}:c:lifetime|key|k1')
    expect(refused(await gate.reserve(charges, demandFor(10))).used).toBe(95)
    admitted(await gate.reserve(charges, demandFor(5)))
  })

  it('even when it was made again for its lease before anybody asked for it', async () => {
    const { gate } = await member()
    const charges = [chargeOf(limitOf(lifetime(100)))]
    gate.settle(admitted(await gate.reserve(charges, demandFor(95))), actualOf(95))
    await gate.flush()
    await redis.command('DEL', '{test}:c:lifetime|key|k1')
    await until(async () => (await redis.command('EXISTS', '{test}:c:lifetime|key|k1')) === 1)
    expect(refused(await gate.reserve(charges, demandFor(10))).used).toBe(95)
    admitted(await gate.reserve(charges, demandFor(5)))
  })

  it('a restarted process with a stored state fills an empty server', async () => {
    const first = await member()
    const charges = [chargeOf(limitOf(lifetime(100)))]
    first.gate.settle(admitted(await first.gate.reserve(charges, demandFor(95))), actualOf(95))
    await first.gate.flush()
    await first.gate.save()
    const states = [...first.gate.takeChanged()]
    await first.server.stop()
    await redis.kill()
    await redis.restart()
    const { gate } = await member({ states })
    expect(refused(await gate.reserve(charges, demandFor(10))).used).toBe(95)
  })

  it('a reset is not undone by a process that remembers more', async () => {
    const proxy = await cutProxy(redis.port)
    proxies.push(proxy)
    const away = await member({ url: `redis://127.0.0.1:${proxy.port}` })
    const other = await member()
    const charges = [chargeOf(limitOf(lifetime(100)))]
    away.gate.settle(admitted(await away.gate.reserve(charges, demandFor(90))), actualOf(90))
    await away.gate.flush()
    proxy.cut()
    await until(() => away.gate.problem() !== null)
    await other.gate.reset('lifetime', null)
    proxy.mend()
    await until(() => away.gate.problem() === null)
    await sleep(600)
    expect(await usedOf(other.gate)).toEqual({})
  })

  it('follows a cluster to the node that has the counters', async () => {
    const settings = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '1000']
    const [near, far] = [await startRedis(...settings), await startRedis(...settings)]
    try {
      await far.command('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
      await near.command('CLUSTER', 'MEET', '127.0.0.1', String(far.port))
      await until(async () => String(await near.command('CLUSTER', 'INFO')).includes('state:ok'))
      const { gate } = await member({ url: near.url })
      const charges = [chargeOf(limitOf(lifetime(10))), chargeOf(limitOf(fixed(10, HOUR)), 'k2')]
      gate.settle(admitted(await gate.reserve(charges, demandFor(4))), actualOf(4))
      expect(await usedOf(gate)).toEqual({ lifetime: 4, fixed: 4 })
    } finally {
      for (const one of members.splice(0)) await one.gate.stop()
      await near.stop()
      await far.stop()
    }
  })

  it('leaves no key of a short window behind', async () => {
    const { gate } = await member()
    const charges = [
      chargeOf(limitOf(sliding(100, { kind: 'duration', ms: 1000, text: '1s' }))),
      chargeOf(limitOf(bucket(100, 100))),
      chargeOf(limitOf(concurrent(5), { unit: 'concurrent' })),
    ]
    gate.settle(admitted(await gate.reserve(charges, demandFor(50))), actualOf(50))
    await gate.flush()
    for (const name of ['sliding', 'bucket']) {
      expect(Number(await redis.command('PTTL', `{test}:c:${name}|key|k1`))).toBeGreaterThan(0)
    }
    expect(await redis.command('HLEN', '{test}:open')).toBe(0)
  })
})

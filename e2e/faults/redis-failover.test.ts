import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { type CutProxy, cutProxy } from '../../packages/gateway/src/testing/cut-proxy.ts'
import {
  hasRedis,
  type RedisProcess,
  startRedis,
} from '../../packages/gateway/src/testing/redis-process.ts'
import { closeAll, onClose } from '../harness/cleanup.ts'
import {
  type Fleet,
  load,
  RECOVERY_MS,
  settled,
  startFleet,
  statuses,
  up,
} from '../harness/redis-fleet.ts'
import { startSandboxProcess } from '../harness/sandbox.ts'
import { waitFor } from '../harness/wait-for.ts'

const BUDGET = 2000
const SIZE = 3
const CALLS = { id: 'calls', scope: 'global', unit: 'requests', algorithm: 'lifetime' }
const FEW_KEYS = 400

type Stage = {
  readonly all: Fleet
  readonly redis: RedisProcess
  /** The address that gateways know: an operator's proxy, or a name that moves. */
  readonly address: CutProxy
}

async function server(...settings: string[]): Promise<RedisProcess> {
  const redis = await startRedis(...settings)
  onClose(() => redis.stop())
  return redis
}

async function stage(amount: number, ...settings: string[]): Promise<Stage> {
  const redis = await server(...settings)
  const address = await cutProxy(redis.port)
  onClose(() => address.close())
  const sandbox = await startSandboxProcess()
  const redisUrl = `redis://127.0.0.1:${address.port}`
  const limits = [{ ...CALLS, amount }]
  const all = await startFleet({ size: SIZE, redisUrl, sandbox, limits })
  return { all, redis, address }
}

/** What providers were asked for, by the gateways' own records. */
async function spentBy({ gateways }: Fleet): Promise<number> {
  const all = await Promise.all(gateways.map(({ admin }) => admin.summary()))
  return all.reduce((sum, { requests, errors }) => sum + requests - errors, 0)
}

async function follow(replica: RedisProcess, master: RedisProcess): Promise<void> {
  await replica.command('REPLICAOF', '127.0.0.1', String(master.port))
  await waitFor('the replica to have all', async () =>
    String(await replica.command('INFO', 'replication')).includes('master_link_status:up'),
  )
}

type Spent = { readonly spent: number; readonly counted: number }

const ALL_AND_NO_MORE: Spent = {
  spent: expect.toSatisfy((spent: number) => spent > BUDGET / 2 && spent <= BUDGET),
  counted: expect.toSatisfy((counted: number) => counted > BUDGET * 0.95 && counted <= BUDGET),
}

/** Uses the budget up. What the records say, and what the counter. */
async function spendTheRest(all: Fleet, busy: ReturnType<typeof load>): Promise<Spent> {
  await waitFor('the end of the budget', async () => (await all.ask(0)).status === 429, 60_000)
  const answers = await busy.stop()
  const counted = await settled(all, 'calls')
  const spent = await spentBy(all)
  console.log(
    `${JSON.stringify(statuses(answers))}, counted ${counted}, spent ${spent} of ${BUDGET}`,
  )
  return { spent, counted }
}

/** How long it took until all gateways counted in Redis again. */
async function backAgain(all: Fleet): Promise<number> {
  const startedMs = performance.now()
  await up(all, 1)
  return performance.now() - startedMs
}

describe.skipIf(!hasRedis())('a Redis that fails over', () => {
  afterEach(closeAll)

  it.each([
    ['a replica that has nearly all', true],
    ['an empty one', false],
  ])('to %s, under load: nothing overspent', async (_what, replicated) => {
    const { all, redis, address } = await stage(BUDGET)
    const replica = await server()
    if (replicated) await follow(replica, redis)
    const busy = load(all, 8 * SIZE)
    await sleep(1500)
    await redis.kill()
    await up(all, 0)
    await replica.command('REPLICAOF', 'NO', 'ONE')
    address.leadTo(replica.port)
    expect(await backAgain(all)).toBeLessThan(RECOVERY_MS)
    expect(await spendTheRest(all, busy)).toEqual(ALL_AND_NO_MORE)
  })

  it('a master that was made a replica (READONLY): away, until the new master has its address', async () => {
    const { all, redis, address } = await stage(BUDGET)
    const next = await server()
    await follow(next, redis)
    const busy = load(all, 8 * SIZE)
    await sleep(1000)
    await next.command('REPLICAOF', 'NO', 'ONE')
    await redis.command('REPLICAOF', '127.0.0.1', String(next.port))
    await up(all, 0)
    await sleep(500)
    address.leadTo(next.port)
    expect(await backAgain(all)).toBeLessThan(RECOVERY_MS)
    expect(await spendTheRest(all, busy)).toEqual(ALL_AND_NO_MORE)
  })

  it('a server that is still LOADING: away until it is done', async () => {
    const { all, redis } = await stage(
      BUDGET,
      '--key-load-delay',
      '5000',
      '--loading-process-events-interval-bytes',
      '1024',
    )
    for (let i = 0; i < FEW_KEYS; i++) await redis.command('SET', `filler:${i}`, 'x'.repeat(100))
    const busy = load(all, 8 * SIZE)
    await sleep(1000)
    await redis.command('SAVE')
    await redis.kill()
    await up(all, 0)
    const [first] = all.gateways
    await redis.restart()
    expect(await backAgain(all)).toBeLessThan(RECOVERY_MS)
    expect(first?.child.stdout()).toContain('LOADING')
    expect(await spendTheRest(all, busy)).toEqual(ALL_AND_NO_MORE)
  })
})

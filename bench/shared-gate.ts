import type { Actual, Demand, LimitCharge } from '../packages/gateway/src/contracts/limit.ts'
import {
  GATE_SCRIPT,
  SharedGate,
} from '../packages/gateway/src/data-plane/limits/shared/shared-gate.ts'
import { SYSTEM_CLOCK } from '../packages/gateway/src/lib/clock.ts'
import { createRedisServer } from '../packages/gateway/src/storage/redis/redis-server.ts'
import { hasRedis, startRedis } from '../packages/gateway/src/testing/redis-process.ts'

const CALLS = 4000
const WARM_UP = 500

type Work = {
  readonly charges: readonly (readonly LimitCharge[])[]
  readonly demand: Demand
  readonly actual: Actual
}

/** Reserve and settle in a Redis of its own on this machine: time of one, calls a second of many, and round trips. */
export async function printSharedGate(scopes: number, work: Work): Promise<void> {
  if (!hasRedis()) return
  const redis = await startRedis()
  const server = createRedisServer({ url: redis.url, script: GATE_SCRIPT, timeoutMs: 5000 })
  const gate = new SharedGate({
    server,
    namespace: 'bench',
    clock: SYSTEM_CLOCK,
    lifetimeMs: () => 660_000,
    onAlert: () => {},
    onState: () => {},
    onWarning: () => {},
  })
  gate.start()
  while (gate.problem() !== null) await new Promise((resolve) => setTimeout(resolve, 5))
  const call = async (index: number): Promise<void> => {
    const charges = work.charges[index % work.charges.length] ?? []
    const result = await gate.reserve(charges, work.demand)
    if (!result.ok) throw new Error(`refused by ${result.refusal.limit.id}`)
    gate.settle(result.reservation, work.actual)
  }
  for (let i = 0; i < WARM_UP; i++) await call(i)
  const waits: number[] = []
  for (let i = 0; i < CALLS; i++) {
    const startedMs = performance.now()
    await call(i)
    waits.push(performance.now() - startedMs)
  }
  waits.sort((one, other) => one - other)
  await gate.flush()
  const before = await scriptCalls(redis.command)
  const startedMs = performance.now()
  await Promise.all(
    Array.from({ length: 64 }, async (_, worker) => {
      for (let i = worker; i < CALLS; i += 64) await call(i)
    }),
  )
  await gate.flush()
  const perSecond = (CALLS / (performance.now() - startedMs)) * 1000
  const trips = ((await scriptCalls(redis.command)) - before) / CALLS
  const at = (share: number): string => ((waits[Math.floor(CALLS * share)] ?? 0) * 1000).toFixed(0)
  console.log(
    `Redis, ${scopes} scope(s): reserve p50 ${at(0.5)} us, p99 ${at(0.99)} us; 64 at once ${perSecond.toFixed(0)} reserve + settle a second; ${trips.toFixed(2)} round trips each`,
  )
  await gate.stop()
  await redis.stop()
}

async function scriptCalls(command: (...words: string[]) => Promise<unknown>): Promise<number> {
  const stats = String(await command('INFO', 'commandstats'))
  return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0)
}

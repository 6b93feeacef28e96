import { createClient } from '@redis/client'
import { RateLimiterMemory, RateLimiterRedis } from 'rate-limiter-flexible'
import { hasRedis, startRedis } from '../packages/gateway/src/testing/redis-process.ts'

/**
 * The same work with rate-limiter-flexible, the limiter that most Node.js programs use: six limits are charged with the
 * worst case, then the difference is given back. It has no reservation over several limits: each is a call of its own,
 * and one that refuses leaves the others charged.
 */
const CALLERS = 64
const POINTS = 1e15
const RESERVED = 1300
const USED = 1090
const MEMORY_CALLS = 50_000
const REDIS_CALLS = 2000
const ROUNDS = 5

type Limiter = {
  consume(key: string, points: number): Promise<unknown>
  reward(key: string, points: number): Promise<unknown>
}

async function reserveAndSettle(limiters: readonly Limiter[], key: string): Promise<void> {
  await reserve(limiters, key)
  await settle(limiters, key)
}

async function reserve(limiters: readonly Limiter[], key: string): Promise<void> {
  await Promise.all(limiters.map((one) => one.consume(key, RESERVED)))
}

async function settle(limiters: readonly Limiter[], key: string): Promise<void> {
  await Promise.all(limiters.map((one) => one.reward(key, RESERVED - USED)))
}

export async function printPeerInMemory(scopes: number): Promise<void> {
  const limiters = Array.from(
    { length: scopes },
    (_, i) => new RateLimiterMemory({ keyPrefix: `m${i}`, points: POINTS, duration: 60 }),
  )
  let best = Infinity
  for (let round = 0; round < ROUNDS; round++) {
    const startedMs = performance.now()
    for (let call = 0; call < MEMORY_CALLS; call++) {
      await reserveAndSettle(limiters, `caller-${call % CALLERS}`)
    }
    best = Math.min(best, ((performance.now() - startedMs) / MEMORY_CALLS) * 1e6)
  }
  console.log(
    `rate-limiter-flexible, reserve + settle, ${scopes} scope(s): ${best.toFixed(0)} ns (not all or nothing)`,
  )
}

export async function printPeerInRedis(scopes: number): Promise<void> {
  if (!hasRedis()) return
  const redis = await startRedis()
  const client = createClient({ url: redis.url, RESP: 2 })
  await client.connect()
  const limiters = Array.from(
    { length: scopes },
    (_, i) =>
      new RateLimiterRedis({
        storeClient: client,
        useRedisPackage: true,
        keyPrefix: `r${i}`,
        points: POINTS,
        duration: 60,
      }),
  )
  const waits: number[] = []
  for (let call = 0; call < REDIS_CALLS; call++) {
    const startedMs = performance.now()
    await reserve(limiters, `caller-${call % CALLERS}`)
    waits.push(performance.now() - startedMs)
    await settle(limiters, `caller-${call % CALLERS}`)
  }
  waits.sort((one, other) => one - other)
  const before = await evals(redis.command)
  const startedMs = performance.now()
  await Promise.all(
    Array.from({ length: CALLERS }, async (_, worker) => {
      for (let call = worker; call < REDIS_CALLS; call += CALLERS) {
        await reserveAndSettle(limiters, `caller-${worker}`)
      }
    }),
  )
  const perSecond = (REDIS_CALLS / (performance.now() - startedMs)) * 1000
  const trips = ((await evals(redis.command)) - before) / REDIS_CALLS
  const at = (share: number): string =>
    ((waits[Math.floor(REDIS_CALLS * share)] ?? 0) * 1000).toFixed(0)
  console.log(
    `rate-limiter-flexible in Redis, ${scopes} scope(s): reserve p50 ${at(0.5)} us, p99 ${at(0.99)} us; 64 at once ${perSecond.toFixed(0)} reserve + settle a second; ${trips.toFixed(2)} calls of Redis each`,
  )
  client.destroy()
  await redis.stop()
}

async function evals(command: (...words: string[]) => Promise<unknown>): Promise<number> {
  const stats = String(await command('INFO', 'commandstats'))
  return [...stats.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)].reduce(
    (sum, [, calls]) => sum + Number(calls),
    0,
  )
}

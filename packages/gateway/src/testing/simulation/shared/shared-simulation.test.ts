import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { GATE_SCRIPT } from '../../../data-plane/limits/shared/shared-gate.ts'
import { hasRedis, type RedisProcess, startRedis } from '../../redis-process.ts'
import { runSharedSeed } from './run-shared-seed.ts'
import { connectSim, type SimClient } from './sim-redis.ts'

vi.setConfig({ testTimeout: 120_000 })

const SEEDS = 8
const MOST_TO_FIND = 40

/** Faults of the script that have to be found: what it does right, and what it would do wrong. */
const PLANTED = [
  ['an end that is told twice counts twice', "call('HDEL', KEYS[2], ARGV[5])", ''],
  ['what others lease is spent too', 'local others = leased(c, process)', 'local others = 0'],
  ['a lost counter is empty', 'meter_of(c).merge(c, cjson.decode(ARGV[at + 2]))', ''],
] as const

describe.skipIf(!hasRedis())('gateways that share limits in Redis, simulated', () => {
  let redis: RedisProcess
  let client: SimClient

  beforeAll(async () => {
    redis = await startRedis()
    client = await connectSim(redis.url)
  })

  afterAll(async () => {
    client.destroy()
    await redis.stop()
  })

  it.each(Array.from({ length: SEEDS }, (_, seed) => seed))(
    'never overspend, forget nothing and come back: seed %i',
    async (seed) => {
      const { problem, admitted } = await runSharedSeed(seed, client)
      expect(problem).toBeNull()
      expect(admitted).toBeGreaterThan(20)
    },
  )

  it.each(PLANTED)('a planted fault is found: %s', async (_, right, wrong) => {
    expect(GATE_SCRIPT).toContain(right)
    const script = GATE_SCRIPT.replaceAll(right, wrong)
    let problem: string | null = null
    for (let seed = 0; seed < MOST_TO_FIND && problem === null; seed++) {
      problem = (await runSharedSeed(seed, client, script)).problem
    }
    expect(problem).not.toBeNull()
  })
})

import { afterAll, beforeAll, describe, vi } from 'vitest'
import { forkContract } from '../../../testing/fork-contract.ts'
import { gateContract } from '../../../testing/gate-contract.ts'
import { leaseContract } from '../../../testing/lease-contract.ts'
import { hasRedis, type RedisProcess, startRedis } from '../../../testing/redis-process.ts'
import { sharedGates } from '../../../testing/shared-gates.ts'

// Every step of a property is a round trip.
vi.setConfig({ testTimeout: 180_000 })

describe.skipIf(!hasRedis())('with a real Redis', () => {
  let redis: RedisProcess
  let gates: ReturnType<typeof sharedGates>

  beforeAll(async () => {
    redis = await startRedis()
    gates = sharedGates(redis.url)
  })

  afterAll(async () => {
    await gates.stop()
    await redis.stop()
  })

  gateContract('shared gate', (options) => gates.make(options))
  forkContract('shared gate', (options) => gates.make(options))
  leaseContract('shared gate', (options) => gates.make(options), 40)
})

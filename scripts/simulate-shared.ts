import { parseArgs } from 'node:util'
import { startRedis } from '../packages/gateway/src/testing/redis-process.ts'
import { runSharedSeed } from '../packages/gateway/src/testing/simulation/shared/run-shared-seed.ts'
import { connectSim } from '../packages/gateway/src/testing/simulation/shared/sim-redis.ts'

/** Gateways that share limits in Redis, simulated: `node scripts/simulate-shared.ts --seeds 1000`, or `--seed 42`. */

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    first: { type: 'string', default: '0' },
    seed: { type: 'string' },
  },
})
const first = Number(values.seed ?? values.first)
const count = values.seed === undefined ? Number(values.seeds) : 1
const redis = await startRedis()
const client = await connectSim(redis.url)
const sum = { events: 0, admitted: 0, alone: 0, refused: 0, faults: 0 }
const failed: number[] = []
const startedMs = performance.now()
for (let seed = first; seed < first + count; seed++) {
  const { problem, events, admitted, alone, refused, faults } = await runSharedSeed(seed, client)
  sum.events += events
  sum.admitted += admitted
  sum.alone += alone
  sum.refused += refused
  sum.faults += faults
  if (problem === null) continue
  failed.push(seed)
  process.stdout.write(
    `seed ${seed}: ${problem}\nagain: node scripts/simulate-shared.ts --seed ${seed}\n`,
  )
}
client.destroy()
await redis.stop()
const seconds = (performance.now() - startedMs) / 1000
process.stdout.write(
  `${count} seeds, ${failed.length} failed, in ${seconds.toFixed(1)} s: ${sum.events} events, ` +
    `${sum.admitted} calls admitted (${sum.alone} without Redis), ${sum.refused} refused, ${sum.faults} faults\n`,
)
process.exitCode = failed.length === 0 ? 0 : 1

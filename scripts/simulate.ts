import { parseArgs } from 'node:util'
import { hasRedis, startRedis } from '../packages/gateway/src/testing/redis-process.ts'
import { runSeed } from '../packages/gateway/src/testing/simulation/run-seed.ts'
import { runSharedSeed } from '../packages/gateway/src/testing/simulation/shared/run-shared-seed.ts'
import { connectSim } from '../packages/gateway/src/testing/simulation/shared/sim-redis.ts'

/**
 * Runs the simulations of the money core: `npm run simulate -- --seeds 10000`, or `--only shared --seed 42` for one again.
 * `own`: gateways with limits of their own. `shared`: gateways that share them in Redis; its script runs in a real server,
 * which is slower, so that there are a tenth as many seeds of it unless it is asked for alone.
 */

const SHARED_PART = 10

type Told = {
  readonly problem: string | null
  readonly events: number
  readonly admitted: number
  /** Of these, while Redis was away. */
  readonly alone?: number
}
type Run = (seed: number) => Told | Promise<Told>

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    first: { type: 'string', default: '0' },
    seed: { type: 'string' },
    only: { type: 'string' },
  },
})
const { only } = values
if (only !== undefined && only !== 'own' && only !== 'shared') {
  throw new TypeError('--only is "own" or "shared".')
}
const first = wholeNumber('seed', values.seed ?? values.first)
const count = values.seed === undefined ? wholeNumber('seeds', values.seeds) : 1

if (only !== 'shared') await simulate('own', runSeed, count)
if (only !== 'own') await simulateShared(only === 'shared' ? count : Math.ceil(count / SHARED_PART))

async function simulateShared(seeds: number): Promise<void> {
  if (!hasRedis()) {
    process.stdout.write('shared: left out, there is no redis-server on this machine\n')
    if (only === 'shared') process.exitCode = 1
    return
  }
  const redis = await startRedis()
  const client = await connectSim(redis.url)
  await simulate('shared', (seed) => runSharedSeed(seed, client), seeds)
  client.destroy()
  await redis.stop()
}

async function simulate(kind: string, run: Run, seeds: number): Promise<void> {
  const sum = { events: 0, admitted: 0, alone: 0, failed: 0 }
  const startedMs = performance.now()
  for (let seed = first; seed < first + seeds; seed++) {
    const { problem, events, admitted, alone = 0 } = await run(seed)
    sum.events += events
    sum.admitted += admitted
    sum.alone += alone
    if (problem === null) continue
    sum.failed += 1
    process.stdout.write(
      `seed ${seed}: ${problem}\nagain: npm run simulate -- --only ${kind} --seed ${seed}\n`,
    )
  }
  const seconds = (performance.now() - startedMs) / 1000
  process.stdout.write(
    `${kind}: ${seeds} seeds, ${sum.failed} failed, in ${seconds.toFixed(1)} s: ` +
      `${sum.events} events, ${sum.admitted} calls admitted` +
      `${sum.alone > 0 ? `, ${sum.alone} of them without Redis` : ''}\n`,
  )
  if (sum.failed > 0) process.exitCode = 1
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new TypeError(`--${name} is a whole number.`)
}

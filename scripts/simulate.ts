import { parseArgs } from 'node:util'
import { runSeed } from '../packages/gateway/src/testing/simulation/run-seed.ts'

/** Runs the simulation of the money core: `npm run simulate -- --seeds 10000`, or `--seed 42` for one again. */

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    first: { type: 'string', default: '0' },
    seed: { type: 'string' },
  },
})
const first = Number(values.seed ?? values.first)
const count = values.seed === undefined ? Number(values.seeds) : 1
const sum = { events: 0, admitted: 0, crashes: 0 }
const failed: number[] = []
const startedMs = performance.now()
for (let seed = first; seed < first + count; seed++) {
  const { problem, events, admitted, crashes } = runSeed(seed)
  sum.events += events
  sum.admitted += admitted
  sum.crashes += crashes
  if (problem === null) continue
  failed.push(seed)
  process.stdout.write(`seed ${seed}: ${problem}\nagain: npm run simulate -- --seed ${seed}\n`)
}
const seconds = (performance.now() - startedMs) / 1000
process.stdout.write(
  `${count} seeds, ${failed.length} failed, in ${seconds.toFixed(1)} s (${Math.round(count / seconds)} a second): ` +
    `${sum.events} events, ${sum.admitted} calls admitted, ${sum.crashes} crashes\n`,
)
process.exitCode = failed.length === 0 ? 0 : 1

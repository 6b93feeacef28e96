import { STRATEGIES, type Strategy } from '../packages/gateway/src/contracts/routing.ts'
import type { SelectQuery } from '../packages/gateway/src/data-plane/routing/select-query.ts'
import { select } from '../packages/gateway/src/data-plane/routing/selector.ts'
import {
  fixedBook,
  flatPrice,
  routingTarget,
  selectQuery,
} from '../packages/gateway/src/testing/routing-fixtures.ts'
import type { TargetPlan } from '../packages/gateway/src/plan/gateway-plan.ts'

/** Microseconds of one selection with its explanation, best of several rounds. Run: `node bench/routing.ts`. */

const ROUNDS = 15
const CALLS = 20_000
const SIZES = [1, 2, 5, 20] as const

function targetsOf(count: number): readonly TargetPlan[] {
  return Array.from({ length: count }, (_, i) =>
    routingTarget(`provider-${i}/model`, {
      weight: (i % 5) + 1,
      price: flatPrice(1 + (i % 7)),
      contextTokens: 128_000,
    }),
  )
}

function measure(strategy: Strategy, targets: readonly TargetPlan[]): number {
  const signals = Object.fromEntries(
    targets.map(({ id }, i) => [
      id,
      { latencyMs: 200 + 37 * i, inFlight: i % 4, failureShare: (i % 3) / 100 },
    ]),
  )
  const base = selectQuery('s', { strategy, book: fixedBook(signals) })
  const queries: SelectQuery[] = Array.from({ length: 512 }, (_, i) => {
    const { seed, seedText } = selectQuery(`req_${i}`)
    return { ...base, seed, seedText }
  })
  const rounds: number[] = []
  let chosen = 0
  for (let round = 0; round < ROUNDS; round++) {
    const startedNs = process.hrtime.bigint()
    for (let i = 0; i < CALLS; i++) {
      const query = queries[i % queries.length] ?? base
      chosen += select(targets, query, 'route').order.length
    }
    rounds.push(Number(process.hrtime.bigint() - startedNs) / CALLS / 1000)
  }
  if (chosen !== ROUNDS * CALLS * targets.length) throw new Error('a target was left out')
  return Math.min(...rounds)
}

console.log(`| strategy | ${SIZES.map((size) => `${size} targets`).join(' | ')} |`)
console.log(`|---|${SIZES.map(() => '---').join('|')}|`)
for (const strategy of STRATEGIES) {
  const row = SIZES.map((size) => `${measure(strategy, targetsOf(size)).toFixed(2)} µs`)
  console.log(`| \`${strategy}\` | ${row.join(' | ')} |`)
}

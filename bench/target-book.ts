import { MemoryTargetBook } from '../packages/gateway/src/data-plane/routing/target-book.ts'
import { RetryBudgets } from '../packages/gateway/src/data-plane/routing/retry-budget.ts'

/** Nanoseconds of what health costs one call that succeeds, best of several rounds. Run: `node bench/target-book.ts`. */

const ROUNDS = 11
const CALLS = 200_000
const TARGETS = Array.from({ length: 64 }, (_, i) => `provider/model-${i}`)

const book = new MemoryTargetBook({
  breaker: () => ({
    failures: 5,
    failureShare: 0.5,
    minRequests: 20,
    windowMs: 60_000,
    openMs: 5000,
    maxOpenMs: 10_000,
    whenAllOpen: 'try',
  }),
  onChange: () => {},
})
const budgets = new RetryBudgets()
const retries = { maxRetries: 0, share: 0.1, burst: 10 }
const outcome = { failure: null, latencyMs: null, setAsideMs: null }

let best = Infinity
for (let round = 0; round < ROUNDS; round++) {
  const startedMs = performance.now()
  for (let i = 0; i < CALLS; i++) {
    const nowMs = round * CALLS + i
    const ticket = book.begin(TARGETS[i % TARGETS.length] ?? '', nowMs)
    if (ticket === null) throw new Error('blocked')
    budgets.earn('provider', retries, nowMs)
    book.answered(ticket, 120, nowMs)
    book.end(ticket, outcome, nowMs)
  }
  best = Math.min(best, performance.now() - startedMs)
}
const perCall = (best / CALLS) * 1e6
process.stdout.write(`begin, answered and end of one attempt: ${perCall.toFixed(0)} ns\n`)

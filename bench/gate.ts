import type {
  LimitAlgorithm,
  LimitCharge,
  LimitPlan,
  LimitUnit,
} from '../packages/gateway/src/contracts/limit.ts'
import { createMemoryGate } from '../packages/gateway/src/data-plane/limits/memory-gate.ts'
import { SYSTEM_CLOCK } from '../packages/gateway/src/lib/clock.ts'
import { printPeerInMemory, printPeerInRedis } from './peer-limiter.ts'
import { printSharedGate } from './shared-gate.ts'

/** Nanoseconds per reserve and settle, best of several rounds. Run: `node bench/gate.ts`. With redis-server, the shared gate too. */

const ROUNDS = 9
const CALLS = 200_000
const CALLERS = 64
const AMOUNT = 1e15

const minute = { kind: 'duration', ms: 60_000, text: '1m' } as const
const day = { kind: 'duration', ms: 86_400_000, text: '24h' } as const

const SCOPES: readonly { scope: LimitPlan['scope']; unit: LimitUnit; algorithm: LimitAlgorithm }[] =
  [
    {
      scope: 'key',
      unit: 'requests',
      algorithm: { kind: 'sliding', amount: AMOUNT, window: minute },
    },
    {
      scope: 'global',
      unit: 'usd',
      algorithm: { kind: 'fixed', amount: AMOUNT, window: day, align: 'clock' },
    },
    {
      scope: 'team',
      unit: 'tokens',
      algorithm: { kind: 'sliding', amount: AMOUNT, window: minute },
    },
    { scope: 'rolegroup', unit: 'tokens', algorithm: { kind: 'lifetime', amount: AMOUNT } },
    { scope: 'role', unit: 'concurrent', algorithm: { kind: 'concurrent', amount: AMOUNT } },
    {
      scope: 'user',
      unit: 'tokens',
      algorithm: { kind: 'bucket', capacity: 1e9, refillPerSec: 1e9 },
    },
  ]

const demand = {
  inputTokens: 900,
  outputTokens: 400,
  fixedCostPicoUsd: 135_000_000,
  outputPicoUsd: 600_000,
}
const actual = { inputTokens: 880, outputTokens: 210, costNanoUsd: 258_000 }

function chargesOf(scopes: number): readonly (readonly LimitCharge[])[] {
  const limits = SCOPES.slice(0, scopes).map(
    ({ scope, unit, algorithm }): LimitPlan => ({
      id: `${scope}-${unit}`,
      scope,
      unit,
      algorithm,
      match: null,
      mode: 'enforce',
      reserve: 'max',
      whenShort: 'shrink',
      minOutputTokens: 256,
      alerts: [0.5, 0.9],
    }),
  )
  return Array.from({ length: CALLERS }, (_, caller) =>
    limits.map((limit) => {
      const value = limit.scope === 'global' ? '' : `caller-${caller}`
      return { limit, value, counterKey: `${limit.id}|${limit.scope}|${value}` }
    }),
  )
}

function nanosecondsPerCall(scopes: number): number {
  const gate = createMemoryGate({ clock: SYSTEM_CLOCK, onAlert: () => {} })
  const charges = chargesOf(scopes)
  let best = Infinity
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint()
    for (let call = 0; call < CALLS; call++) {
      const result = gate.reserve(charges[call % CALLERS] ?? [], demand)
      if (!result.ok) throw new Error(`refused by ${result.refusal.limit.id}`)
      gate.settle(result.reservation, actual)
    }
    best = Math.min(best, Number(process.hrtime.bigint() - start) / CALLS)
  }
  return best
}

for (const scopes of [1, 6]) {
  console.log(`reserve + settle, ${scopes} scope(s): ${nanosecondsPerCall(scopes).toFixed(0)} ns`)
}
for (const scopes of [1, 6]) await printPeerInMemory(scopes)
for (const scopes of [1, 6]) {
  await printSharedGate(scopes, { charges: chargesOf(scopes), demand, actual })
}
for (const scopes of [1, 6]) await printPeerInRedis(scopes)

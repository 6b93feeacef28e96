import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { NO_USAGE } from '../packages/gateway/src/contracts/usage.ts'
import type { UsageRecord } from '../packages/gateway/src/contracts/usage-record.ts'
import { replay, type Ruling } from '../packages/gateway/src/data-plane/what-if/replay.ts'
import { compileKey } from '../packages/gateway/src/plan/compile-key.ts'
import { testKey, testPlan } from '../packages/gateway/src/plan/testing/plan-fixtures.ts'
import { PROTOCOLS } from '../packages/gateway/src/registry.ts'
import { openSqliteStore } from '../packages/gateway/src/storage/sqlite/open-sqlite-store.ts'
import { usageRecord } from '../packages/gateway/src/testing/usage-record.ts'

/**
 * A replay of recorded requests: seconds, and the longest that the event loop was kept. Run: `node bench/replay.ts [records]`.
 *
 * Twenty keys, six limits, three targets; the candidate has a tighter budget and other targets, so that most requests differ.
 */

const RECORDS = Number(process.argv[2] ?? 100_000)
const KEYS = 20
const START_MS = Date.UTC(2026, 2, 10)
const BATCH = 500
const TARGETS = ['a', 'b', 'c'].map((model, i) => ({
  provider: 'acme',
  model,
  price: { input: 1 + i, output: 4 + i },
}))

const limit = (id: string, unit: string, amount: number, scope = 'key') => ({
  id,
  scope,
  unit,
  algorithm: 'sliding',
  window: '1h',
  amount,
})
const limits = (usd: number) => [
  limit('usd', 'usd', usd),
  limit('rph', 'requests', 5000),
  limit('tokens', 'tokens', 5_000_000),
  limit('team', 'usd', 1000, 'team'),
  limit('all', 'requests', 1e6, 'global'),
  { id: 'par', scope: 'key', unit: 'concurrent', algorithm: 'concurrent', amount: 50 },
]

function ruling(usd: number, turned: boolean): Ruling {
  const targets = turned ? TARGETS.toReversed() : TARGETS
  const plan = testPlan({
    providers: { acme: {} },
    models: { m: { targets, max_output: 4000, strategy: 'weighted' } },
    policy: { limits: limits(usd) },
  })
  const subject = { team: 'blue', user: null, role: null, rolegroup: null }
  const keys = new Map(
    Array.from({ length: KEYS }, (_, i) => {
      const id = `key_${i}`
      return [id, compileKey(testKey({ id, subject }), plan.policies)] as const
    }),
  )
  return { plan, keyOf: (id) => keys.get(id) ?? null }
}

function recordOf(i: number): UsageRecord {
  return usageRecord({
    startedAtMs: START_MS + i * 300,
    keyId: `key_${i % KEYS}`,
    requestedModel: 'm',
    model: 'm',
    usage: { ...NO_USAGE, inputTokens: 500 + (i % 997), outputTokens: 100 + (i % 499) },
    costNanoUsd: 1_000_000,
    latencyMs: 500 + ((i * 7919) % 20_000),
    asked: { inputTokens: null, maxOutputTokens: 1000 },
  })
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** The most CPU time of this thread between two turns of a timer: what others had waited for on an idle machine. */
function watchLoop(): () => number {
  let last = cpuMs()
  let longest = 0
  const timer = setInterval(() => {
    const now = cpuMs()
    longest = Math.max(longest, now - last)
    last = now
  }, 1)
  return () => {
    clearInterval(timer)
    return longest
  }
}

const folder = mkdtempSync(path.join(tmpdir(), 'tollgate-bench-'))
const { store, ledger } = await openSqliteStore({ path: path.join(folder, 'tollgate.db') })
for (let i = 0; i < RECORDS; i += BATCH) {
  const size = Math.min(BATCH, RECORDS - i)
  await Promise.all(Array.from({ length: size }, (_, j) => ledger.append(recordOf(i + j))))
}
const before = process.memoryUsage().rss
const stop = watchLoop()
const cpuBefore = process.threadCpuUsage()
const startedMs = performance.now()
const { report } = await replay({
  records: store.records.iterate({}),
  protocols: PROTOCOLS,
  before: ruling(50, false),
  after: ruling(0.5, true),
  isTold: () => true,
  maxRecords: RECORDS,
  signal: new AbortController().signal,
})
const seconds = (performance.now() - startedMs) / 1000
const longestMs = stop()
const cpu = process.threadCpuUsage(cpuBefore)
const cpuSeconds = (cpu.user + cpu.system) / 1e6
const grownMib = (process.memoryUsage().rss - before) / 1024 / 1024
process.stdout.write(
  `${RECORDS} records in ${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} s of it on the processor; loop kept ${longestMs.toFixed(0)} ms at most; memory ${grownMib.toFixed(0)} MiB more\n` +
    `refused ${report.before.refused} before, ${report.after.refused} after; ${report.changed.target} other targets\n`,
)
await store.close()
rmSync(folder, { recursive: true })

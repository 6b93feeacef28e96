import { writeFileSync } from 'node:fs'
import { Agent } from 'node:http'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { UsageRecordView } from '../packages/gateway/src/control-plane/admin-api.ts'
import type { BillLine } from '../packages/gateway/src/providers/sandbox/bill.ts'
import { inParallel } from '../e2e/harness/call.ts'
import { closeAll } from '../e2e/harness/cleanup.ts'
import { startGateway } from '../e2e/harness/gateway.ts'
import { billedTokens, type MixedCall, mixedCalls, send } from '../e2e/harness/mixed-calls.ts'
import { nothingOpen } from '../e2e/harness/nothing-open.ts'
import { startSandboxProcess } from '../e2e/harness/sandbox.ts'

/** Ledger beside bill for mixed calls, every fifth of which the client leaves. `node bench/ledger-bill.ts [calls] [abort|drain]` */
const CALLS = Number(process.argv[2] ?? 20_000)
/** What clients left is read on to its usage, and the provider breaks nothing: then nothing at all may differ. */
const DRAINS = process.argv[3] === 'drain'
const BROKEN: ReadonlySet<string> = new Set(['no-usage', 'cut', 'drop', 'error-after', 'whole-cut'])
const SEED = 20_261_121
const AT_ONCE = 32
const KINDS = ['input', 'output', 'cache_read', 'cache_write_5m', 'cache_write_1h'] as const

const price = { input: 1, output: 2, cache_read: 0.1, cache_write_5m: 1.25, cache_write_1h: 2 }
const priced = (model: string): object => ({ price, targets: [{ provider: 'local', model }] })

/** The mixed load has one in ten; these are the others. */
function leaves(one: MixedCall, index: number): MixedCall {
  if (index % 9 !== 0 || one.abortAfterMs !== undefined || one.abortAfterBytes !== undefined) {
    return one
  }
  return { ...one, abortAfterMs: 1 + (index % 40) }
}

function callsToMake(): readonly MixedCall[] {
  if (!DRAINS) return mixedCalls(CALLS, SEED).map(leaves)
  const whole = mixedCalls(CALLS * 2, SEED).filter(({ kind }) => !BROKEN.has(kind))
  return whole.slice(0, CALLS).map(leaves)
}

const sandbox = await startSandboxProcess()
const gateway = await startGateway({
  config: {
    log: { level: 'warn' },
    providers: {
      local: {
        ...sandbox.provider,
        on_client_abort: DRAINS ? 'drain' : 'abort',
        drain_cap: '10m',
      },
    },
    models: { priced: priced('words-33'), 'priced-cached': priced('cached+words-21') },
    policy: {
      unpriced: 'allow',
      default_provider: 'local',
      limits: [
        { scope: 'key', unit: 'usd', algorithm: 'lifetime', amount: 1e6 },
        { scope: 'key', unit: 'tokens', algorithm: 'fixed', amount: 1e12, window: '24h' },
        { scope: 'global', unit: 'requests', algorithm: 'sliding', amount: 1e9, window: '7d' },
      ],
    },
  },
})
const { key } = await gateway.admin.createKey()
const agent = new Agent({ keepAlive: true })
const startedMs = performance.now()
const place = { url: gateway.proxyUrl, key, agent }
const calls = callsToMake()
const answers = await inParallel(
  calls.map((one) => () => send(one, place)),
  AT_ONCE,
)
agent.destroy()
await nothingOpen(gateway.admin)
const seconds = (performance.now() - startedMs) / 1000
const { items: lines } = await sandbox.bill()
const records = new Map((await gateway.admin.records()).map((one) => [one.request_id, one]))
console.log(
  `${CALLS} calls in ${seconds.toFixed(0)} s, ${answers.filter(({ aborted }) => aborted).length} left by the client, ${records.size} records, ${lines.length} lines on the bill`,
)
let wrong = 0
for (const [outcome, ofOutcome] of Map.groupBy(lines, nameOf)) wrong += compare(outcome, ofOutcome)
const verified = await gateway.cli('ledger', 'verify', '--chain')
console.log(verified.out)
if (verified.code !== 0) wrong++
if (DRAINS) wrong += await reconcile()
wrong += await plantedEdit()
await closeAll()
process.exit(wrong === 0 ? 0 : 1)

/** The bill as the provider would export it. */
async function reconcile(): Promise<number> {
  const file = path.join(gateway.folder, 'bill.json')
  // No vendor bills what it refused.
  const items = lines.filter(({ outcome }) => outcome !== 'refused')
  writeFileSync(file, JSON.stringify({ items }))
  const { code, out, err } = await gateway.cli('ledger', 'reconcile', file)
  const differing = out.split('\n').filter((line) => line.includes('(')).length
  console.log(`ledger reconcile: exit code ${code}, ${differing} lines with a difference ${err}`)
  return code === 0 ? 0 : 1
}

/** One token less in one record: the counters and the chain must both say so. */
async function plantedEdit(): Promise<number> {
  await gateway.child.stop()
  const database = new DatabaseSync(path.join(gateway.folder, '.tollgate', 'tollgate.db'))
  const { changes } = database
    .prepare(
      `UPDATE record_bodies SET body = replace(body, '"amount":', '"amount":1') WHERE body_id = (SELECT max(body_id) / 2 FROM record_bodies)`,
    )
    .run()
  database.close()
  const { code, out } = await gateway.cli('ledger', 'verify', '--chain')
  const found = changes === 1 && code === 1
  console.log(`one record edited: ${found ? 'found' : 'NOT FOUND'}\n${out}`)
  return found ? 0 : 1
}

function nameOf({ outcome, usageReported }: BillLine): string {
  return outcome === 'finished' && !usageReported ? 'finished, usage not told' : outcome
}

/** What the ledger has less than the bill, in tokens. Returns what must not be: a line without a record, or told usage that differs. */
function compare(outcome: string, ofOutcome: readonly BillLine[]): number {
  const exact = outcome === 'finished'
  const missing = ofOutcome.filter(({ gatewayRequestId: id }) => !records.has(id ?? '')).length
  const less = new Map<string, number>()
  let differing = 0
  for (const line of ofOutcome) {
    const record = records.get(line.gatewayRequestId ?? '')
    if (record === undefined) continue
    const differences = KINDS.map((kind) => billedTokens(line)[kind] - told(record, kind))
    // A client that left as the answer ended has an estimate for it.
    if (record.complete && differences.some((one) => one !== 0)) differing++
    for (const [i, kind] of KINDS.entries()) {
      less.set(kind, (less.get(kind) ?? 0) + (differences[i] ?? 0))
    }
  }
  const sums = [...less].map(([kind, tokens]) => `${kind} ${tokens}`)
  console.log(
    `${outcome}: ${ofOutcome.length} lines, ${missing} without a record, ${differing} whole answers differ; bill less ledger: ${sums.join(', ')}`,
  )
  const open = DRAINS && [...less.values()].some((tokens) => tokens !== 0)
  return missing + (exact ? differing : 0) + (open ? 1 : 0)
}

function told({ usage }: UsageRecordView, kind: (typeof KINDS)[number]): number {
  return usage[kind] ?? 0
}

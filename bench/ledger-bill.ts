import { Agent } from 'node:http'
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
/** `drain`: what clients left is read on to its usage, so that nothing may differ. */
const DRAINS = process.argv[3] === 'drain'
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

const sandbox = await startSandboxProcess()
const gateway = await startGateway({
  config: {
    log: { level: 'warn' },
    providers: { local: { ...sandbox.provider, on_client_abort: DRAINS ? 'drain' : 'abort' } },
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
const calls = mixedCalls(CALLS, SEED).map(leaves)
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
await closeAll()
process.exit(wrong === 0 && verified.code === 0 ? 0 : 1)

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
  return missing + (exact ? differing : 0)
}

function told({ usage }: UsageRecordView, kind: (typeof KINDS)[number]): number {
  return usage[kind] ?? 0
}

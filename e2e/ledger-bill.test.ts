import { Agent } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type {
  UsageRecordView,
  UsageSummary,
} from '../packages/gateway/src/control-plane/admin-api.ts'
import type { BillLine } from '../packages/gateway/src/providers/sandbox/bill.ts'
import type { Metrics } from './harness/admin.ts'
import { type CallAnswer, inParallel } from './harness/call.ts'
import { closeAll } from './harness/cleanup.ts'
import { type Gateway, startGateway } from './harness/gateway.ts'
import {
  billedTokens,
  type MixedCall,
  mixedCalls,
  send,
  type Tokens,
} from './harness/mixed-calls.ts'
import { nothingOpen } from './harness/nothing-open.ts'
import { startSandboxProcess } from './harness/sandbox.ts'

const CALLS = 1000
const AT_ONCE = 32
const SEED = Number(process.env['E2E_SEED'] ?? 20_261_121)
/** Tokens that were written when the client left, and had not reached the gateway. */
const IN_FLIGHT = 16
/** What the gateway's own count of an input may be above the sandbox's: a template's scaffolding. */
const SCAFFOLDING = 16
/** US dollars per million tokens; times 1,000 it is nano-US-dollars per token. */
const PRICE = { input: 1, output: 2, cache_read: 0.1, cache_write_5m: 1.25, cache_write_1h: 2 }
const KINDS = ['input', 'output', 'cache_read', 'cache_write_5m', 'cache_write_1h'] as const

type Joined = { readonly line: BillLine; readonly record: UsageRecordView }

let gateway: Gateway
let calls: readonly MixedCall[] = []
let answers: readonly CallAnswer[] = []
let lines: readonly BillLine[] = []
let records: readonly UsageRecordView[] = []
let joined: readonly Joined[] = []
let atOnce: {
  readonly metrics: Metrics
  readonly stats: UsageSummary
  readonly summary: UsageSummary
}

function atPrice(model: string): object {
  return { price: PRICE, targets: [{ provider: 'local', model }] }
}

beforeAll(async () => {
  const sandbox = await startSandboxProcess()
  gateway = await startGateway({
    config: {
      log: { level: 'warn' },
      providers: { local: sandbox.provider },
      models: { priced: atPrice('words-33'), 'priced-cached': atPrice('cached+words-21') },
      policy: {
        default_provider: 'local',
        limits: [
          {
            id: 'day',
            scope: 'key',
            unit: 'tokens',
            algorithm: 'fixed',
            amount: 1e9,
            window: '24h',
          },
          { id: 'life', scope: 'key', unit: 'output_tokens', algorithm: 'lifetime', amount: 1e9 },
        ],
      },
    },
  })
  const { key } = await gateway.admin.createKey()
  calls = mixedCalls(CALLS, SEED)
  const agent = new Agent({ keepAlive: true })
  const place = { url: gateway.proxyUrl, key, agent }
  answers = await inParallel(
    calls.map((one) => () => send(one, place)),
    AT_ONCE,
  )
  agent.destroy()
  await nothingOpen(gateway.admin)
  const [metrics, stats, summary] = await Promise.all([
    gateway.admin.metrics(),
    gateway.admin.get<{ windows: { '24h': UsageSummary } }>('/stats'),
    gateway.admin.summary(),
  ])
  atOnce = { metrics, stats: stats.windows['24h'], summary }
  lines = (await sandbox.bill()).items
  records = await gateway.admin.records()
  const byId = new Map(records.map((record) => [record.request_id, record]))
  joined = lines.flatMap((line) => {
    const record = byId.get(line.gatewayRequestId ?? '')
    return record === undefined ? [] : [{ line, record }]
  })
  console.log(`seed ${SEED}; ${lines.length} bill lines, ${records.length} records`)
})
afterAll(closeAll)

function recordedTokens({ usage }: UsageRecordView): Tokens {
  const { input, output, cache_read, cache_write_5m, cache_write_1h, reasoning } = usage
  return {
    input: input ?? 0,
    output: output ?? 0,
    cache_read: cache_read ?? 0,
    cache_write_5m: cache_write_5m ?? 0,
    cache_write_1h: cache_write_1h ?? 0,
    reasoning: reasoning ?? 0,
  }
}

const outcome =
  (wanted: BillLine['outcome']) =>
  (one: Joined): boolean =>
    one.line.outcome === wanted

describe(`ledger and bill over ${CALLS} mixed calls`, () => {
  it('every call has one record, and every bill line its own', () => {
    expect(records).toHaveLength(CALLS)
    expect(new Set(records.map(({ request_id }) => request_id)).size).toBe(CALLS)
    expect(joined).toHaveLength(lines.length)
    expect(new Set(lines.map(({ gatewayRequestId }) => gatewayRequestId)).size).toBe(lines.length)
    const heard = answers.filter(({ requestId }) => requestId !== '')
    const known = new Set(records.map(({ request_id }) => request_id))
    expect(heard.filter(({ requestId }) => !known.has(requestId))).toEqual([])
    const kinds = new Set(
      calls.map(({ kind, protocol, stream }) => `${kind} ${protocol} ${stream}`),
    )
    expect(kinds.size).toBeGreaterThan(30)
  })

  it('with usage: every kind of token is the bill', () => {
    const told = joined.filter(({ line }) => line.outcome === 'finished' && line.usageReported)
    expect(told.length).toBeGreaterThan(CALLS / 2)
    const wrong = told.filter(
      ({ line, record }) =>
        JSON.stringify(recordedTokens(record)) !== JSON.stringify(billedTokens(line)) ||
        record.estimated,
    )
    expect(wrong).toEqual([])
  })

  it('without usage: the output is counted to the token, and marked', () => {
    const silent = joined.filter(({ line }) => line.outcome === 'finished' && !line.usageReported)
    expect(silent.length).toBeGreaterThan(20)
    for (const { line, record } of silent) {
      expect(record).toMatchObject({ estimated: true, complete: true, error_class: null })
      expect(record.usage.output).toBe(line.outputTokens)
      expectInput(record, line)
    }
  })

  it('streams that the provider broke: what was written, marked as estimated and incomplete', () => {
    const broken = joined.filter(outcome('cut_by_fault')).filter(({ line }) => line.stream)
    expect(broken.length).toBeGreaterThan(50)
    for (const { line, record } of broken) {
      expect(record).toMatchObject({ estimated: true, complete: false, status: 200 })
      expect(record.error_class).toMatch(/^upstream_(truncated|failed)$/)
      expect(record.usage.output).toBe(line.outputTokens)
      expectInput(record, line)
    }
  })

  it('streams that the client left: what was written until then, but for tokens in flight', () => {
    const left = joined.filter(outcome('cut_by_client')).filter(({ record }) => record.stream)
    const begun = left.filter(({ record }) => record.status === 200)
    expect(begun.length).toBeGreaterThan(40)
    let missing = 0
    for (const { line, record } of left) {
      expect(record).toMatchObject({ estimated: true, complete: false, error_class: 'cancelled' })
      const difference = line.outputTokens - (record.usage.output ?? 0)
      expect(difference).toBeGreaterThanOrEqual(0)
      expect(difference).toBeLessThanOrEqual(IN_FLIGHT)
      expectInput(record, line)
      missing += difference
    }
    const billed = left.reduce((sum, { line }) => sum + line.outputTokens, 0)
    console.log(`${left.length} streams left: ${billed} tokens billed, ${missing} in flight`)
  })

  it('whole answers that the client did not wait for: the input, marked', () => {
    const left = joined.filter(outcome('cut_by_client')).filter(({ line }) => !line.stream)
    expect(left.length).toBeGreaterThan(5)
    for (const { line, record } of left) {
      expect(record).toMatchObject({ estimated: true, complete: false, error_class: 'cancelled' })
      expectInput(record, line)
    }
    const billed = left.reduce((sum, { line }) => sum + line.outputTokens, 0)
    console.log(
      `${left.length} whole answers left: ${billed} output tokens that nobody was told of`,
    )
  })

  it('refusals cost nothing and say so', () => {
    const refused = joined.filter(outcome('refused'))
    expect(refused.length).toBeGreaterThan(50)
    for (const { line, record } of refused) {
      expect(record).toMatchObject({ status: line.status, complete: false, cost_nanousd: 0 })
      expect(record.error_class).not.toBeNull()
      expect(sumOf([recordedTokens(record)])).toEqual(sumOf([]))
    }
  })

  it('money is tokens times price', () => {
    const priced = joined.filter(({ record }) => record.model?.startsWith('priced') === true)
    expect(priced.length).toBeGreaterThan(100)
    for (const { line, record } of priced) {
      const tokens = billedTokens(line)
      const cost = KINDS.reduce((sum, kind) => sum + tokens[kind] * PRICE[kind] * 1000, 0)
      expect(record.cost_nanousd).toBe(Math.ceil(cost))
    }
  })

  it('metrics, stats, the usage list and `ledger summary` agree at once', async () => {
    const tokens = sumOf(records.map(recordedTokens))
    const cost = records.reduce((sum, { cost_nanousd }) => sum + (cost_nanousd ?? 0), 0)
    const { summary, stats, metrics } = atOnce
    const { code, out } = await gateway.cli('ledger', 'summary', '--json')
    const fromCli: unknown = JSON.parse(out)
    expect(code).toBe(0)
    const totals = { requests: CALLS, usage: tokens, cost_nanousd: cost, errors: summary.errors }
    expect(summary).toMatchObject(totals)
    expect(stats).toMatchObject(totals)
    expect(fromCli).toMatchObject(totals)
    expect(metrics.sum('tollgate_requests_total')).toBe(CALLS)
    for (const [kind, count] of Object.entries(tokens)) {
      expect([kind, metrics.sum('tollgate_tokens_total', { kind })]).toEqual([kind, count])
    }
    expect(Math.round(metrics.sum('tollgate_cost_usd_total') * 1e9)).toBe(cost)
    const failed = metrics.sum('tollgate_requests_total', { error_class: 'none' })
    expect(CALLS - failed).toBe(summary.errors)
    for (const rows of [summary.by_key, summary.by_provider, summary.by_model]) {
      expect(rows.reduce((sum, { requests }) => sum + requests, 0)).toBe(CALLS)
    }
  })

  it('every limit has counted what the ledger says', async () => {
    const tokens = sumOf(records.map(recordedTokens))
    const [day, life] = [await gateway.admin.limit('day'), await gateway.admin.limit('life')]
    const input = tokens.input + tokens.cache_read + tokens.cache_write_5m + tokens.cache_write_1h
    expect(day).toMatchObject({ used: input + tokens.output, reserved: 0 })
    expect(life).toMatchObject({ used: tokens.output, reserved: 0 })
  })
})

function expectInput(record: UsageRecordView, line: BillLine): void {
  const difference = (record.usage.input ?? 0) - line.inputTokens
  expect(difference).toBeGreaterThanOrEqual(0)
  expect(difference).toBeLessThanOrEqual(SCAFFOLDING)
}

function sumOf(all: readonly Tokens[]): Tokens {
  const sum = {
    input: 0,
    output: 0,
    cache_read: 0,
    cache_write_5m: 0,
    cache_write_1h: 0,
    reasoning: 0,
  }
  for (const one of all) {
    sum.input += one.input
    sum.output += one.output
    sum.cache_read += one.cache_read
    sum.cache_write_5m += one.cache_write_5m
    sum.cache_write_1h += one.cache_write_1h
    sum.reasoning += one.reasoning
  }
  return sum
}

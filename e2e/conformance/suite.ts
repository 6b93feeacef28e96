import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { UsageRecordView } from '../../packages/gateway/src/control-plane/admin-api.ts'
import type { BillLine } from '../../packages/gateway/src/providers/sandbox/bill.ts'
import { closeAll } from '../harness/cleanup.ts'
import { nothingOpen } from '../harness/nothing-open.ts'
import { CLIENTS } from './clients.ts'
import { FEATURES, type Feature } from './features.ts'
import { expectedResult, reasonFor } from './reasons.ts'
import { ROUTES } from './routes.ts'
import { type Stage, startWorld, type World } from './stage.ts'
import { type Exchange, watched, watchFetch } from './watched-fetch.ts'
import { checkWire } from './wire/check-wire.ts'

/** The tests of one file: each of its clients, over each route, with each feature. */
export function conformance(file: string): void {
  const clients = CLIENTS[file] ?? []
  let world: World
  const seen = new Map<string, Exchange>()

  beforeAll(async () => {
    world = await startWorld()
    watchFetch(world.gateway.proxyUrl)
  })
  afterAll(closeAll)

  for (const client of clients) {
    describe.each(ROUTES)(`${client.name} over $name`, (route) => {
      it.each(FEATURES)('$name', async (feature) => {
        const result = await runCell(world.stage(client, route), feature, seen)
        expect({ result }).toEqual({ result: expectedResult(client, route, feature.name) })
      })
    })
  }

  it('every request is one record, with the usage of the bill', async () => {
    expect(await unlikeLedger(world, seen)).toEqual([])
    expect(await nothingOpen(world.gateway.admin)).toEqual({ reservations: 0, inFlight: 0 })
  })
}

type Tokens = Readonly<
  Record<'input' | 'output' | 'read' | 'write5m' | 'write1h' | 'thought', number>
>

/** The requests that are not exactly one record, or whose usage is not what the provider wants paid. */
async function unlikeLedger(
  { gateway, sandbox }: World,
  seen: ReadonlyMap<string, Exchange>,
): Promise<readonly unknown[]> {
  const records = Map.groupBy(await gateway.admin.records(), ({ request_id: id }) => id)
  const bill = new Map((await sandbox.bill()).items.map((line) => [line.gatewayRequestId, line]))
  const wrong: unknown[] = []
  for (const [id, { status }] of seen) {
    const mine = records.get(id) ?? []
    // What a broken stream has cost, nobody was told: its record is an estimate, and says so.
    const broken = mine.some(({ complete, estimated }) => !complete && estimated)
    if (broken && mine.length === 1 && status === 200) continue
    const told = mine.map((record) => [record.status, paid(record.usage)])
    const line = bill.get(id)
    const owed = line === undefined ? NOTHING : owedFor(line)
    const wanted = [[status, owed]]
    if (!isDeepStrictEqual(told, wanted)) wrong.push({ id, told, wanted })
  }
  return wrong
}

const NOTHING: Tokens = { input: 0, output: 0, read: 0, write5m: 0, write1h: 0, thought: 0 }

function owedFor(line: BillLine): Tokens {
  return {
    input: line.inputTokens,
    output: line.outputTokens,
    read: line.cacheReadTokens,
    write5m: line.cacheWrite5mTokens,
    write1h: line.cacheWrite1hTokens,
    thought: line.reasoningTokens,
  }
}

function paid(usage: UsageRecordView['usage']): Tokens {
  return {
    input: usage.input ?? 0,
    output: usage.output ?? 0,
    read: usage.cache_read ?? 0,
    write5m: usage.cache_write_5m ?? 0,
    write1h: usage.cache_write_1h ?? 0,
    thought: usage.reasoning ?? 0,
  }
}

/** `ok`, or what is said of it in the matrix, or what went wrong. */
async function runCell(
  stage: Stage,
  feature: Feature,
  seen: Map<string, Exchange>,
): Promise<string> {
  const { client, log, route } = stage
  const reason = reasonFor(client, route, feature.name)
  if (reason?.result === 'not in the protocol') return reason.result
  const failed = await failureOf(() => watched(log, () => feature.run(stage)))
  const exchanges = await log.exchanges()
  for (const exchange of exchanges) seen.set(exchange.requestId, exchange)
  // The wire of a broken stream has no good end, which is the point.
  const checked = feature.name === 'broken' ? [] : exchanges
  const problems = new Set(checked.flatMap((exchange) => checkWire(client.protocol, exchange)))
  if (problems.size > 0) return `failed: ${[...problems].slice(0, 5).join('; ')} ${failed ?? ''}`
  if (failed === null) return reason?.partly === true ? reason.result : 'ok'
  const loss = new Set(exchanges.flatMap((exchange) => exchange.loss))
  return loss.size > 0 ? `lost: ${[...loss].join(', ')}` : `failed: ${failed}`
}

async function failureOf(work: () => Promise<void>): Promise<string | null> {
  try {
    await work()
    return null
  } catch (thrown) {
    return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
  }
}

import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { UsageRecordView } from '../../packages/gateway/src/control-plane/admin-api.ts'
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

type Tokens = { readonly input: number; readonly output: number }

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
    const told = mine.map((record) => [record.status, paid(record.usage)])
    const line = bill.get(id)
    const owed =
      line === undefined ? NOTHING : { input: line.inputTokens, output: line.outputTokens }
    const wanted = [[status, owed]]
    if (!isDeepStrictEqual(told, wanted)) wrong.push({ id, told, wanted })
  }
  return wrong
}

const NOTHING: Tokens = { input: 0, output: 0 }

function paid({ input, output }: UsageRecordView['usage']): Tokens {
  return { input: input ?? 0, output: output ?? 0 }
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
  let failed: string | null = null
  try {
    await watched(log, () => feature.run(stage))
  } catch (thrown) {
    failed = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
  }
  const exchanges = await log.exchanges()
  for (const exchange of exchanges) seen.set(exchange.requestId, exchange)
  const problems = exchanges.flatMap((exchange) => checkWire(client.protocol, exchange))
  const loss = [...new Set(exchanges.flatMap((exchange) => exchange.loss))]
  if (failed === null && problems.length === 0)
    return reason?.partly === true ? reason.result : 'ok'
  if (problems.length === 0 && loss.length > 0) return `lost: ${loss.join(', ')}`
  return `failed: ${failed ?? 'on the wire'} ${[...new Set(problems)].slice(0, 5).join('; ')}`
}

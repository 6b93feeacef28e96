import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { UsageRecordView } from '../../packages/gateway/src/control-plane/admin-api.ts'
import { closeAll } from '../harness/cleanup.ts'
import { nothingOpen } from '../harness/nothing-open.ts'
import type { Client } from './client.ts'
import { FEATURES, type Feature } from './features.ts'
import { expectedResult, reasonFor } from './reasons.ts'
import { ROUTES } from './routes.ts'
import { type Stage, startWorld, type World } from './stage.ts'
import { type Exchange, watched, watchFetch } from './watched-fetch.ts'
import { checkWire } from './wire/check-wire.ts'

/** The tests of one file: each of these clients, over each route, with each feature. */
export function conformance(clients: readonly Client[]): void {
  let world: World
  const seen = new Map<string, Exchange>()

  beforeAll(async () => {
    world = await startWorld()
    watchFetch(world.gateway.proxyUrl)
  })
  afterAll(closeAll)

  for (const client of clients) {
    describe.each(ROUTES.map((route) => ({ ...route, route })))(
      `${client.name} over $name`,
      ({ route }) => {
        it.each(FEATURES)('$name', async (feature) => {
          const result = await runCell(await world.stage(client, route), feature, seen)
          expect(result).toBe(expectedResult(client, route, feature.name))
        })
      },
    )
  }

  it('every request is one record, with the usage of the bill', async () => {
    const records = new Map<string, UsageRecordView[]>()
    for (const record of await world.gateway.admin.records()) {
      records.set(record.request_id, [...(records.get(record.request_id) ?? []), record])
    }
    const { items } = await world.sandbox.bill()
    const lines = new Map(items.map((line) => [line.gatewayRequestId, line]))
    const wrong: unknown[] = []
    for (const [id, { status }] of seen) {
      const [record, ...more] = records.get(id) ?? []
      const line = lines.get(id)
      const told = { input: record?.usage.input ?? 0, output: record?.usage.output ?? 0 }
      const owed = { input: line?.inputTokens ?? 0, output: line?.outputTokens ?? 0 }
      const right =
        more.length === 0 &&
        (record?.status ?? 401) === status &&
        told.input === owed.input &&
        told.output === owed.output
      if (!right) wrong.push({ id, status, records: 1 + more.length, told, owed })
    }
    expect(wrong).toEqual([])
    expect(await nothingOpen(world.gateway.admin)).toEqual({ reservations: 0, inFlight: 0 })
  })
}

/** `ok`, or what is said of it in the matrix, or what went wrong. */
async function runCell(
  stage: Stage,
  feature: Feature,
  seen: Map<string, Exchange>,
): Promise<string> {
  const { client, log, route } = stage
  if (reasonFor(client, route, feature.name)?.result === 'not in the protocol') {
    return 'not in the protocol'
  }
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
  if (failed === null && problems.length === 0) return 'ok'
  if (problems.length === 0 && loss.length > 0) return `lost: ${loss.join(', ')}`
  return `failed: ${failed ?? 'on the wire'} ${[...new Set(problems)].slice(0, 5).join('; ')}`
}

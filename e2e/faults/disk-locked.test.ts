import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, expect, it } from 'vitest'
import { askOf, call, type CallAnswer } from '../harness/call.ts'
import { closeAll } from '../harness/cleanup.ts'
import { startGateway } from '../harness/gateway.ts'
import { startSandboxProcess } from '../harness/sandbox.ts'
import { waitFor } from '../harness/wait-for.ts'

afterAll(closeAll)

const LOCKED_MS = 5000

it('a database that another process has locked for 5 s: refused within a second, reads live, no restart', async () => {
  const sandbox = await startSandboxProcess()
  const gateway = await startGateway({
    config: {
      log: { level: 'error' },
      providers: { local: sandbox.provider },
      policy: {
        default_provider: 'local',
        limits: [{ id: 'life', scope: 'key', unit: 'tokens', algorithm: 'lifetime', amount: 1e9 }],
      },
    },
  })
  const { key } = await gateway.admin.createKey()
  const ask = (): Promise<CallAnswer> => {
    const { path: url, body } = askOf({ model: 'words-5' })
    return call(`${gateway.proxyUrl}${url}`, { key, body })
  }
  expect((await ask()).status).toBe(200)
  const other = new DatabaseSync(path.join(gateway.folder, '.tollgate', 'tollgate.db'))
  other.exec('BEGIN EXCLUSIVE')
  const endMs = performance.now() + LOCKED_MS
  const during: CallAnswer[] = []
  while (performance.now() < endMs) {
    during.push(await ask())
    expect((await fetch(`${gateway.proxyUrl}/health`)).status).toBe(200)
    expect((await gateway.admin.summary()).requests).toBeGreaterThan(0)
    await sleep(50)
  }
  other.exec('ROLLBACK')
  other.close()
  expect(during.map(({ status }) => status).filter((status) => status !== 503)).toEqual([])
  expect(Math.max(...during.map(({ ms }) => ms))).toBeLessThan(1500)
  await waitFor('spending again', async () => (await ask()).status === 200, 5000)
  const records = new Set((await gateway.admin.records()).map(({ request_id }) => request_id))
  const bill = await sandbox.bill()
  expect(bill.items.filter(({ gatewayRequestId }) => !records.has(gatewayRequestId ?? ''))).toEqual(
    [],
  )
  // Only what came before the first refusal was sent at all.
  expect(bill.items.length).toBeLessThan(during.length)
  expect((await gateway.cli('ledger', 'verify')).code).toBe(0)
})

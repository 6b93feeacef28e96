import { Agent } from 'node:http'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, expect, it } from 'vitest'
import { askOf, call } from './harness/call.ts'
import { closeAll } from './harness/cleanup.ts'
import { startGateway } from './harness/gateway.ts'
import { startSandboxProcess } from './harness/sandbox.ts'

afterAll(closeAll)

const CALLS = 30

it('a planted edit of a record, of a counter, and of both is found by the command line', async () => {
  const sandbox = await startSandboxProcess()
  const limits = [
    { id: 'life', scope: 'key', unit: 'tokens', algorithm: 'lifetime', amount: 1e9 },
    {
      id: 'day',
      scope: 'global',
      unit: 'requests',
      algorithm: 'sliding',
      amount: 1e6,
      window: '24h',
    },
    { id: 'hour', scope: 'key', unit: 'usd', algorithm: 'fixed', amount: 100, window: '1h' },
    { id: 'refill', scope: 'key', unit: 'tokens', capacity: 1e9, refill_per_sec: 1 },
  ]
  const gateway = await startGateway({
    config: {
      log: { level: 'warn' },
      providers: { local: sandbox.provider },
      models: {
        priced: {
          price: { input: 1, output: 2 },
          targets: [{ provider: 'local', model: 'words-12' }],
        },
      },
      policy: { default_provider: 'local', limits },
    },
  })
  const { key } = await gateway.admin.createKey()
  const agent = new Agent({ keepAlive: true })
  for (let i = 0; i < CALLS; i++) {
    const { path: url, body } = askOf({ model: 'priced', stream: i % 2 === 0 })
    expect((await call(`${gateway.proxyUrl}${url}`, { key, body, agent })).status).toBe(200)
    if (i === 10) await gateway.admin.send('POST', '/limits/life/reset', {})
  }
  agent.destroy()
  const clean = await gateway.cli('ledger', 'verify', '--chain')
  expect(clean.out).toContain(`${CALLS} records, 3 counters counted again: 0 differences`)
  expect(clean.out).toContain(`${CALLS} links checked`)
  expect(clean.out).toContain(': 0 findings')
  expect(clean.out).toContain('not counted again: refill')
  expect(clean.code).toBe(0)
  const bill = path.join(gateway.folder, 'bill.json')
  const { items } = await sandbox.bill()
  writeFileSync(bill, JSON.stringify({ items }))
  const even = await gateway.cli('ledger', 'reconcile', bill)
  expect(even.out).toContain('words-12')
  expect(even.out).not.toContain('(')
  expect(even.code).toBe(0)
  writeFileSync(bill, JSON.stringify({ items: items.slice(1) }))
  const uneven = await gateway.cli('ledger', 'reconcile', bill, '--provider', 'local')
  expect(uneven.out).toContain('(+12)')
  expect(uneven.code).toBe(1)
  await gateway.child.stop()

  const database = new DatabaseSync(path.join(gateway.folder, '.tollgate', 'tollgate.db'))
  const lower = (table: string, column: string, field: string): void => {
    const text = `replace(${column}, '"${field}":', '"${field}":1')`
    database.exec(`UPDATE ${table} SET ${column} = ${text}`)
  }
  database.exec('BEGIN')
  lower('counters', 'state', 'settled')
  database.exec('COMMIT')
  const counters = await gateway.cli('ledger', 'verify')
  expect(counters.code).toBe(1)
  expect(counters.out).toMatch(/: 3 differences/)
  expect(counters.out).toMatch(/life\s+key/)

  database.exec(
    `UPDATE record_bodies SET body = replace(body, '"amount":1', '"amount":2') WHERE body_id = 7`,
  )
  database.close()
  const chain = await gateway.cli('ledger', 'verify', '--chain', '--json')
  expect(chain.code).toBe(1)
  expect(JSON.parse(chain.out)).toMatchObject({
    ok: false,
    chain: { findings: [{ position: 7 }], findings_total: 1 },
  })
})

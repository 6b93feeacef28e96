import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, expect, it } from 'vitest'
import { askOf, call } from '../harness/call.ts'
import { closeAll } from '../harness/cleanup.ts'
import { startGateway } from '../harness/gateway.ts'
import { startSandboxProcess } from '../harness/sandbox.ts'

afterAll(closeAll)

const CALLS = 60

/** A page in the middle of the records' JSON. */
function damage(file: string): void {
  const database = new DatabaseSync(file)
  const row = database
    .prepare(
      `SELECT pageno, pgsize FROM dbstat WHERE name = 'record_bodies' AND pagetype = 'leaf' LIMIT 1`,
    )
    .get()
  database.close()
  const [page, size] = [Number(row?.['pageno']), Number(row?.['pgsize'])]
  const fd = openSync(file, 'r+')
  writeSync(fd, Buffer.alloc(64, 0xa5), 0, 64, (page - 1) * size)
  closeSync(fd)
}

it('a damaged page at start: a clear message, nothing is spent, reads and health live', async () => {
  const sandbox = await startSandboxProcess()
  const gateway = await startGateway({
    config: {
      log: { level: 'error' },
      providers: { local: sandbox.provider },
      policy: { default_provider: 'local' },
    },
  })
  const { key } = await gateway.admin.createKey()
  const { path: url, body } = askOf({ model: 'words-5' })
  for (let i = 0; i < CALLS; i++) await call(`${gateway.proxyUrl}${url}`, { key, body })
  await gateway.child.stop()
  const file = path.join(gateway.folder, '.tollgate', 'tollgate.db')
  damage(file)
  const before = readFileSync(file)
  await sandbox.forget()

  const again = await startGateway({ folder: gateway.folder })
  expect(again.child.stdout() + again.child.stderr()).toMatch(/is damaged .*nothing is spent/)
  const answer = await call(`${again.proxyUrl}${url}`, { key, body })
  expect(answer.status).toBe(503)
  expect(answer.text).toContain('ledger_unavailable')
  expect((await sandbox.bill()).items).toEqual([])
  expect((await fetch(`${again.proxyUrl}/health`)).status).toBe(200)
  expect((await fetch(`${again.adminUrl}/health/ready`)).status).toBe(503)
  expect((await again.admin.raw('GET', '/keys')).status).toBe(200)
  expect((await again.admin.summary()).requests).toBe(CALLS)
  await again.child.stop()
  expect(readFileSync(file).equals(before)).toBe(true)
})

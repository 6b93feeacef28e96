import { execFile } from 'node:child_process'
import { statSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, it } from 'vitest'
import { askOf, call, type CallAnswer } from '../harness/call.ts'
import { closeAll } from '../harness/cleanup.ts'
import { type Gateway, startGateway } from '../harness/gateway.ts'
import { startSandboxProcess } from '../harness/sandbox.ts'
import { waitFor } from '../harness/wait-for.ts'

afterAll(closeAll)

/** What files may still grow by when the disk is called full. */
const ROOM = 100_000

async function fileSize(gateway: Gateway, bytes: number | 'unlimited'): Promise<void> {
  await promisify(execFile)('prlimit', [`--pid=${gateway.child.pid}`, `--fsize=${bytes}:unlimited`])
}

// `prlimit` is Linux's: a file that may not grow is what a full disk is to its writer.
it.skipIf(process.platform !== 'linux')(
  'a full disk: spending stops with 503, reads and health live, and all goes on by itself when there is room',
  async () => {
    const sandbox = await startSandboxProcess()
    const gateway = await startGateway({
      config: {
        log: { level: 'error' },
        providers: { local: sandbox.provider },
        policy: {
          default_provider: 'local',
          limits: [
            { id: 'life', scope: 'key', unit: 'tokens', algorithm: 'lifetime', amount: 1e9 },
          ],
        },
      },
    })
    const { key } = await gateway.admin.createKey()
    const ask = (): Promise<CallAnswer> => {
      const { path: url, body } = askOf({ model: 'words-20', stream: true })
      return call(`${gateway.proxyUrl}${url}`, { key, body })
    }
    expect((await ask()).status).toBe(200)
    const log = path.join(gateway.folder, '.tollgate', 'tollgate.db-wal')
    await fileSize(gateway, statSync(log).size + ROOM)
    const answers: CallAnswer[] = []
    await waitFor('a refusal', async () => {
      answers.push(...(await Promise.all(Array.from({ length: 8 }, ask))))
      return answers.at(-1)?.status === 503
    })
    const refused = await ask()
    expect(refused.status).toBe(503)
    expect(JSON.parse(refused.text)).toMatchObject({ error: { code: 'ledger_unavailable' } })
    expect(refused.headers['retry-after']).toBe('1')
    expect((await fetch(`${gateway.proxyUrl}/health`)).status).toBe(200)
    expect((await fetch(`${gateway.adminUrl}/health/ready`)).status).toBe(503)
    expect((await gateway.admin.records()).length).toBeGreaterThan(0)
    // Nobody had a whole answer without its record.
    for (const { status, text } of answers) {
      expect(status === 503 || text.includes('[DONE]') || text.includes('ledger_unavailable')).toBe(
        true,
      )
    }

    await fileSize(gateway, 'unlimited')
    await waitFor('spending again', async () => (await ask()).status === 200)
    const bill = await sandbox.bill()
    const records = new Map((await gateway.admin.records()).map((one) => [one.request_id, one]))
    expect(
      bill.items.filter(({ gatewayRequestId }) => !records.has(gatewayRequestId ?? '')),
    ).toEqual([])
    const late = [...records.values()].filter(
      ({ error_class: found, attempts }) => found === 'ledger_unavailable' && attempts.length > 0,
    )
    console.log(`${answers.length} calls until it was full; ${late.length} records written late`)
    const verified = await gateway.cli('ledger', 'verify', '--chain')
    expect(verified.out).toContain(': 0 differences')
    expect(verified.out).toContain(': 0 findings')
    await gateway.child.stop()
    const again = await startGateway({ folder: gateway.folder })
    expect((await again.cli('ledger', 'verify', '--chain')).code).toBe(0)
  },
)

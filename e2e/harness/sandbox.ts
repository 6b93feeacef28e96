import path from 'node:path'
import type { BillLine, BillTotals } from '../../packages/gateway/src/providers/sandbox/bill.ts'
import { type Child, startProcess } from './child.ts'
import { ROOT, tempFolder } from './folders.ts'
import { waitFor } from './wait-for.ts'

type SandboxBill = {
  readonly items: readonly BillLine[]
  readonly totals: BillTotals
}

type UpstreamRequest = {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly bytes: Buffer
}

/** The simulated upstream as a process of its own: its bill outlives the gateway. */
export type SandboxProcess = {
  readonly url: string
  readonly child: Child
  /** As soon as no call is being written any more. */
  readonly bill: () => Promise<SandboxBill>
  /** The lines as they are now, open ones too. */
  readonly billNow: () => Promise<SandboxBill>
  readonly requests: () => Promise<readonly UpstreamRequest[]>
  readonly forget: () => Promise<void>
  /** The entry for `providers`. */
  readonly provider: Readonly<Record<string, unknown>>
}

const MAIN = path.join(ROOT, 'packages', 'gateway', 'src', 'providers', 'sandbox', 'main.ts')

type LoggedRequest = {
  readonly method: string
  readonly url: string
  readonly raw_headers: readonly string[]
  readonly body_base64: string
}

export async function startSandboxProcess(tokenMs = 0): Promise<SandboxProcess> {
  const args = [MAIN, '--port', '0', '--token-ms', String(tokenMs)]
  const child = startProcess(process.execPath, args, { cwd: tempFolder() })
  const [, url = ''] = await child.line(/sandbox ready at (\S+)/)
  const billNow = (): Promise<SandboxBill> => getJson<SandboxBill>(`${url}/sandbox/bill`)
  return {
    url,
    child,
    billNow,
    bill: () =>
      waitFor('the end of all calls at the sandbox', async () => {
        const bill = await billNow()
        return bill.items.every(({ outcome }) => outcome !== 'open') && bill
      }),
    async requests() {
      const { items } = await getJson<{ items: LoggedRequest[] }>(`${url}/sandbox/requests`)
      return items.map(readLogged)
    },
    async forget() {
      await fetch(`${url}/sandbox/bill`, { method: 'DELETE' })
    },
    provider: {
      protocol: ['openai-chat', 'anthropic-messages'],
      base_url: `${url}/v1`,
      credential: 'none',
      allow_private: true,
    },
  }
}

async function getJson<T>(url: string): Promise<T> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the sandbox's own views
  return (await (await fetch(url)).json()) as T
}

function readLogged(logged: LoggedRequest): UpstreamRequest {
  const { method, url, raw_headers: raw } = logged
  const headers: Record<string, string> = {}
  for (let i = 0; i < raw.length; i += 2) headers[(raw[i] ?? '').toLowerCase()] = raw[i + 1] ?? ''
  const bytes = Buffer.from(logged.body_base64, 'base64')
  return { method, url, headers, body: bytes.toString(), bytes }
}

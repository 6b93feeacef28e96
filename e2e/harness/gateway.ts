import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Admin, adminClient } from './admin.ts'
import { type Child, type Finished, runProcess, startProcess } from './child.ts'
import { ROOT, tempFolder } from './folders.ts'

export type Gateway = {
  /** Its working directory, with `tollgate.yaml` and `.tollgate`. */
  readonly folder: string
  readonly proxyUrl: string
  readonly adminUrl: string
  readonly adminToken: string
  readonly admin: Admin
  readonly child: Child
  /** From the start of the process to `tollgate ready`. */
  readonly readyMs: number
  /** The CLI in the same folder. */
  readonly cli: (...args: readonly string[]) => Promise<Finished>
  /** Another configuration file, in one step. */
  readonly configure: (config: unknown) => void
}

export type GatewayOptions = {
  /** An object, or the text of the file. Absent: what the folder holds. */
  readonly config?: unknown
  readonly folder?: string
  readonly env?: Readonly<Record<string, string>>
  readonly args?: readonly string[]
}

const MAIN = path.join(ROOT, 'packages', 'gateway', 'src', 'main.ts')

/** `tollgate serve` as its own process, ready. */
export async function startGateway(options: GatewayOptions = {}): Promise<Gateway> {
  const folder = options.folder ?? tempFolder()
  if (options.config !== undefined) writeConfig(folder, options.config)
  const env = { HOME: folder, ...options.env }
  const startedMs = performance.now()
  const args = ['serve', '--port', '0', '--admin-port', '0', ...(options.args ?? [])]
  const child = startProcess(process.execPath, [MAIN, ...args], { cwd: folder, env })
  await child.line(/tollgate ready/)
  const readyMs = performance.now() - startedMs
  const { proxyUrl, adminUrl } = runtimeOf(folder)
  const token = readFileSync(path.join(folder, '.tollgate', 'admin.token'), 'utf8').trim()
  return {
    folder,
    proxyUrl,
    adminUrl,
    adminToken: token,
    admin: adminClient(adminUrl, token),
    child,
    readyMs,
    cli: (...words) => tollgate(words, { folder, env }),
    configure: (config) => writeConfig(folder, config),
  }
}

/** One command of the CLI, from start to end. */
export function tollgate(
  words: readonly string[],
  place: { readonly folder: string; readonly env?: Readonly<Record<string, string>> },
): Promise<Finished> {
  const env = { HOME: place.folder, ...place.env }
  return runProcess(process.execPath, [MAIN, ...words], { cwd: place.folder, env })
}

/** JSON is YAML. */
export function writeConfig(folder: string, config: unknown): void {
  const text = typeof config === 'string' ? config : `${JSON.stringify(config, null, 2)}\n`
  writeFileSync(path.join(folder, 'tollgate.yaml'), text)
}

function runtimeOf(folder: string): { readonly proxyUrl: string; readonly adminUrl: string } {
  const text = readFileSync(path.join(folder, '.tollgate', 'server.json'), 'utf8')
  const runtime: unknown = JSON.parse(text)
  if (typeof runtime !== 'object' || runtime === null) throw new Error(`server.json: ${text}`)
  return { proxyUrl: urlIn(runtime, 'proxy_url'), adminUrl: urlIn(runtime, 'admin_url') }
}

function urlIn(runtime: object, name: string): string {
  const value: unknown = Object.entries(runtime).find(([key]) => key === name)?.[1]
  if (typeof value !== 'string') throw new Error(`server.json has no ${name}`)
  return value
}

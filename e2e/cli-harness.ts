import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { isRecord } from '../packages/gateway/src/lib/is-record.ts'

const MAIN = path.join(import.meta.dirname, '..', 'packages', 'gateway', 'src', 'main.ts')
const READY_MS = 30_000

/** A folder of its own with nothing in it, and no settings of whoever runs the tests. */
export type Workspace = {
  readonly dir: string
  readonly env: Readonly<Record<string, string>>
  readonly remove: () => void
  /** What is run; absent: the checkout's own. */
  readonly main?: string
}

export type Result = {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly err: string
}

export function newWorkspace(): Workspace {
  const dir = mkdtempSync(path.join(tmpdir(), 'tollgate-cli-'))
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(TOLLGATE|OPENAI|ANTHROPIC|NODE_OPTIONS|VITEST)|_API_KEY$|_TOKEN$/.test(name),
  )
  const env: Record<string, string> = {}
  for (const [name, value] of kept) env[name] = value ?? ''
  env['HOME'] = dir
  return { dir, env, remove: () => rmSync(dir, { recursive: true, force: true }) }
}

export type RunOptions = {
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string
}

/** Runs one command to its end. */
export function tollgate(
  workspace: Workspace,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Result> {
  const child = start(workspace, args, options)
  child.stdin?.end(options.stdin ?? '')
  return ended(child)
}

/** As `tollgate`, for a command that prints one JSON object and succeeds. */
export async function tollgateJson(
  workspace: Workspace,
  args: readonly string[],
): Promise<Readonly<Record<string, unknown>>> {
  const { code, out, err } = await tollgate(workspace, [...args, '--json'])
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${err}`)
  const value: unknown = JSON.parse(out)
  if (!isRecord(value)) throw new Error(`${args.join(' ')} printed no object: ${out}`)
  return value
}

export function start(
  { dir, env, main = MAIN }: Workspace,
  args: readonly string[],
  options: RunOptions = {},
): ChildProcess {
  return spawn(process.execPath, [main, ...args], {
    cwd: dir,
    env: { ...env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

export function ended(child: ChildProcess): Promise<Result> {
  const texts = { out: '', err: '' }
  child.stdout?.on('data', (chunk: Buffer) => (texts.out += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (texts.err += chunk.toString()))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, ...texts }))
  })
}

export type Served = {
  readonly child: ChildProcess
  readonly proxyUrl: string
  readonly adminUrl: string
  /** Everything up to `tollgate ready`. */
  readonly startText: string
  readonly end: Promise<Result>
  readonly stop: (signal?: NodeJS.Signals) => Promise<Result>
}

/** Starts `serve` on free ports and waits until it is ready. */
export async function serve(workspace: Workspace, args: readonly string[] = []): Promise<Served> {
  const child = start(workspace, ['serve', '--port', '0', '--admin-port', '0', ...args])
  const end = ended(child)
  const startText = await readyText(child, end)
  return {
    child,
    startText,
    proxyUrl: /proxy listening on (\S+?)["\s]/.exec(startText)?.[1] ?? '',
    adminUrl: /admin API listening on (\S+?)["\s]/.exec(startText)?.[1] ?? '',
    end,
    stop(signal = 'SIGTERM') {
      child.kill(signal)
      return end
    },
  }
}

function readyText(child: ChildProcess, end: Promise<Result>): Promise<string> {
  let text = ''
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not ready: ${text}`)), READY_MS)
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (!/tollgate ready/.test(text)) return
      clearTimeout(timer)
      resolve(text)
    })
    void end.then(({ code, err }) => reject(new Error(`serve ended with ${code}: ${err}`)))
  })
}

/** One chat request with this key. */
export async function chat(proxyUrl: string, key: string, model = 'sandbox-mini'): Promise<number> {
  const response = await fetch(`${proxyUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }] }),
  })
  await response.arrayBuffer()
  return response.status
}

/** A member that must be a text. */
export function textOf(value: Readonly<Record<string, unknown>>, name: string): string {
  const text = value[name]
  if (typeof text !== 'string') throw new Error(`${name} is no text in ${JSON.stringify(value)}`)
  return text
}

/** The items of a list. */
export function itemsOf(
  page: Readonly<Record<string, unknown>>,
): readonly Readonly<Record<string, unknown>>[] {
  const { items } = page
  return Array.isArray(items) ? items.filter(isRecord) : []
}

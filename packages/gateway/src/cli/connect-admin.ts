import { readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LoadOptions } from '../config/load-config.ts'
import { StoreError } from '../errors/store-error.ts'
import { type AdminClient, httpCall, requestThrough } from './admin-client.ts'
import type { CliDeps } from './cli-deps.ts'
import { CliError } from './cli-error.ts'
import { readRuntimeFile, reachableUrl } from './runtime-file.ts'

/** Another command or a starting server holds the store this long at most. */
const WAIT_MS = 5000
const ASK_AGAIN_MS = 100
const PROBE_MS = 2000
/** The host is of no matter in-process. */
const IN_PROCESS_URL = 'http://127.0.0.1'

/** The running server's admin API; without a server, the same API over the store. */
export async function connectAdmin(deps: CliDeps, load: LoadOptions): Promise<AdminClient> {
  const remote = remoteServer(deps.io.env)
  if (remote !== null) return remote
  const place = await locate(load)
  const deadline = Date.now() + WAIT_MS
  for (;;) {
    const running = await runningServer(place)
    if (running !== null) return running
    try {
      return await offlineClient(deps, load)
    } catch (thrown) {
      if (!(thrown instanceof StoreError) || thrown.reason !== 'served') throw thrown
      if (Date.now() > deadline) throw unreachable(thrown)
      await sleep(ASK_AGAIN_MS)
    }
  }
}

/** Runs `work` with a client, and always closes it. */
export async function withAdmin<T>(
  deps: CliDeps,
  load: LoadOptions,
  work: (client: AdminClient) => Promise<T>,
): Promise<T> {
  const client = await connectAdmin(deps, load)
  try {
    return await work(client)
  } finally {
    await client.close()
  }
}

/** Where the data are, and the admin token of a server there. */
export type Place = { readonly dir: string; readonly token: string; readonly problem: unknown }

/** A configuration that does not load must not keep a running server from being asked: then the usual places count. */
export async function locate(load: LoadOptions): Promise<Place> {
  const { loadConfig } = await import('../config/load-config.ts')
  try {
    const { config } = loadConfig(load)
    return {
      dir: config.dir,
      token: config.admin.token?.reveal() ?? tokenIn(config.dir),
      problem: null,
    }
  } catch (problem) {
    const dir = path.resolve(load.cwd, load.env['TOLLGATE_DIR'] ?? '.tollgate')
    if (readRuntimeFile(dir) === null) throw problem
    return { dir, token: load.env['TOLLGATE_ADMIN_TOKEN'] ?? tokenIn(dir), problem }
  }
}

function tokenIn(dir: string): string {
  try {
    return readFileSync(path.join(dir, 'admin.token'), 'utf8').trim()
  } catch {
    return ''
  }
}

/** Null: none, or what stands in the runtime file is not ours or does not answer. */
export async function runningServer({ dir, token }: Place): Promise<AdminClient | null> {
  const runtime = readRuntimeFile(dir)
  if (runtime === null) return null
  const adminUrl = reachableUrl(runtime.adminUrl)
  if (!(await answers(adminUrl))) return null
  return {
    serving: true,
    proxyUrl: reachableUrl(runtime.proxyUrl),
    adminUrl,
    request: requestThrough(httpCall(token), adminUrl),
    close: async () => {},
  }
}

async function answers(adminUrl: string): Promise<boolean> {
  try {
    const response = await fetch(`${adminUrl}/admin/v1/health`, {
      signal: AbortSignal.timeout(PROBE_MS),
      redirect: 'error',
    })
    await response.body?.cancel()
    return true
  } catch {
    return false
  }
}

async function offlineClient(deps: CliDeps, load: LoadOptions): Promise<AdminClient> {
  const offline = await deps.openOffline(load)
  for (const file of offline.created) deps.io.err(`tollgate: created ${file}\n`)
  return {
    serving: false,
    proxyUrl: null,
    adminUrl: null,
    request: requestThrough(offline.request, IN_PROCESS_URL),
    close: () => offline.close(),
  }
}

/** The server that `TOLLGATE_ADMIN_URL` names; null when it names none. */
export function remoteServer(env: LoadOptions['env']): AdminClient | null {
  const url = env['TOLLGATE_ADMIN_URL'] ?? ''
  if (url === '') return null
  const token = env['TOLLGATE_ADMIN_TOKEN'] ?? ''
  const adminUrl = url.replace(/\/+$/, '').replace(/\/admin(\/v1)?$/, '')
  if (!URL.canParse(adminUrl)) throw new CliError(`TOLLGATE_ADMIN_URL is no URL: ${url}`, 2)
  return {
    serving: true,
    proxyUrl: null,
    adminUrl,
    request: requestThrough(httpCall(token), adminUrl),
    close: async () => {},
  }
}

function unreachable(cause: StoreError): CliError {
  return new CliError(
    `${cause.message} Its admin API does not answer: it may be starting, stopping or stuck. Try again, or set TOLLGATE_ADMIN_URL and TOLLGATE_ADMIN_TOKEN.`,
    1,
    { cause },
  )
}

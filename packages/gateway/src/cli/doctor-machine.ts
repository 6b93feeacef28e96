import { existsSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import type { GatewayConfig } from '../config/gateway-config.ts'
import { type Finding, fail, ok, warn } from './finding.ts'
import { readRuntimeFile } from './runtime-file.ts'

/** Bits of the mode that let others in. */
const OTHERS = 0o077
const PRIVATE_FILES: readonly string[] = ['hash.key', 'admin.token', 'tollgate.db', 'server.json']
const EARLIEST = Date.UTC(2025, 0, 1)

/** Who may read what must stay private. Windows has no such mode. */
export function checkFiles({ dir, keys }: GatewayConfig): readonly Finding[] {
  const hashKey = hashKeyFinding(dir, keys)
  if (process.platform === 'win32' || !existsSync(dir)) return [hashKey]
  const open = PRIVATE_FILES.map((name) => path.join(dir, name)).filter(isOpen)
  const findings = open.map((file) =>
    fail('files', `${file} can be read by others`, { fix: `chmod 600 ${file}` }),
  )
  const folder = isOpen(dir)
    ? [warn('files', `${dir} can be entered by others`, { fix: `chmod 700 ${dir}` })]
    : []
  const all = [...findings, ...folder]
  return [hashKey, ...(all.length === 0 ? [ok('files', `${dir} is private`)] : all)]
}

function isOpen(file: string): boolean {
  return existsSync(file) && (statSync(file).mode & OTHERS) !== 0
}

function hashKeyFinding(dir: string, { hash_key: hashKey }: GatewayConfig['keys']): Finding {
  if (!hashKey.missing) return ok('hash key', hashKey.reference)
  if (!existsSync(path.join(dir, 'tollgate.db'))) {
    return ok('hash key', 'none yet; the first start makes one')
  }
  return fail('hash key', `${hashKey.reference} is missing, so no stored key is recognised`, {
    fix: 'put the former hash key back, or create the keys anew',
  })
}

export function checkRuntime({ dir }: GatewayConfig): readonly Finding[] {
  const runtime = readRuntimeFile(dir)
  if (runtime === null) return [ok('server', 'none runs here')]
  return [ok('server', `process ${runtime.pid} at ${runtime.proxyUrl}`)]
}

/** Whether a start would find its ports free; of no interest while our own server has them. */
export async function checkPorts({
  dir,
  server,
  admin,
}: GatewayConfig): Promise<readonly Finding[]> {
  if (readRuntimeFile(dir) !== null) return []
  const wanted = [
    { what: 'proxy port', flag: '--port', ...server },
    { what: 'admin port', flag: '--admin-port', ...admin },
  ]
  return await Promise.all(
    wanted.map(async ({ what, flag, host, port }) => {
      const problem = await listenProblem(host, port)
      if (problem === null) return ok(what, `${host}:${port} is free`)
      return fail(what, `${host}:${port} cannot be used (${problem})`, {
        fix: `stop what listens there, or choose another with ${flag}`,
      })
    }),
  )
}

function listenProblem(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', (thrown: NodeJS.ErrnoException) => resolve(thrown.code ?? thrown.message))
    probe.listen(port, host, () => probe.close(() => resolve(null)))
  })
}

/** Keys expire and limits reset by this machine's clock, so one that was never set breaks both. */
export function checkClock(): readonly Finding[] {
  const now = new Date()
  if (now.getTime() > EARLIEST) return [ok('clock', now.toISOString())]
  return [
    fail('clock', `${now.toISOString()} is in the past`, { fix: 'set the clock of this machine' }),
  ]
}

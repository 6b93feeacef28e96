import { readFileSync } from 'node:fs'
import path from 'node:path'
import { isRecord } from '../lib/is-record.ts'

/** What `serve` writes into the data directory. */
export type RuntimeFile = {
  readonly pid: number
  readonly proxyUrl: string
  readonly adminUrl: string
}

/** Null: no server, or one that ended without clearing up. */
export function readRuntimeFile(dir: string): RuntimeFile | null {
  const file = parse(path.join(dir, 'server.json'))
  return file !== null && isAlive(file.pid) ? file : null
}

function parse(file: string): RuntimeFile | null {
  try {
    const data: unknown = JSON.parse(readFileSync(file, 'utf8'))
    if (!isRecord(data)) return null
    const { pid, proxy_url: proxyUrl, admin_url: adminUrl } = data
    if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0) return null
    if (typeof proxyUrl !== 'string' || typeof adminUrl !== 'string') return null
    return { pid, proxyUrl, adminUrl }
  } catch {
    return null
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (thrown) {
    // EPERM: it lives, and belongs to somebody else.
    return isRecord(thrown) && thrown['code'] === 'EPERM'
  }
}

/** A listener on all addresses is reached through loopback. */
export function reachableUrl(url: string): string {
  return url.replace('://0.0.0.0', '://127.0.0.1').replace('://[::]', '://[::1]')
}

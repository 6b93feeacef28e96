import { createHash, timingSafeEqual } from 'node:crypto'
import { isIPv4 } from 'node:net'
import { AdminError } from './admin-error.ts'

const BEARER = /^bearer +(\S+) *$/i

/** Throws `unauthorized` unless the request holds exactly this token. An empty token lets nobody in. */
export function requireToken(authorization: string | null, token: string): void {
  const given = BEARER.exec(authorization ?? '')?.[1] ?? ''
  if (token !== '' && sameText(given, token)) return
  throw new AdminError('unauthorized', 'Authorization: Bearer <admin token> is required.', {
    headers: { 'www-authenticate': 'Bearer realm="tollgate-admin"' },
  })
}

/** Takes the same time wherever the texts differ, and whatever their lengths. */
function sameText(a: string, b: string): boolean {
  return timingSafeEqual(digest(a), digest(b))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

export type CallerHeaders = {
  readonly host: string
  readonly origin: string | null
  readonly fetchSite: string | null
}

/**
 * Refuses pages of other sites. DNS rebinding gives such a page our address under its own name, so the name in `Host`
 * must be one of ours; and what a browser sends from elsewhere says so in `Origin` or `Sec-Fetch-Site`.
 *
 * `allowedHosts` null: any name, because the operator chose an address that others reach. Throws `host_refused` or
 * `origin_refused`.
 */
export function requireOwnPage(
  { host, origin, fetchSite }: CallerHeaders,
  allowedHosts: readonly string[] | null,
): void {
  const name = hostName(host)
  if (allowedHosts !== null && !allowedHosts.includes(name) && !isLoopbackHost(name)) {
    throw new AdminError('host_refused', 'This Host is not a name of the admin API.')
  }
  const foreign = origin !== null && originHost(origin) !== host.toLowerCase()
  if (foreign || fetchSite === 'cross-site') {
    throw new AdminError('origin_refused', 'Pages of other origins may not call the admin API.')
  }
}

function originHost(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null
}

/** Without the port, and without the brackets of IPv6. */
function hostName(host: string): string {
  return host
    .toLowerCase()
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
}

/** `localhost`, `127.x.x.x` and `::1`: reached from this machine only. */
export function isLoopbackHost(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[(.*)\]$/, '$1')
  if (name === 'localhost' || name === '::1') return true
  return isIPv4(name) && name.startsWith('127.')
}

/**
 * Why the admin API must not listen on this address; null when it may.
 *
 * `tokenConfigured`: the operator gave a token. One that was made on first start does not count: whoever opens the port
 * to others must have decided on it.
 */
export function bindProblem(host: string, tokenConfigured: boolean): string | null {
  if (isLoopbackHost(host) || tokenConfigured) return null
  return `${host} can be reached from other machines; set admin.token, or listen on 127.0.0.1`
}

import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from 'node:dns'
import { isIP } from 'node:net'
import { Pool } from 'undici'
import { GatewayError } from '../../errors/gateway-error.ts'
import { isSpecialAddress } from '../../lib/special-addresses.ts'
import type { ProviderPlan } from '../../plan/gateway-plan.ts'

/** Large answers of headers are a fault of the upstream: told as 502, never cut silently. */
const MAX_RESPONSE_HEADER_BYTES = 64 * 1024
/** Below the idle time of common servers, so that a call seldom meets a connection that is being closed. */
const KEEP_ALIVE_MS = 4000

type LookupCallback = (
  error: NodeJS.ErrnoException | null,
  address: string | LookupAddress[],
  family?: number,
) => void
type Lookup = (hostname: string, options: LookupOptions, callback: LookupCallback) => void
/** Resolves a name to all its addresses; `dns.lookup` by default. */
export type Resolve = (
  hostname: string,
  options: LookupOptions & { all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

/** One keep-alive pool per upstream. Every connection of the process to a provider is made here, behind the egress guard. */
export class UpstreamPools {
  private readonly pools = new Map<string, Pool>()
  private known = new WeakMap<ProviderPlan, Pool>()
  private readonly lookup: Lookup

  constructor(resolve: Resolve = dnsLookup) {
    this.lookup = guardedLookup(resolve)
  }

  /** Throws `upstream_refused_by_guard` when the origin is a special-use address that the operator has not allowed. */
  poolFor(provider: ProviderPlan): Pool {
    const known = this.known.get(provider)
    if (known !== undefined) return known
    const key = `${provider.origin} ${provider.allowPrivate} ${provider.timeouts.connectMs}`
    const pool = this.pools.get(key) ?? openPool(provider, this.lookup)
    this.pools.set(key, pool)
    this.known.set(provider, pool)
    return pool
  }

  async close(): Promise<void> {
    await Promise.all([...this.pools.values()].map((pool) => pool.destroy()))
    this.pools.clear()
    this.known = new WeakMap()
  }
}

function openPool(provider: ProviderPlan, lookup: Lookup): Pool {
  const host = new URL(provider.origin).hostname.replace(/^\[|\]$/g, '')
  if (!provider.allowPrivate && isIP(host) !== 0 && isSpecialAddress(host)) throw refused(provider)
  return new Pool(provider.origin, {
    connections: null,
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: MAX_RESPONSE_HEADER_BYTES,
    allowH2: false,
    connect: {
      timeout: provider.timeouts.connectMs,
      ...(provider.allowPrivate ? {} : { lookup }),
    },
  })
}

/** Resolves once, refuses if any answer is special-use, and hands on those very addresses, so that none can be swapped. */
export function guardedLookup(resolve: Resolve): Lookup {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, [])
      const [first] = addresses
      if (first === undefined || addresses.some(({ address }) => isSpecialAddress(address))) {
        return callback(new GuardRefusal(), [])
      }
      if (options.all === true) callback(null, addresses)
      else callback(null, first.address, first.family)
    })
  }
}

/** Marks a refused address on its way through the HTTP client. */
export class GuardRefusal extends Error {
  override readonly name = 'GuardRefusal'
  readonly code = 'EGRESS_REFUSED'
}

export function refused(provider: ProviderPlan): GatewayError {
  return new GatewayError(
    'upstream_refused_by_guard',
    `The provider ${provider.name} resolves to a private or special-use address, and its entry does not say allow_private: true.`,
  )
}

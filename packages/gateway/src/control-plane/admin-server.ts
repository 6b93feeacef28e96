import type { Server } from 'node:http'
import { createAdaptorServer, type ServerType } from '@hono/node-server'
import { ConfigError } from '../config/config-error.ts'
import { createAdminApp } from './admin-app.ts'
import { bindProblem, isLoopbackHost } from './admin-auth.ts'
import type { Control } from './control.ts'

export type AdminServerOptions = {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  readonly onError?: (thrown: unknown) => void
}

export type AdminServer = {
  readonly url: string
  /** Takes nothing new, ends event streams, and lets answers under way be written. */
  readonly close: () => Promise<void>
}

const HEADERS_TIMEOUT_MS = 15_000
const REQUEST_TIMEOUT_MS = 30_000
const CLOSE_GRACE_MS = 2000
const SWEEP_EVERY_MS = 20

/**
 * Listens. Throws the listener's error, and a `ConfigError` when others can reach the address and no token was configured.
 */
export async function startAdminServer(
  control: Control,
  options: AdminServerOptions,
): Promise<AdminServer> {
  checkBinding(control, options.host)
  const closing = new AbortController()
  const loopback = isLoopbackHost(options.host)
  const app = createAdminApp(control, {
    allowedHosts: loopback ? [] : null,
    guardMetrics: !loopback,
    closing: closing.signal,
    ...(options.onError === undefined ? {} : { onError: options.onError }),
  })
  const server = createAdaptorServer({
    fetch: app.fetch,
    hostname: options.host,
    overrideGlobalObjects: false,
    serverOptions: {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
    },
  })
  const url = await listen(server, options)
  return {
    url,
    close() {
      closing.abort()
      return closeServer(server)
    },
  }
}

function checkBinding(control: Control, host: string): void {
  const { config, file } = control.config()
  const message = bindProblem(host, (config.admin.token?.reveal() ?? '') !== '')
  if (message === null) return
  throw new ConfigError(file, [{ path: 'admin.host', line: null, column: null, message }])
}

function listen(server: ServerType, { host, port }: AdminServerOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      const address = server.address()
      const bound = address === null || typeof address === 'string' ? port : address.port
      resolve(`http://${host.includes(':') ? `[${host}]` : host}:${bound}`)
    })
  })
}

function closeServer(server: ServerType): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => closeConnections(server, 'all'), CLOSE_GRACE_MS)
    // A connection whose answer has just ended is kept alive by its client, and would hold the server open.
    const sweep = setInterval(() => closeConnections(server, 'idle'), SWEEP_EVERY_MS)
    server.close(() => {
      clearTimeout(cut)
      clearInterval(sweep)
      resolve()
    })
  })
}

function closeConnections(server: ServerType, which: 'all' | 'idle'): void {
  if (!isHttp1(server)) return
  if (which === 'all') server.closeAllConnections()
  else server.closeIdleConnections()
}

/** The adapter's type also covers HTTP/2, which is not used here. */
function isHttp1(server: ServerType): server is Server {
  return 'closeAllConnections' in server
}

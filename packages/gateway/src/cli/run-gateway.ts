import type { LoadOptions } from '../config/load-config.ts'
import { type AdminClient, requestThrough } from './admin-client.ts'
import type { CliDeps } from './cli-deps.ts'
import { CliError } from './cli-error.ts'
import { locate, remoteServer, runningServer } from './connect-admin.ts'
import { reachableUrl } from './runtime-file.ts'

export type OpenGateway = {
  readonly client: AdminClient
  readonly proxyUrl: string
  /** It runs in this process and ends with it. */
  readonly ephemeral: boolean
  readonly close: () => Promise<void>
}

/** The running server, else one of our own: loopback, random ports, the configured data directory. */
export async function openGateway(
  deps: CliDeps,
  load: LoadOptions,
  logLevel: string | undefined,
): Promise<OpenGateway> {
  const remote = remoteServer(deps.io.env)
  if (remote !== null) return overHttp(remote, deps.io.env['TOLLGATE_PROXY_URL'] ?? '')
  const running = await runningServer(await locate(load))
  if (running !== null) return overHttp(running, running.proxyUrl ?? '')
  const server = await deps.startServer({
    load: { ...load, overrides: { ...load.overrides, ...ownOverrides(logLevel) } },
    jsonLogs: false,
    // Standard output belongs to the program.
    writeLog: (line) => deps.io.err(line),
  })
  return {
    client: {
      serving: true,
      proxyUrl: server.proxyUrl,
      adminUrl: server.adminUrl,
      request: requestThrough(server.request, 'http://127.0.0.1'),
      close: async () => {},
    },
    proxyUrl: reachableUrl(server.proxyUrl),
    ephemeral: true,
    close: () => server.stop(),
  }
}

function ownOverrides(logLevel: string | undefined): Readonly<Record<string, unknown>> {
  return {
    'server.host': '127.0.0.1',
    'server.port': 0,
    'server.workers': 1,
    'admin.host': '127.0.0.1',
    'admin.port': 0,
    'log.level': logLevel ?? 'silent',
  }
}

function overHttp(client: AdminClient, proxyUrl: string): OpenGateway {
  if (proxyUrl === '') {
    throw new CliError(
      'with TOLLGATE_ADMIN_URL, set TOLLGATE_PROXY_URL to the address of its proxy.',
      2,
    )
  }
  return {
    client,
    proxyUrl: proxyUrl.replace(/\/+$/, ''),
    ephemeral: false,
    close: () => client.close(),
  }
}

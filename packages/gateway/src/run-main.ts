import { flushCompileCache } from 'node:module'
import { text } from 'node:stream/consumers'
import { isatty } from 'node:tty'
import type { CliDeps, Io, StartedServer } from './cli/cli-deps.ts'
import { runCli } from './cli/run-cli.ts'
import type { RunningServer } from './compose-server.ts'
import type { LoadOptions } from './config/load-config.ts'
import { VERSION } from './version.ts'

const FAILURE = 1
/** Long after the start, when nobody waits. */
const KEEP_COMPILED_AFTER_MS = 2000

/** Runs the command line and ends the process with its exit code. */
export async function runMain(args: readonly string[]): Promise<void> {
  endQuietlyOnClosedPipe()
  const code = await runCli(args, deps())
  // Whatever is still open (a pool, a timer) must not keep a finished command alive; what was written must go out.
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)))
}

/** `tollgate key list | head -1` closes the pipe early, and that is no failure. */
function endQuietlyOnClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (thrown: NodeJS.ErrnoException) => {
      process.exit(thrown.code === 'EPIPE' ? 0 : FAILURE)
    })
  }
}

function deps(): CliDeps {
  return {
    version: VERSION,
    io: processIo(),
    startServer: async (options) => {
      const { composeServer } = await import('./compose-server.ts')
      const server = await placed(options.load, () => composeServer(options))
      setTimeout(flushCompileCache, KEEP_COMPILED_AFTER_MS).unref()
      return await started(server)
    },
    openOffline: async (load) => {
      const { composeOffline } = await import('./compose-offline.ts')
      return await placed(load, () => composeOffline(load))
    },
    checkConfig: async (load) => {
      const { checkConfig } = await import('./check-config.ts')
      return await placed(load, async () => checkConfig(load))
    },
    providers: async () => (await import('./registry.ts')).PROVIDERS,
    exit: (code) => process.exit(code),
  }
}

function processIo(): Io {
  return {
    out: (chunk) => void process.stdout.write(chunk),
    err: (chunk) => void process.stderr.write(chunk),
    readStdin: () => text(process.stdin),
    env: process.env,
    cwd: process.cwd(),
    isTerminal: isatty(1),
  }
}

async function placed<T>(load: LoadOptions, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (thrown) {
    const { placePlanError } = await import('./place-plan-error.ts')
    throw placePlanError(thrown, load)
  }
}

async function started(server: RunningServer): Promise<StartedServer> {
  const { createAdminApp } = await import('./control-plane/admin-app.ts')
  const { core, control } = server
  const { config, file, missingSecrets } = core.loaded()
  const app = createAdminApp(control, { allowedHosts: null })
  return {
    proxyUrl: server.proxyUrl,
    adminUrl: server.adminUrl,
    dir: config.dir,
    configFile: file,
    providers: Object.keys(config.providers),
    sandbox: server.sandbox,
    created: core.created,
    missingSecrets,
    async request(request) {
      request.headers.set('authorization', `Bearer ${core.adminToken}`)
      return await app.fetch(request)
    },
    stop: server.stop,
  }
}

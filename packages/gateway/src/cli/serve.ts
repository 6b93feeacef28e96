import { Command, Option } from 'commander'
import { LOG_LEVELS } from '../contracts/logger.ts'
import type { CliDeps, StartedServer } from './cli-deps.ts'
import { examples, given, port, withPlace, workers } from './flags.ts'
import { loadOptions, type PlaceFlags } from './load-options.ts'
import { nextSignal } from './signals.ts'

type ServeFlags = PlaceFlags & {
  readonly host?: string
  readonly port?: number
  readonly adminPort?: number
  readonly workers?: number | 'auto'
  readonly jsonLogs?: boolean
  readonly logLevel?: string
  readonly firstRun?: boolean
}

export function serveCommand(deps: CliDeps): Command {
  const command = new Command('serve')
    .description('run the gateway in the foreground')
    .option('--host <host>', 'address of the proxy (default: 127.0.0.1)')
    .option('--port <n>', 'port of the proxy (default: 8080; 0: any free one)', port)
    .option('--admin-port <n>', 'port of the admin API (default: 8081)', port)
    .option('--workers <n>', 'processes that answer requests; auto: one per core', workers)
    .option('--json-logs', 'write JSON lines only')
    .addOption(new Option('--log-level <level>', 'what is logged').choices(LOG_LEVELS))
    .option('--first-run', 'create a key when there is none, and show how to use the gateway')
    .action((flags: ServeFlags) => serve(deps, flags))
  return examples(withPlace(command), [
    'serve',
    'serve --port 9000 --admin-port 9001',
    'serve --workers 4',
    'serve --config /etc/tollgate.yaml --json-logs',
  ])
}

async function serve(deps: CliDeps, flags: ServeFlags): Promise<void> {
  const signals = nextSignal(deps.exit)
  const server = await deps.startServer({
    load: loadOptions(deps.io, flags, overridesOf(flags)),
    jsonLogs: flags.jsonLogs === true,
    writeLog: null,
  })
  const say = speaker(deps, flags)
  await announce(server, say, flags.firstRun === true)
  const signal = await signals.first
  say(`${signal}: stopping; requests under way may end`)
  await server.stop()
  signals.release()
}

function overridesOf(flags: ServeFlags): Readonly<Record<string, unknown>> {
  return given({
    'server.host': flags.host,
    'server.port': flags.port,
    'admin.port': flags.adminPort,
    'server.workers': flags.workers,
    'log.level': flags.logLevel,
  })
}

type Say = (message: string) => void

/** With `--json-logs` all of standard output is JSON lines, these too. */
function speaker({ io }: CliDeps, flags: ServeFlags): Say {
  if (flags.jsonLogs !== true) return (message) => io.out(`${message}\n`)
  return (message) => {
    const time = new Date().toISOString()
    for (const msg of message.split('\n').filter((line) => line !== '')) {
      io.out(`${JSON.stringify({ level: 'info', time, msg })}\n`)
    }
  }
}

async function announce(server: StartedServer, say: Say, firstRun: boolean): Promise<void> {
  for (const file of server.created) say(`created ${file}`)
  for (const { path, reference } of server.missingSecrets) {
    say(`${path}: ${reference} is missing; this provider refuses requests until it is set`)
  }
  say(`proxy listening on ${server.proxyUrl}`)
  say(`admin API listening on ${server.adminUrl}`)
  if (firstRun) {
    const { firstRunBanner } = await import('./first-run.ts')
    say(await firstRunBanner(server))
  }
  say('tollgate ready')
}

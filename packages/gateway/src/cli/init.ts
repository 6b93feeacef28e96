import { Command, Option } from 'commander'
import type { LoadOptions } from '../config/load-config.ts'
import { didYouMean } from '../lib/did-you-mean.ts'
import { requestOne } from './admin-client.ts'
import {
  OWN_NAMES_PROVIDER,
  PROVIDER_CHOICES,
  UNSERVED,
  type Variables,
  variables,
} from './agent-variables.ts'
import { isKeyWithSecret } from './answers.ts'
import type { CliDeps, Io } from './cli-deps.ts'
import { wrongUsage } from './cli-error.ts'
import { locate, runningServer, withAdmin } from './connect-admin.ts'
import { examples, port, withPlace } from './flags.ts'
import { type Destination, destinationOf } from './init-destination.ts'
import { loadOptions, type PlaceFlags } from './load-options.ts'
import { reachableUrl } from './runtime-file.ts'

type InitFlags = PlaceFlags & {
  readonly output?: string
  readonly agent?: string
  readonly provider?: string
  readonly key?: string
  readonly proxyUrl?: string
  readonly host?: string
  readonly port?: number
  readonly dotenv?: string
  readonly envKey?: string
  readonly envBaseUrl?: string
  readonly remove?: boolean
}

const VIRTUAL_KEY_START = 'tkn_'

export function initCommand(deps: CliDeps): Command {
  const command = new Command('init')
    .description('point programs at the gateway: print or write their variables')
    .addOption(
      new Option('--output <form>', 'what is made (default: shell)').choices([
        'shell',
        'dotenv',
        'json',
        'fish',
        'powershell',
      ]),
    )
    .option('--agent <name>', 'write the settings of an agent: claude-code, codex, cursor')
    .option('--provider <name>', `whose variables: ${PROVIDER_CHOICES.join(', ')}`)
    .option('--key <key>', 'virtual key (default: TOLLGATE_KEY, else a new one)')
    .addOption(new Option('--token <key>', 'the same').hideHelp())
    .option('--proxy-url <url>', 'address of the proxy (default: the running server)')
    .option('--host <host>', 'the same in parts')
    .option('--port <n>', 'the same in parts', port)
    .option('--dotenv <file>', 'file for --output dotenv (default: .env)')
    .option('--env-key <name>', 'variable for the key')
    .option('--env-base-url <name>', 'variable for the base URL')
    .option('--remove', 'take out what an earlier init wrote')
    .action((flags: InitFlags & { readonly token?: string }) => {
      const { token } = flags
      return init(
        deps,
        flags.key === undefined && token !== undefined ? { ...flags, key: token } : flags,
      )
    })
  return examples(withPlace(command), [
    'init --output dotenv',
    'init --agent claude-code',
    'init --provider all --output json',
  ]).addHelpText('after', '\nIn a shell:\n  $ eval "$(tollgate init)"')
}

async function init(deps: CliDeps, flags: InitFlags): Promise<void> {
  const { io } = deps
  const destination = destinationOf(io, flags)
  const { envKey, envBaseUrl } = flags
  const ownNames = envKey !== undefined && envBaseUrl !== undefined
  const provider = flags.provider ?? (ownNames ? OWN_NAMES_PROVIDER : destination.provider)
  if (provider !== OWN_NAMES_PROVIDER && !PROVIDER_CHOICES.includes(provider)) {
    throw wrongUsage(`unknown provider "${provider}"${didYouMean(provider, PROVIDER_CHOICES)}`)
  }
  const note = UNSERVED.get(provider)
  if (note !== undefined) io.err(`tollgate: ${note}\n`)
  const choose = (proxyUrl: string, key: string): Variables =>
    variables({ provider, proxyUrl, key, envKey, envBaseUrl })
  if (flags.remove === true) return destination.remove(Object.keys(choose('', '')))
  const load = loadOptions(io, flags)
  const proxyUrl = await proxyUrlFor(io, flags, load)
  const key =
    givenKey(io, flags) ?? keptKey(destination, choose) ?? (await newKey(deps, load, destination))
  destination.write(choose(proxyUrl, key))
}

async function proxyUrlFor(io: Io, flags: InitFlags, load: LoadOptions): Promise<string> {
  const said = flags.proxyUrl ?? io.env['TOLLGATE_PROXY_URL'] ?? ''
  if (said !== '') return checkedUrl(said)
  const place = await locate(load)
  const running = await runningServer(place)
  const { loadConfig } = await import('../config/load-config.ts')
  if (flags.host === undefined && flags.port === undefined && running?.proxyUrl != null) {
    return running.proxyUrl
  }
  const { server } = loadConfig(load).config
  const host = flags.host ?? server.host
  return reachableUrl(
    `http://${host.includes(':') ? `[${host}]` : host}:${flags.port ?? server.port}`,
  )
}

function checkedUrl(text: string): string {
  const url = text.replace(/\/+$/, '').replace(/\/v1$/, '')
  if (/^https?:\/\//.test(url) && URL.canParse(url)) return url
  throw wrongUsage(`--proxy-url: "${text}" is no http or https URL.`)
}

function givenKey(io: Io, flags: InitFlags): string | null {
  const key = flags.key ?? io.env['TOLLGATE_KEY'] ?? ''
  return key === '' ? null : key
}

/** A key that an earlier `init` wrote there stays: each run would leave one more behind. */
function keptKey(
  destination: Destination,
  choose: (proxyUrl: string, key: string) => Variables,
): string | null {
  const names = Object.entries(choose('', VIRTUAL_KEY_START)).filter(
    ([, value]) => value === VIRTUAL_KEY_START,
  )
  const kept = names.map(([name]) => destination.read(name))
  return kept.find((value) => value?.startsWith(VIRTUAL_KEY_START) === true) ?? null
}

async function newKey(deps: CliDeps, load: LoadOptions, destination: Destination): Promise<string> {
  const body = { name: destination.keyName }
  const call = { method: 'POST', path: '/keys', body, answer: isKeyWithSecret }
  const { key, id } = await withAdmin(deps, load, (client) => requestOne(client, call))
  deps.io.err(`tollgate: created the key ${id} (${destination.keyName})\n`)
  return key
}

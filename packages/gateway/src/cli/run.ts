import { Command } from 'commander'
import type { UsageSummary } from '../control-plane/admin-api.ts'
import {
  childVariables,
  hiddenVariables,
  OWN_NAMES_PROVIDER,
  programName,
  wordsFor,
  PROVIDER_CHOICES,
  providerForProgram,
  UNSERVED,
} from './agent-variables.ts'
import { type AdminClient, requestOne, withQuery } from './admin-client.ts'
import { costText, wholeText } from './amounts.ts'
import { isKeyWithSecret, isUsageSummary } from './answers.ts'
import type { CliDeps } from './cli-deps.ts'
import { CliError, wrongUsage } from './cli-error.ts'
import { didYouMean } from '../lib/did-you-mean.ts'
import { examples, withPlace } from './flags.ts'
import { loadOptions, type PlaceFlags } from './load-options.ts'
import { openGateway } from './run-gateway.ts'
import { runChild } from './run-child.ts'

type RunFlags = PlaceFlags & {
  readonly provider?: string
  readonly key?: string
  readonly name?: string
  readonly envKey?: string
  readonly envBaseUrl?: string
  readonly logLevel?: string
  readonly quiet?: boolean
}

const KEY_EXPIRES = '24h'

export function runCommand(deps: CliDeps): Command {
  const command = new Command('run')
    .description('run a program whose calls go through the gateway')
    .argument('<command>', 'the program')
    .argument('[args...]', 'its arguments; flags from here on are its own')
    .option('--provider <name>', `whose variables are set: ${PROVIDER_CHOICES.join(', ')}`)
    .option('--key <key>', 'virtual key (default: TOLLGATE_KEY, else a temporary one)')
    .option('--name <name>', 'name of the temporary key')
    .option('--env-key <name>', 'variable for the key')
    .option('--env-base-url <name>', 'variable for the base URL')
    .option('--log-level <level>', 'what a gateway that is started for this logs to standard error')
    .option('--quiet', 'no summary at the end')
    .passThroughOptions()
    .action((program: string, args: readonly string[], flags: RunFlags) =>
      run(deps, [program, ...args], flags),
    )
  return examples(withPlace(command), [
    'run -- claude',
    'run -- python app.py --verbose',
    'run --provider anthropic --name nightly -- ./job.sh',
  ])
}

/** A running server is used; without one a gateway runs in this process for as long as the program does. */
async function run(deps: CliDeps, words: readonly string[], flags: RunFlags): Promise<void> {
  const { io } = deps
  const [program = ''] = words
  const provider = flags.provider ?? defaultProvider(program, flags)
  checkProvider(provider, flags)
  const note = UNSERVED.get(provider)
  if (note !== undefined) io.err(`tollgate: ${note}\n`)
  const gateway = await openGateway(deps, loadOptions(io, flags), flags.logLevel)
  const closers = [() => gateway.close()]
  try {
    const key = await keyFor(deps, gateway.client, program, flags)
    if (key.id !== null) closers.unshift(() => revoke(gateway.client, key.id))
    const { envKey, envBaseUrl } = flags
    const choice = { provider, proxyUrl: gateway.proxyUrl, key: key.secret, envKey, envBaseUrl }
    const since = new Date().toISOString()
    const code = await runChild(wordsFor(words, gateway.proxyUrl), childEnvironment(deps, choice))
    const counted = key.id !== null || gateway.ephemeral
    if (counted && flags.quiet !== true) io.err(await summaryLine(gateway.client, key.id, since))
    if (code !== 0) throw new CliError('', code)
  } finally {
    for (const close of closers) await close()
  }
}

type RunKey = {
  readonly secret: string
  /** Null: the key was given, and is not ours to revoke. */
  readonly id: string | null
}

async function keyFor(
  deps: CliDeps,
  client: AdminClient,
  program: string,
  flags: RunFlags,
): Promise<RunKey> {
  const own = flags.key ?? deps.io.env['TOLLGATE_KEY'] ?? ''
  if (own !== '') return { secret: own, id: null }
  const body = { name: flags.name ?? `run-${programName(program)}`, expires: KEY_EXPIRES }
  const call = { method: 'POST', path: '/keys', body, answer: isKeyWithSecret }
  const { key, id } = await requestOne(client, call)
  return { secret: key, id }
}

/** The key expires by itself when the gateway does not answer any more. */
async function revoke(client: AdminClient, id: string | null): Promise<void> {
  await client.request('DELETE', `/keys/${id}`).catch(() => {})
}

function defaultProvider(program: string, { envKey, envBaseUrl }: RunFlags): string {
  if (envKey !== undefined && envBaseUrl !== undefined) return OWN_NAMES_PROVIDER
  return providerForProgram(programName(program))
}

function checkProvider(provider: string, flags: RunFlags): void {
  if (flags.provider === undefined || PROVIDER_CHOICES.includes(provider)) return
  throw wrongUsage(`unknown provider "${provider}"${didYouMean(provider, PROVIDER_CHOICES)}`)
}

type Choice = Parameters<typeof childVariables>[0]

function childEnvironment(deps: CliDeps, choice: Choice): Readonly<Record<string, string>> {
  const hidden = new Set([
    ...hiddenVariables(choice.provider),
    'TOLLGATE_ADMIN_TOKEN',
    'TOLLGATE_HASH_KEY',
    'NODE_COMPILE_CACHE',
  ])
  const kept: Record<string, string> = {}
  for (const [name, value] of Object.entries(deps.io.env)) {
    if (value !== undefined && !hidden.has(name)) kept[name] = value
  }
  return {
    ...withoutProxy(kept, choice.proxyUrl),
    ...childVariables(choice),
    TOLLGATE_PROXY_URL: choice.proxyUrl,
    TOLLGATE_KEY: choice.key,
  }
}

/** A forward proxy of the network must not be asked for an address of this machine. */
function withoutProxy(
  env: Readonly<Record<string, string>>,
  proxyUrl: string,
): Readonly<Record<string, string>> {
  const { hostname } = new URL(proxyUrl)
  const names = ['NO_PROXY', 'no_proxy'].filter((name) => env[name] !== undefined)
  const list = names.map((name) => env[name]).find((value) => value !== '') ?? ''
  const hosts = new Set(list.split(',').map((host) => host.trim()))
  if (hosts.has(hostname) || hosts.has('*')) return env
  const extended = list === '' ? hostname : `${list},${hostname}`
  return { ...env, NO_PROXY: extended, no_proxy: extended }
}

async function summaryLine(
  client: AdminClient,
  keyId: string | null,
  since: string,
): Promise<string> {
  const path = withQuery('/usage/summary', { key: keyId ?? undefined, since })
  try {
    return summaryText(await requestOne(client, { method: 'GET', path, answer: isUsageSummary }))
  } catch {
    // The program's result counts, whatever became of the gateway.
    return 'tollgate: no summary: the gateway does not answer any more.\n'
  }
}

function summaryText({ requests, errors, usage, ...summary }: UsageSummary): string {
  const failed = errors === 0 ? '' : ` (${wholeText(errors)} failed)`
  const asked = `${wholeText(requests)} ${requests === 1 ? 'request' : 'requests'}${failed}`
  const input = wholeText(usage.input + usage.cache_read)
  const tokens = `${input} input and ${wholeText(usage.output)} output tokens`
  return `tollgate: ${asked}, ${tokens}, ${costText(summary.cost_nanousd)}\n`
}

import { Command } from 'commander'
import type { ProviderTestView, ProviderView } from '../control-plane/admin-api.ts'
import { type AdminClient, listAll, requestOne } from './admin-client.ts'
import { isProvider, isProviderTest } from './answers.ts'
import type { CliDeps } from './cli-deps.ts'
import { CliError } from './cli-error.ts'
import { withAdmin } from './connect-admin.ts'
import { examples, printJson, withJson, withPlace } from './flags.ts'
import { loadOptions, type PlaceFlags } from './load-options.ts'
import { discover, type DiscoverFlags } from './discover.ts'
import { listModels } from './model.ts'
import { plainText } from './plain-text.ts'
import { table } from './table.ts'

type Flags = PlaceFlags & { readonly json?: boolean }

export function providerCommand(deps: CliDeps): Command {
  const command = new Command('provider').description('providers that are configured')
  for (const part of [
    listCommand(deps),
    testCommand(deps),
    discoverCommand(deps),
    modelsCommand(deps),
  ]) {
    command.addCommand(part)
  }
  return examples(command, [
    'provider list',
    'provider test openai',
    'provider discover openai',
    'provider models sandbox',
  ])
}

function listCommand(deps: CliDeps): Command {
  const list = async (flags: Flags): Promise<void> => {
    const page = await withAdmin(deps, loadOptions(deps.io, flags), allProviders)
    if (flags.json === true) return printJson(deps.io, page)
    deps.io.out(
      table(page.items, [
        { title: 'name', value: ({ name }) => name },
        { title: 'base url', value: ({ base_url: url }) => url },
        { title: 'protocols', value: ({ protocols }) => protocols.join(',') },
        { title: 'state', value: ({ state }) => state },
        { title: 'auth', value: ({ auth }) => auth },
        { title: 'credential', value: credentialText },
      ]),
    )
  }
  return withPlace(withJson(new Command('list').alias('ls').description('list'))).action(list)
}

function allProviders(client: AdminClient): ReturnType<typeof listAll<ProviderView>> {
  return listAll(client, { path: '/providers', item: isProvider })
}

function credentialText({ credential, credential_missing: missing }: ProviderView): string {
  if (credential === null) return 'none needed'
  return missing ? `${credential} (missing)` : credential
}

function testCommand(deps: CliDeps): Command {
  const command = new Command('test')
    .description('ask each provider for its model list, with its credential; spends nothing')
    .argument('[names...]', 'providers (default: all)')
    .action((wanted: readonly string[], flags: Flags) => test(deps, wanted, flags))
  return withPlace(withJson(command))
}

async function test(deps: CliDeps, wanted: readonly string[], flags: Flags): Promise<void> {
  const { io } = deps
  const items = await withAdmin(deps, loadOptions(io, flags), async (client) => {
    const listed = wanted.length > 0 ? wanted : (await allProviders(client)).items.map(nameOf)
    return await Promise.all(listed.map((name) => testOne(client, name)))
  })
  if (flags.json === true) printJson(io, { items, total: items.length, next: null })
  else for (const item of items) io.out(testLine(item))
  // Said already, line by line.
  if (items.some(({ ok }) => !ok)) throw new CliError('')
}

function nameOf({ name }: ProviderView): string {
  return name
}

function testOne(client: AdminClient, name: string): Promise<ProviderTestView> {
  const path = `/providers/${encodeURIComponent(name)}/test`
  return requestOne(client, { method: 'POST', path, answer: isProviderTest })
}

function testLine({ provider, ok, latency_ms: latencyMs, problem }: ProviderTestView): string {
  const state = ok ? '[ok]  ' : '[FAIL]'
  return `${state} ${plainText(provider)}  ${latencyMs} ms${problem === null ? '' : `  ${plainText(problem)}`}\n`
}

function discoverCommand(deps: CliDeps): Command {
  const command = new Command('discover')
    .description('ask a provider which models it has, and say what is known of each')
    .argument('<name>', 'provider')
    .option('--yaml', 'print entries for `models:` of the configuration, to be put there by hand')
    .action((name: string, flags: DiscoverFlags) => discover(deps, name, flags))
  return withPlace(withJson(command))
}

function modelsCommand(deps: CliDeps): Command {
  const command = new Command('models')
    .description('list the models of a provider')
    .argument('[name]', 'provider (default: all)')
    .action((provider: string | undefined, flags: Flags) =>
      listModels(deps, provider === undefined ? flags : { ...flags, provider }),
    )
  return withPlace(withJson(command))
}

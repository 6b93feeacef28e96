import { Command } from 'commander'
import { ConfigError, type ConfigProblem } from '../config/config-error.ts'
import type { LoadOptions } from '../config/load-config.ts'
import type { ConfigView } from '../control-plane/admin-api.ts'
import { requestOne } from './admin-client.ts'
import { isConfig, isReload } from './answers.ts'
import type { CliDeps } from './cli-deps.ts'
import { CliError, notAvailable } from './cli-error.ts'
import { locate, remoteServer, runningServer, withAdmin } from './connect-admin.ts'
import { examples, printJson, withJson, withPlace } from './flags.ts'
import { loadOptions, type PlaceFlags } from './load-options.ts'

type Flags = PlaceFlags & { readonly json?: boolean }

export function configCommand(deps: CliDeps): Command {
  const command = new Command('config').description('the configuration file')
  const parts = [
    checkCommand(deps),
    showCommand(deps),
    schemaCommand(deps),
    reloadCommand(deps),
    laterCommand('export'),
    laterCommand('import'),
  ]
  for (const part of parts) command.addCommand(part)
  return examples(command, [
    'config check --config tollgate.yaml',
    'config show --json',
    'config schema > tollgate.schema.json',
    'config reload',
  ])
}

function checkCommand(deps: CliDeps): Command {
  const command = new Command('check')
    .description('say what is wrong with the configuration (exit code 2), and change nothing')
    .argument('[file]', 'the same as --config')
    .action((file: string | undefined, flags: Flags) =>
      check(deps, file === undefined ? flags : { ...flags, config: file }),
    )
  return withPlace(withJson(command))
}

async function check(deps: CliDeps, flags: Flags): Promise<void> {
  const { io } = deps
  try {
    const { file, missingSecrets } = await deps.checkConfig(loadOptions(io, flags))
    if (flags.json === true) {
      return printJson(io, { ok: true, file, problems: [], missing_secrets: missingSecrets })
    }
    for (const { path, reference } of missingSecrets) {
      io.err(`tollgate: ${path}: ${reference} is missing\n`)
    }
    io.out(`${file ?? 'no configuration file: defaults and environment'}: fine\n`)
  } catch (thrown) {
    if (!(thrown instanceof ConfigError) || flags.json !== true) throw thrown
    const problems = thrown.problems.map(problemView)
    printJson(io, { ok: false, file: thrown.file, problems, missing_secrets: [] })
    throw new CliError('', 2)
  }
}

function problemView({ path, line, column, message }: ConfigProblem): ConfigProblem {
  return { path, line, column, message }
}

function showCommand(deps: CliDeps): Command {
  const command = new Command('show')
    .description('the configuration that holds, with defaults and without secrets')
    .action(async (flags: Flags) => {
      const view = await shownConfig(deps, loadOptions(deps.io, flags))
      printJson(deps.io, flags.json === true ? view : view.config)
    })
  return withPlace(withJson(command))
}

/** The running server's. Without one the file's: a store need not be opened, or made, to show it. */
async function shownConfig(deps: CliDeps, load: LoadOptions): Promise<ConfigView> {
  const client = remoteServer(deps.io.env) ?? (await runningServer(await locate(load)))
  if (client !== null) {
    return await requestOne(client, { method: 'GET', path: '/config', answer: isConfig })
  }
  const { redactConfig } = await import('../config/redact-config.ts')
  const { file, fromEnv, missingSecrets, config } = await deps.checkConfig(load)
  return {
    file,
    revision: 0,
    from_env: fromEnv,
    missing_secrets: missingSecrets,
    config: redactConfig(config),
  }
}

function schemaCommand({ io }: CliDeps): Command {
  const command = new Command('schema').description('JSON Schema of the file, for editors')
  return withJson(command).action(async () => {
    const { configJsonSchema } = await import('../config/config-schema.ts')
    printJson(io, configJsonSchema())
  })
}

function reloadCommand(deps: CliDeps): Command {
  const reload = async (flags: Flags): Promise<void> => {
    const answer = await withAdmin(deps, loadOptions(deps.io, flags), async (client) => {
      if (!client.serving)
        throw new CliError('no server runs here; the file is read when it starts.')
      return await requestOne(client, { method: 'POST', path: '/config/reload', answer: isReload })
    })
    if (flags.json === true) return printJson(deps.io, answer)
    deps.io.out(`reloaded: revision ${answer.revision}\n`)
  }
  const command = new Command('reload').description('make the running server read the file again')
  return withPlace(withJson(command)).action(reload)
}

function laterCommand(name: string): Command {
  return new Command(name)
    .description('not available in this version')
    .allowUnknownOption()
    .argument('[args...]')
    .action(() => {
      throw notAvailable(`config ${name}`)
    })
}

import { Command } from 'commander'
import { aliasCommand } from './alias.ts'
import type { CliDeps } from './cli-deps.ts'
import { completionCommand } from './completion.ts'
import { configCommand } from './config.ts'
import { doctorCommand } from './doctor.ts'
import { examples, withPlace } from './flags.ts'
import { initCommand } from './init.ts'
import { keyCommand } from './key.ts'
import { ledgerCommand } from './ledger.ts'
import { limitCommand } from './limit.ts'
import type { PlaceFlags } from './load-options.ts'
import { modelCommand } from './model.ts'
import { policyCommand } from './policy.ts'
import { providerCommand } from './provider.ts'
import { routeCommand } from './route.ts'
import { runCommand } from './run.ts'
import { serveCommand } from './serve.ts'
import { statsCommand } from './stats.ts'
import { statusCommand } from './status.ts'
import { UNAVAILABLE, unavailableCommand } from './unavailable.ts'
import { versionCommand } from './version.ts'

/** In the order of the help. */
const COMMANDS: readonly ((deps: CliDeps) => Command)[] = [
  serveCommand,
  statusCommand,
  runCommand,
  initCommand,
  keyCommand,
  policyCommand,
  limitCommand,
  ledgerCommand,
  statsCommand,
  providerCommand,
  modelCommand,
  aliasCommand,
  routeCommand,
  configCommand,
  doctorCommand,
  completionCommand,
  versionCommand,
]

/** The whole command tree. Actions load what they need when they run. */
export function createProgram(deps: CliDeps): Command {
  const program = new Command('tollgate')
    .description('The LLM gateway.')
    .version(deps.version, '-v, --version', 'print the version')
    .enablePositionalOptions()
    .hook('preAction', handDownPlace)
  withPlace(program)
  for (const make of COMMANDS) program.addCommand(make(deps))
  for (const name of UNAVAILABLE) program.addCommand(unavailableCommand(name), { hidden: true })
  examples(program, ['serve', 'key create --name ci --expires 30d', 'run -- claude'])
  program.addHelpText('after', `\nNot available in this version: ${UNAVAILABLE.join(', ')}`)
  prepare(program, deps)
  return program
}

/** `tollgate --dir D key list` means the same as `tollgate key list --dir D`. */
function handDownPlace(program: Command, command: Command): void {
  const { config, dir }: PlaceFlags = program.opts()
  for (const [name, value] of Object.entries({ config, dir })) {
    if (value === undefined || command.getOptionValue(name) !== undefined) continue
    command.setOptionValueWithSource(name, value, 'cli')
  }
}

/** Commander does not hand these down to commands that were made apart. */
function prepare(command: Command, deps: CliDeps): void {
  command.exitOverride()
  command.showSuggestionAfterError(true)
  command.configureOutput({
    writeOut: deps.io.out,
    writeErr: deps.io.err,
    outputError: (text, write) => write(text.replace(/^error: /, 'tollgate: ')),
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  })
  for (const one of command.commands) prepare(one, deps)
}

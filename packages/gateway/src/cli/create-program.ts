import { Command } from 'commander'
import type { CliDeps } from './cli-deps.ts'
import { keyCommand } from './key.ts'
import { serveCommand } from './serve.ts'

/** The whole command tree. Actions load what they need when they run. */
export function createProgram(deps: CliDeps): Command {
  const program = new Command('tollgate')
    .description('The LLM gateway.')
    .version(deps.version, '-v, --version', 'print the version')
    .enablePositionalOptions()
  const commands = [serveCommand(deps), keyCommand(deps)]
  for (const command of commands) program.addCommand(command)
  prepare(program, deps)
  return program
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

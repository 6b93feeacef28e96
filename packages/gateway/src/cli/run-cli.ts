import { CommanderError } from 'commander'
import { ConfigError } from '../config/config-error.ts'
import { isRecord } from '../lib/is-record.ts'
import type { CliDeps } from './cli-deps.ts'
import { CliError } from './cli-error.ts'
import { createProgram } from './create-program.ts'
import { problemLines } from './problem-lines.ts'

const FINE = 0
const FAILURE = 1
const WRONG_USAGE = 2

/** Runs one command line (without the program's own name) and returns the exit code. Never throws. */
export async function runCli(args: readonly string[], deps: CliDeps): Promise<number> {
  try {
    await createProgram(deps).parseAsync(args, { from: 'user' })
    return FINE
  } catch (thrown) {
    return report(thrown, deps)
  }
}

function report(thrown: unknown, deps: CliDeps): number {
  // Help and version that were asked for are no failure.
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? FINE : WRONG_USAGE
  const { message, exitCode } = described(thrown, deps)
  for (const line of message === '' ? [] : message.split('\n')) deps.io.err(`tollgate: ${line}\n`)
  if (!isExpected(thrown) && deps.io.env['TOLLGATE_DEBUG'] === '1' && thrown instanceof Error) {
    deps.io.err(`${thrown.stack ?? ''}\n`)
  }
  return exitCode
}

type Described = { readonly message: string; readonly exitCode: number }

function described(thrown: unknown, deps: CliDeps): Described {
  if (thrown instanceof CliError) return { message: thrown.message, exitCode: thrown.exitCode }
  if (thrown instanceof ConfigError) {
    return { message: problemLines(thrown).join('\n'), exitCode: WRONG_USAGE }
  }
  const listening = listenProblem(thrown)
  if (listening !== null) return { message: listening, exitCode: FAILURE }
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  const hint = isExpected(thrown) || deps.io.env['TOLLGATE_DEBUG'] === '1'
  const more = hint ? '' : '\nset TOLLGATE_DEBUG=1 to see where this comes from.'
  return { message: `${message}${more}`, exitCode: FAILURE }
}

/** Errors whose message alone is the whole story. */
function isExpected(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false
  return ['CliError', 'ConfigError', 'StoreError'].includes(thrown.name)
}

/** What the operating system says to a listener, with a way out. Null: something else. */
function listenProblem(thrown: unknown): string | null {
  if (!isRecord(thrown) && !(thrown instanceof Error)) return null
  const { code, syscall, address, port } = Object.fromEntries(Object.entries(thrown))
  if (syscall !== 'listen') return null
  const where = `${String(address)}:${String(port)}`
  if (code === 'EADDRINUSE') {
    return `the address ${where} is in use: stop the program that listens there, or choose another port with --port and --admin-port.`
  }
  if (code === 'EACCES') return `listening on ${where} is not permitted: choose a port above 1023.`
  if (code === 'EADDRNOTAVAIL') return `the address ${where} is not one of this machine.`
  return null
}

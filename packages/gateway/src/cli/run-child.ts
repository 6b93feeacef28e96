import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { isatty } from 'node:tty'
import { CliError } from './cli-error.ts'

const NOT_FOUND = 127
const NOT_EXECUTABLE = 126
const SIGNAL_BASE = 128
const PASSED_ON = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const
/** A terminal gives these to every process in the foreground, so the program has them already. */
const FROM_TERMINAL: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT'])

/** Runs the program on our own standard streams. The exit code is the program's; 128 + n after signal n, as in a shell. */
export async function runChild(
  [program = '', ...args]: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<number> {
  const child = spawn(program, args, { stdio: 'inherit', env })
  const stopPassing = passSignals(child)
  try {
    return await exitCode(child, program)
  } finally {
    stopPassing()
  }
}

function passSignals(child: ChildProcess): () => void {
  const onTerminal = [0, 1, 2].some((descriptor) => isatty(descriptor))
  const pass = (signal: NodeJS.Signals): void => {
    if (onTerminal && FROM_TERMINAL.has(signal)) return
    child.kill(signal)
  }
  for (const signal of PASSED_ON) process.on(signal, pass)
  return () => {
    for (const signal of PASSED_ON) process.off(signal, pass)
  }
}

function exitCode(child: ChildProcess, program: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.on('error', (thrown: NodeJS.ErrnoException) => reject(startProblem(program, thrown)))
    child.on('exit', (code, signal) => {
      resolve(signal === null ? (code ?? 1) : SIGNAL_BASE + constants.signals[signal])
    })
  })
}

function startProblem(program: string, thrown: NodeJS.ErrnoException): CliError {
  if (thrown.code === 'ENOENT') {
    return new CliError(`the program ${program} was not found.`, NOT_FOUND)
  }
  return new CliError(
    `the program ${program} cannot be run (${thrown.code ?? thrown.message}).`,
    NOT_EXECUTABLE,
  )
}

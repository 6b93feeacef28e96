import { type ChildProcess, spawn } from 'node:child_process'
import { onClose } from './cleanup.ts'
import { waitFor } from './wait-for.ts'

type Exit = { readonly code: number | null; readonly signal: NodeJS.Signals | null }

/** A process of ours and what it has written. */
export type Child = {
  readonly pid: number
  readonly stdout: () => string
  readonly stderr: () => string
  readonly running: () => boolean
  readonly exited: Promise<Exit>
  /** Resolves when it has written a line that fits. Rejects when it ends before. */
  readonly line: (pattern: RegExp, patienceMs?: number) => Promise<RegExpExecArray>
  readonly kill: (signal: NodeJS.Signals) => void
  /** SIGTERM, and SIGKILL when that takes too long. */
  readonly stop: () => Promise<Exit>
}

export type StartOptions = {
  readonly cwd: string
  /** Nothing else is in its environment but PATH. */
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string
}

const STOP_MS = 15_000
const RUN_MS = 30_000
const alive = new Set<ChildProcess>()
// A test run that is interrupted must leave no process behind.
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

export function startProcess(
  command: string,
  args: readonly string[],
  options: StartOptions,
): Child {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { PATH: process.env['PATH'] ?? '', ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const { pid } = child
  alive.add(child)
  child.stdin.on('error', () => {})
  child.stdin.end(options.stdin ?? '')
  const written = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (written.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (written.stderr += text))
  const exited = new Promise<Exit>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      alive.delete(child)
      resolve({ code, signal })
    })
  })
  if (pid === undefined) throw new Error(`${command} could not be started`)
  const running = (): boolean => child.exitCode === null && child.signalCode === null
  const started: Child = {
    pid,
    stdout: () => written.stdout,
    stderr: () => written.stderr,
    running,
    exited,
    line: (pattern, patienceMs) =>
      waitFor(
        `${pattern} from ${args.join(' ')}`,
        () => {
          const match = pattern.exec(written.stdout)
          if (match === null && !running()) {
            throw new Error(`it ended: ${written.stdout}\n${written.stderr}`)
          }
          return match
        },
        patienceMs,
      ),
    kill: (signal) => void child.kill(signal),
    async stop() {
      if (running()) child.kill('SIGTERM')
      const hard = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
      const exit = await exited
      clearTimeout(hard)
      return exit
    },
  }
  onClose(async () => void (await started.stop()))
  return started
}

export type Finished = { readonly code: number | null; readonly out: string; readonly err: string }

/** From start to end; `code` is null when it took too long. */
export async function runProcess(
  command: string,
  args: readonly string[],
  options: StartOptions,
): Promise<Finished> {
  const child = startProcess(command, args, options)
  const tooLong = setTimeout(() => child.kill('SIGKILL'), RUN_MS)
  const { code } = await child.exited
  clearTimeout(tooLong)
  return { code, out: child.stdout(), err: child.stderr() }
}

import type { CliDeps, Io } from '../cli-deps.ts'
import { runCli } from '../run-cli.ts'

type Ran = { readonly code: number; readonly out: string; readonly err: string }

function notExpected(): never {
  throw new Error('This test does not expect that.')
}

/** A command line that can start nothing; what it needs is given. */
export async function ranWith(
  args: readonly string[],
  given: Partial<CliDeps> & { readonly env?: Io['env'] } = {},
): Promise<Ran> {
  const { env = {}, ...others } = given
  const texts = { out: '', err: '' }
  const deps = fakeDeps()
  const io: Io = {
    ...deps.io,
    env,
    out: (text) => (texts.out += text),
    err: (text) => (texts.err += text),
  }
  const code = await runCli(args, { ...deps, io, ...others })
  return { code, ...texts }
}

/** For what only reads the tree of commands, or reads with `io`. */
export function fakeDeps(stdin = ''): CliDeps {
  return {
    version: '1.2.3',
    io: {
      out: notExpected,
      err: notExpected,
      readStdin: () => Promise.resolve(stdin),
      env: {},
      cwd: import.meta.dirname,
      isTerminal: false,
    },
    startServer: notExpected,
    openOffline: notExpected,
    checkConfig: notExpected,
    providers: notExpected,
    exit: notExpected,
  }
}

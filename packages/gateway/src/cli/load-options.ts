import type { LoadOptions } from '../config/load-config.ts'
import type { Io } from './cli-deps.ts'

/** Flags of every command that says which gateway is meant. */
export type PlaceFlags = { readonly config?: string; readonly dir?: string }

/** `--dir` also says where a configuration file may be, as `TOLLGATE_DIR` does. */
export function loadOptions(
  io: Io,
  flags: PlaceFlags,
  overrides: Readonly<Record<string, unknown>> = {},
): LoadOptions {
  const env = flags.dir === undefined ? io.env : { ...io.env, TOLLGATE_DIR: flags.dir }
  return {
    ...(flags.config === undefined ? {} : { configPath: flags.config }),
    overrides: { ...(flags.dir === undefined ? {} : { dir: flags.dir }), ...overrides },
    env,
    cwd: io.cwd,
  }
}

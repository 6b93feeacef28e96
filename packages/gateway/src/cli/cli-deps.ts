import type { LoadedConfig, LoadOptions } from '../config/load-config.ts'
import type { ProviderFacts } from '../contracts/provider.ts'

/** What a command reads and writes. */
export type Io = {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  readonly readStdin: () => Promise<string>
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** Standard output is a terminal. */
  readonly isTerminal: boolean
}

/** The admin API as a function, without a listener. */
export type AdminCall = (request: Request) => Promise<Response>

/** The admin API over the store alone. It holds the right to serve the store until it is closed. */
export type OfflineAdmin = {
  readonly request: AdminCall
  /** Paths of files that did not exist before. */
  readonly created: readonly string[]
  readonly close: () => Promise<void>
}

type StartOptions = {
  readonly load: LoadOptions
  readonly jsonLogs: boolean
  /** Takes whole log lines; null: standard output. */
  readonly writeLog: ((line: string) => void) | null
}

export type StartedServer = {
  readonly proxyUrl: string
  readonly adminUrl: string
  readonly dir: string
  readonly configFile: string | null
  /** Names of the providers that are configured or were found. */
  readonly providers: readonly string[]
  /** The built-in simulated provider runs. */
  readonly sandbox: boolean
  readonly created: readonly string[]
  readonly missingSecrets: LoadedConfig['missingSecrets']
  readonly request: AdminCall
  readonly stop: () => Promise<void>
}

/** What only the composition root can build. Each is loaded when it is called, so that `version` stays quick. */
export type CliDeps = {
  readonly version: string
  readonly io: Io
  /** Throws `ConfigError`, `StoreError` or the listener's error. */
  readonly startServer: (options: StartOptions) => Promise<StartedServer>
  /** Throws `ConfigError` or `StoreError`. */
  readonly openOffline: (load: LoadOptions) => Promise<OfflineAdmin>
  /** Loads and compiles the configuration, and touches nothing else. Throws `ConfigError`. */
  readonly checkConfig: (load: LoadOptions) => Promise<LoadedConfig>
  readonly providers: () => Promise<readonly ProviderFacts[]>
  /** Ends the process, whatever is under way. */
  readonly exit: (code: number) => never
}

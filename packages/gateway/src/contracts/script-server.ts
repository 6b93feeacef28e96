/** What a script answers: whole numbers, texts, lists of them, or nothing. */
export type ScriptValue = string | number | null | readonly ScriptValue[]

/** One connection to a server that runs a script on its keys, one call at a time. */
export type ScriptConnection = {
  /** Another value: another process of the server, which may have lost what the one before knew. */
  readonly serverRun: string
  /**
   * Runs the script, all of it or nothing. Calls are run in the order in which they are made.
   *
   * Rejects with `ServerAway` when no answer came in time or the server cannot work; the connection is then gone, and
   * whether the call was run is unknown.
   */
  run(keys: readonly string[], args: readonly string[]): Promise<ScriptValue>
  /** One page of the members of a set. */
  scanSet(key: string, cursor: string): Promise<{ cursor: string; members: readonly string[] }>
  /** Gives the connection up, so that a new one is made. */
  fail(reason: string): void
}

export type ScriptServerHandlers = {
  /** Called for each new connection. While it has not resolved, or when it rejects, the server counts as away. */
  readonly onConnect: (connection: ScriptConnection) => Promise<void>
  /** Once per connection that `onConnect` was called for; also, once, when the first cannot be made. */
  readonly onLost: (reason: string) => void
  /** Something that an operator should change, in one sentence. */
  readonly onWarning: (warning: string) => void
}

/** A server somewhere else, kept connected to. */
export type ScriptServer = {
  start(handlers: ScriptServerHandlers): void
  stop(): Promise<void>
}

/** The server does not answer, or says that it cannot work now. */
export class ServerAway extends Error {
  override readonly name = 'ServerAway'
}

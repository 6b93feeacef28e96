/** Ends a command. The message goes to standard error after `tollgate: `; an empty one says nothing. */
export class CliError extends Error {
  override readonly name = 'CliError'
  readonly exitCode: number

  /** `exitCode`: 1 failure, 2 wrong usage or configuration. */
  constructor(message: string, exitCode = 1, options: { readonly cause?: unknown } = {}) {
    super(message, options)
    this.exitCode = exitCode
  }
}

export function wrongUsage(message: string): CliError {
  return new CliError(message, 2)
}

export function notAvailable(what: string): CliError {
  return new CliError(`${what} is not available in this version.`)
}

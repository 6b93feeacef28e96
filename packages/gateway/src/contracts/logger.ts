export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** Members of a log line, snake_case. Never content of requests or answers. */
type LogFields = Readonly<Record<string, unknown>>

/** Writes log lines. Secrets are redacted by name and by value. Never throws. */
export type Logger = {
  /** One comparison; ask before building costly fields. */
  enabled(level: Exclude<LogLevel, 'silent'>): boolean
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
}

import { destination, pino, stdTimeFunctions } from 'pino'
import type { Logger, LogLevel } from '../contracts/logger.ts'
import { escapeUnsafe, prettyLine } from './pretty-line.ts'
import { redactFields } from './redact-fields.ts'
import type { SecretRegistry } from './secret-registry.ts'

export type LogOptions = {
  readonly level: LogLevel
  readonly format: 'json' | 'pretty'
  readonly secrets: SecretRegistry
  /** Takes whole lines. Default: standard output, in batches. */
  readonly write?: (line: string) => void
}

/** A logger whose level can be changed while it runs. */
export type RootLogger = Logger & {
  level(): LogLevel
  setLevel(level: LogLevel): void
  /**
   * An info line for the hot path. `members` is JSON without braces and has been through no redaction by name; it still
   * goes through the one by value. Ask `enabled` first.
   */
  writeInfo(members: string): void
  /** A whole line of another process's logger: redacted, in this logger's own format, and with its line break. */
  readonly writeLine: (line: string) => void
  /** Writes out what is buffered; at the end of the process. */
  flush(): void
}

const SEVERITY: Readonly<Record<LogLevel, number>> = {
  trace: 10,
  debug: 20,
  info: 30,
  warn: 40,
  error: 50,
  fatal: 60,
  silent: 100,
}
/** Lines wait at most this long, and at most this many bytes; beyond the last bound lines are dropped. */
const FLUSH_EVERY_MS = 50
const BATCH_BYTES = 8192
const BUFFER_BYTES = 16 * 1024 * 1024

/** JSON never holds a raw control character and the pretty format escapes it, so nobody can forge a line. */
export function createLogger(options: LogOptions): RootLogger {
  const output: Output =
    options.write === undefined
      ? standardOutput()
      : { write: options.write, flush() {}, hasten() {} }
  const pretty = options.format === 'pretty'
  const write = (line: string): void => {
    // The line's own end is the one control character that stays.
    const clean = escapeUnsafe(options.secrets.redact(line.slice(0, -1)))
    output.write(pretty ? prettyLine(clean) : `${clean}\n`)
  }
  const sink = pino(
    {
      level: 'trace',
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  )
  let current = options.level
  let severity = SEVERITY[current]

  function writer(level: 'debug' | 'info' | 'warn' | 'error'): Logger['info'] {
    const own = SEVERITY[level]
    return (fields, message) => {
      if (own < severity) return
      try {
        sink[level](redactFields(fields), message)
        if (own >= SEVERITY.error) output.hasten()
      } catch {
        // A value with a throwing getter or a closed output: the request that wanted to log goes on.
      }
    }
  }

  return {
    enabled: (level) => SEVERITY[level] >= severity,
    debug: writer('debug'),
    info: writer('info'),
    warn: writer('warn'),
    error: writer('error'),
    writeInfo(members) {
      try {
        write(`{"level":"info","time":"${isoTime(Date.now())}",${members}}\n`)
      } catch {
        // As above.
      }
    },
    writeLine: (line) => output.write(line),
    level: () => current,
    setLevel(level) {
      current = level
      severity = SEVERITY[level]
    },
    flush: () => output.flush(),
  }
}

type Output = {
  write(line: string): void
  /** Returns when everything is written. */
  flush(): void
  /** Writes soon, without waiting. */
  hasten(): void
}

function standardOutput(): Output {
  const stream = destination({
    dest: 1,
    sync: false,
    minLength: BATCH_BYTES,
    maxLength: BUFFER_BYTES,
    periodicFlush: FLUSH_EVERY_MS,
  })
  return {
    write: (line) => void stream.write(line),
    flush: () => stream.flushSync(),
    hasten: () => stream.flush(),
  }
}

let lastSecond = -1
let lastSecondText = ''

/** RFC 3339 with milliseconds. The part up to the second is made once per second. */
function isoTime(nowMs: number): string {
  const second = Math.floor(nowMs / 1000)
  if (second !== lastSecond) {
    lastSecond = second
    lastSecondText = new Date(second * 1000).toISOString().slice(0, 20)
  }
  return `${lastSecondText}${String(nowMs % 1000).padStart(3, '0')}Z`
}

import { isRecord } from '../../lib/is-record.ts'
import type { StoreErrorReason } from '../../errors/store-error.ts'
import type { EngineName, SqlResult, SqlValue } from './messages.ts'

/** The part of an embedded SQLite that the workers use. Synchronous: never on the main thread. */
export type Engine = {
  execute(sql: string): void
  query(sql: string, parameters: readonly SqlValue[]): SqlResult
  /** Compiled once and kept. Runs a statement that returns no rows; gives the number of rows it changed. */
  prepare(sql: string): (parameters: readonly SqlValue[]) => number
  inTransaction(): boolean
  close(): void
}

export type EngineSettings = { readonly path: string; readonly readOnly: boolean }

/** At most this long does a statement wait for another process. Ms. */
export const BUSY_TIMEOUT_MS = 250

/** Compiled statements kept per worker; queries with filters have many shapes. */
const STATEMENTS_KEPT = 200

/** Only the chosen engine is loaded: better-sqlite3 is not installed in production. */
export async function openEngine(name: EngineName, settings: EngineSettings): Promise<Engine> {
  if (name === 'node:sqlite') {
    const { openNodeEngine } = await import('./engine-node.ts')
    return openNodeEngine(settings)
  }
  const { openBetterEngine } = await import('./engine-better.ts')
  return openBetterEngine(settings)
}

/** Remembers what `compile` made; forgets the oldest. */
export function keepCompiled<T>(compile: (sql: string) => T): (sql: string) => T {
  const kept = new Map<string, T>()
  return (sql) => {
    const found = kept.get(sql)
    if (found !== undefined) return found
    const made = compile(sql)
    for (const oldest of kept.keys()) {
      if (kept.size < STATEMENTS_KEPT) break
      kept.delete(oldest)
    }
    kept.set(sql, made)
    return made
  }
}

/** Turns safe bigints into numbers and leaves the others exact. Changes the row in place. */
export function narrowIntegers(row: Record<string, SqlValue>): Record<string, SqlValue> {
  for (const name in row) {
    const value = row[name]
    if (typeof value !== 'bigint') continue
    const narrow = Number(value)
    if (Number.isSafeInteger(narrow)) row[name] = narrow
  }
  return row
}

/** Primary result codes. Source: sqlite.org/rescode.html. */
const REASONS: ReadonlyMap<number, StoreErrorReason> = new Map([
  [5, 'busy'],
  [6, 'busy'],
  [8, 'readonly'],
  [11, 'corrupt'],
  [13, 'full'],
  [14, 'unreadable'],
  [19, 'duplicate'],
  [26, 'corrupt'],
])

const CODE_NAMES: ReadonlyMap<string, number> = new Map([
  ['SQLITE_BUSY', 5],
  ['SQLITE_LOCKED', 6],
  ['SQLITE_READONLY', 8],
  ['SQLITE_CORRUPT', 11],
  ['SQLITE_FULL', 13],
  ['SQLITE_CANTOPEN', 14],
  ['SQLITE_CONSTRAINT', 19],
  ['SQLITE_NOTADB', 26],
])

/** node:sqlite carries the number in `errcode`, better-sqlite3 the (extended) name in `code`. */
export function reasonOf(thrown: unknown): StoreErrorReason {
  if (!(thrown instanceof Error) || !isRecord(thrown)) return 'failed'
  const { errcode, code } = thrown
  if (typeof errcode === 'number') return REASONS.get(errcode & 0xff) ?? 'failed'
  if (typeof code !== 'string') return 'failed'
  for (const [name, value] of CODE_NAMES) {
    if (code.startsWith(name)) return REASONS.get(value) ?? 'failed'
  }
  return 'failed'
}

import { setTimeout as sleep } from 'node:timers/promises'
import { DatabaseError } from 'pg'
import { StoreError, type StoreErrorReason } from '../../errors/store-error.ts'

/** SQLSTATE codes and classes. Source: postgresql.org/docs/current/errcodes-appendix.html. */
const REASONS: ReadonlyMap<string, StoreErrorReason> = new Map([
  ['23505', 'duplicate'],
  ['25006', 'readonly'],
  ['28', 'unreadable'],
  ['3D', 'unreadable'],
  ['42501', 'unreadable'],
  ['40001', 'busy'],
  ['40P01', 'busy'],
  ['55P03', 'busy'],
  ['53100', 'full'],
  ['53', 'away'],
  ['57', 'away'],
  ['08', 'away'],
])

/** What the database answered, or that it did not. */
export function toStoreError(thrown: unknown): StoreError {
  if (thrown instanceof StoreError) return thrown
  const what = thrown instanceof Error ? thrown.message : String(thrown)
  return new StoreError(reasonOf(thrown), what === '' ? 'no connection' : what, { cause: thrown })
}

function reasonOf(thrown: unknown): StoreErrorReason {
  // Everything else comes from the socket: refused, reset, timed out.
  if (!(thrown instanceof DatabaseError)) return 'away'
  const code = thrown.code ?? ''
  return REASONS.get(code) ?? REASONS.get(code.slice(0, 2)) ?? 'failed'
}

/** Between tries: a killed backend is replaced at once; a failover takes longer than anybody should wait. */
const PAUSES_MS = [10, 100, 300]

/**
 * Runs `work` again after a serialization failure, a deadlock or a lost connection. `again`: a former try may have been
 * committed without our knowing.
 *
 * @throws StoreError
 */
export async function withRetries<T>(work: (again: boolean) => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work(attempt > 0)
    } catch (thrown) {
      const error = toStoreError(thrown)
      const pauseMs = PAUSES_MS[attempt]
      if (pauseMs === undefined || (error.reason !== 'away' && error.reason !== 'busy')) throw error
      await sleep(pauseMs)
    }
  }
}

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
  if (!(thrown instanceof DatabaseError)) return isOfConnection(thrown) ? 'away' : 'failed'
  const code = thrown.code ?? ''
  return REASONS.get(code) ?? REASONS.get(code.slice(0, 2)) ?? 'failed'
}

/** What the driver says of a connection in words, without a code. */
const OF_CONNECTION =
  /^(Connection terminated|Query read timeout|timeout e|Client has encountered|Client was closed|driver has already been destroyed)/

/** Of the socket, of the search for the host, of TLS, or of the driver. */
function isOfConnection(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false
  const code = 'code' in thrown ? thrown.code : null
  if (typeof code === 'string' && /^[A-Z][A-Z0-9_]+$/.test(code)) return true
  return thrown instanceof AggregateError || OF_CONNECTION.test(thrown.message)
}

/** Whoever asks has waited long enough. */
const TIMEOUT = /timeout/i

/** Between tries: a killed backend is replaced at once; a failover takes longer than anybody should wait. */
const PAUSES_MS = [10, 100, 300]

/**
 * Runs `work` again after a serialization failure, a deadlock or a lost connection. `again`: a former try may have been
 * committed without our knowing.
 *
 * @throws StoreError, or what is no fault of the database as it is
 */
export async function withRetries<T>(work: (again: boolean) => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work(attempt > 0)
    } catch (thrown) {
      if (!(thrown instanceof DatabaseError) && !isOfConnection(thrown)) throw thrown
      const error = toStoreError(thrown)
      const pauseMs = PAUSES_MS[attempt]
      const mayPass = error.reason === 'away' || error.reason === 'busy'
      if (pauseMs === undefined || !mayPass || TIMEOUT.test(error.message)) throw error
      await sleep(pauseMs)
    }
  }
}

import { type Kysely, sql } from 'kysely'
import { StoreError } from '../../errors/store-error.ts'
import { withRetries } from './store-errors.ts'
import type { Tables } from './tables.ts'

/** `toll`, `edit`: the key of the lock under which one gateway at a time changes keys and policies. */
const LOCK = [0x746f6c6c, 0x65646974] as const
const LOCK_TIMEOUT_MS = 5000

type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly thrown: unknown }

/**
 * Runs a change while no other gateway does. The lock goes with its transaction, and so with this process; the change has
 * connections of its own, and holds whatever becomes of the lock afterwards.
 */
export async function exclusively<T>(
  database: Kysely<Tables>,
  change: () => Promise<T>,
): Promise<T> {
  const held: { outcome: Outcome<T> | null } = { outcome: null }
  try {
    await withRetries(async () => {
      if (held.outcome !== null) return
      await database.transaction().execute(async (transaction) => {
        const timeout = String(LOCK_TIMEOUT_MS)
        await sql`SELECT set_config('lock_timeout', ${timeout}, true)`.execute(transaction)
        await sql`SELECT pg_advisory_xact_lock(${LOCK[0]}, ${LOCK[1]})`.execute(transaction)
        held.outcome = await outcomeOf(change)
      })
    })
  } catch (thrown) {
    if (held.outcome === null) throw thrown
  }
  const { outcome } = held
  if (outcome === null) throw new StoreError('failed', 'The change did not run.')
  if (outcome.ok) return outcome.value
  throw outcome.thrown
}

async function outcomeOf<T>(change: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { ok: true, value: await change() }
  } catch (thrown) {
    return { ok: false, thrown }
  }
}

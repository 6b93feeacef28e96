import { type Kysely, sql, type Transaction } from 'kysely'
import { isRecord } from '../../lib/is-record.ts'
import { ChargeSums } from '../charge-sums.ts'
import { withRetries } from './store-errors.ts'
import type { Tables } from './tables.ts'
import { toText } from './to-text.ts'

/** Deleted per transaction. */
const PRUNE_ROWS = 1000

/** Deletes what started before, the oldest first. What it had charged is kept as sums. */
export async function pruneRecords(database: Kysely<Tables>, beforeMs: number): Promise<number> {
  for (let pruned = 0; ; ) {
    const count = await withRetries(() =>
      database.transaction().execute((transaction) => pruneSome(transaction, beforeMs)),
    )
    pruned += count
    if (count < PRUNE_ROWS) return pruned
  }
}

async function pruneSome(transaction: Transaction<Tables>, beforeMs: number): Promise<number> {
  const rows = await transaction
    .deleteFrom('tollgate.records')
    .where('id', 'in', (from) =>
      from
        .selectFrom('tollgate.records')
        .select('id')
        .where('started_at_ms', '<', beforeMs)
        .orderBy('started_at_ms')
        .orderBy('id')
        .limit(PRUNE_ROWS),
    )
    .returning('id')
    .execute()
  if (rows.length === 0) return 0
  const ids = rows.map(({ id }) => id)
  const bodies = await transaction
    .deleteFrom('tollgate.record_bodies')
    .where('id', 'in', ids)
    .returning('body')
    .execute()
  await keepCharges(transaction, bodies)
  return rows.length
}

async function keepCharges(
  transaction: Transaction<Tables>,
  bodies: readonly { readonly body: string }[],
): Promise<void> {
  const sums = new ChargeSums()
  for (const { body } of bodies) {
    const record: unknown = JSON.parse(body)
    if (isRecord(record)) sums.addRecord(record)
  }
  const rows = sums
    .all()
    .map(({ counter, era, at, amount }) => ({ counter_key: toText(counter), era, at, amount }))
  if (rows.length === 0) return
  await transaction
    .insertInto('tollgate.pruned_charges')
    .values(rows)
    .onConflict((conflict) =>
      conflict
        .columns(['counter_key', 'era', 'at'])
        .doUpdateSet({ amount: sql`pruned_charges.amount + excluded.amount` }),
    )
    .execute()
}

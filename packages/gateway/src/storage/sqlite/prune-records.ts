import { ChargeSums } from '../charge-sums.ts'
import { parseObject } from './json-columns.ts'
import type { Engine } from './engine.ts'
import { moveChainStart } from './record-chain.ts'

/** Deleted per transaction: the ledger's batches wait for one of them, some 20 ms. */
const PRUNE_ROWS = 1000

/**
 * Deletes up to a thousand of the oldest commits, all before `beforeBodyId`, in one transaction; returns how many. The
 * chain then starts after them, and what they had charged is kept as sums, so that counters can still be counted again.
 */
export function pruneRecords(
  engine: Engine,
  beforeBodyId: number,
  chainKey: string | null,
): number {
  engine.execute('BEGIN IMMEDIATE')
  try {
    const { rows } = engine.query(
      'SELECT body_id, body, link FROM record_bodies WHERE body_id < ? ORDER BY body_id LIMIT ?',
      [beforeBodyId, PRUNE_ROWS],
    )
    const last = rows.at(-1)
    const bodyId = last?.['body_id']
    if (typeof bodyId !== 'number') {
      dropSettledSums(engine)
      engine.execute('COMMIT')
      return 0
    }
    const sums = new ChargeSums()
    for (const { body } of rows) {
      const record = parseObject(String(body))
      sums.addRecord(record)
      engine.query('DELETE FROM records WHERE started_at_ms = ? AND id = ?', [
        Number(record['startedAtMs']),
        String(record['id']),
      ])
    }
    for (const { counter, era, at, amount } of sums.all()) {
      engine.query(
        'INSERT INTO pruned_charges (counter_key, era, at, amount) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET amount = amount + excluded.amount',
        [counter, era, at, amount],
      )
    }
    engine.query('DELETE FROM record_bodies WHERE body_id <= ?', [bodyId])
    const link = last?.['link']
    if (link instanceof Uint8Array && chainKey !== null) {
      moveChainStart(engine, chainKey, { bodyId, link })
    }
    engine.execute('COMMIT')
    return rows.length
  } catch (thrown) {
    if (engine.inTransaction()) engine.execute('ROLLBACK')
    throw thrown
  }
}

/** Of eras and windows that no counter is in any more. */
function dropSettledSums(engine: Engine): void {
  engine.execute(`
    DELETE FROM pruned_charges WHERE NOT EXISTS (
      SELECT 1 FROM counters
      WHERE counters.counter_key = pruned_charges.counter_key
        AND json_extract(state, '$.era') = pruned_charges.era
        AND pruned_charges.at >= coalesce(
          json_extract(state, '$.meter.start_ms'), json_extract(state, '$.meter.slots[0].at'), 0
        )
    )
  `)
}

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Kysely, Transaction } from 'kysely'
import type { LedgerProof, LedgerReading } from '../../contracts/ledger-proof.ts'
import type { RecordStore } from '../../contracts/store.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { isRecord } from '../../lib/is-record.ts'
import { ChargeSums } from '../charge-sums.ts'
import type { PostgresAccess } from './access.ts'
import { withRetries } from './store-errors.ts'
import type { Tables } from './tables.ts'
import { type GroupFilter, usageGroups } from './usage-groups.ts'

const PAGE_ROWS = 300

/**
 * Counters of this gateway beside the records of all: a counter's era is its own, so that others' charges do not mix in.
 * There is no chain: several gateways write at once.
 */
export function ledgerProof(
  { database, settled }: PostgresAccess,
  { instance, records }: { readonly instance: string; readonly records: RecordStore },
): LedgerProof {
  const proof = {
    async read({ chain }: { readonly chain: boolean }): Promise<LedgerReading> {
      if (chain) {
        throw new GatewayError('invalid_request', 'Records in Postgres have no chain.', {
          details: { param: 'chain' },
        })
      }
      await settled()
      return await withRetries(() => readAt(database, instance))
    },
    async groups(filter: GroupFilter): ReturnType<typeof usageGroups> {
      const { sinceMs, untilMs } = filter
      return await usageGroups(records.iterate({ sinceMs, untilMs }), filter)
    },
  }
  return proof
}

/** All of one moment, whatever is written meanwhile. */
async function readAt(database: Kysely<Tables>, instance: string): Promise<LedgerReading> {
  return await database
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute(async (moment) => {
      const counters = await moment
        .selectFrom('tollgate.counters')
        .select(['counter_key as counterKey', 'state'])
        .where('instance', '=', instance)
        .execute()
      const sums = new ChargeSums()
      for (const { counter_key: counter, era, at, amount } of await moment
        .selectFrom('tollgate.pruned_charges')
        .selectAll()
        .execute()) {
        sums.add({ counter, era, at, amount })
      }
      const records = await addRecords(moment, sums)
      return { records, counters, charged: sums.all(), chain: null }
    })
}

async function addRecords(moment: Transaction<Tables>, sums: ChargeSums): Promise<number> {
  let records = 0
  for (let after = ''; ; ) {
    const rows = await moment
      .selectFrom('tollgate.record_bodies')
      .selectAll()
      .where('id', '>', after)
      .orderBy('id')
      .limit(PAGE_ROWS)
      .execute()
    for (const { body } of rows) {
      const record: unknown = JSON.parse(body)
      if (isRecord(record)) sums.addRecord(record)
    }
    records += rows.length
    const last = rows.at(-1)
    if (last === undefined || rows.length < PAGE_ROWS) return records
    after = last.id
    await nextTurn()
  }
}

import type { CounterStore } from '../../contracts/store.ts'
import type { CounterState } from '../../contracts/limit.ts'
import type { PostgresAccess } from './access.ts'
import type { SpoolLedger } from './ledger-writer.ts'
import { withRetries } from './store-errors.ts'

const PAGE_ROWS = 2000

/** Counters of this gateway. Writes go through the spool, so that they keep their order with those of the records. */
export function counterStore(
  { database, settled }: PostgresAccess,
  { instance, ledger }: { readonly instance: string; readonly ledger: SpoolLedger },
): CounterStore {
  return {
    async list() {
      await settled()
      const states: CounterState[] = []
      for (let after = ''; ; ) {
        const page = database
          .selectFrom('tollgate.counters')
          .select(['counter_key as counterKey', 'state'])
          .where('instance', '=', instance)
          .where('counter_key', '>', after)
          .orderBy('counter_key')
          .limit(PAGE_ROWS)
        const rows = await withRetries(() => page.execute())
        states.push(...rows)
        const last = rows.at(-1)
        if (last === undefined || rows.length < PAGE_ROWS) return states
        after = last.counterKey
      }
    },
    put: (states) => ledger.putCounters(states),
  }
}

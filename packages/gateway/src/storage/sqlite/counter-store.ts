import type { CounterStore } from '../../contracts/store.ts'
import type { CounterState } from '../../contracts/limit.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import { toStatement } from './worker-dialect.ts'

const PAGE_ROWS = 2000

export function counterStore({
  read,
  write,
  writeAtomically,
  settled,
}: SqliteAccess): CounterStore {
  return {
    async list() {
      await settled()
      const states: CounterState[] = []
      let after = ''
      for (;;) {
        const rows = await read
          .selectFrom('counters')
          .select(['counter_key as counterKey', 'state'])
          .where('counter_key', '>', after)
          .orderBy('counter_key')
          .limit(PAGE_ROWS)
          .execute()
        states.push(...rows)
        const last = rows.at(-1)
        if (last === undefined || rows.length < PAGE_ROWS) return states
        after = last.counterKey
      }
    },
    async put(states) {
      if (states.length === 0) return
      // The ledger's batches carry counters too: the later call must win.
      await settled()
      await writeAtomically(
        states.map(({ counterKey, state }) =>
          toStatement(
            write
              .insertInto('counters')
              .values({ counter_key: counterKey, state })
              .onConflict((conflict) => conflict.column('counter_key').doUpdateSet({ state }))
              .compile(),
          ),
        ),
      )
    },
  }
}

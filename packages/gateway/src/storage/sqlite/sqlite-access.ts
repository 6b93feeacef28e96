import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Kysely } from 'kysely'
import type { Statement } from './messages.ts'
import type { Tables } from './tables.ts'

/** What the parts of the store share. */
export type SqliteAccess = {
  /** Sees everything accepted by the ledger so far once `settled` has resolved. */
  readonly read: Kysely<Tables>
  readonly write: Kysely<Tables>
  /** All or none; returns the rows changed. */
  readonly writeAtomically: (statements: readonly Statement[]) => Promise<number>
  /** Deletes some of the commits before this one; returns how many, 0 when none are left. */
  readonly prune: (beforeBodyId: number) => Promise<number>
  /** Waits for the ledger's tail. */
  readonly settled: () => Promise<void>
}

/** Rows that are turned into objects before other work gets its turn: about 1 ms of the main thread. */
const ROWS_PER_TURN = 200

export async function mapInTurns<From, To>(
  rows: readonly From[],
  map: (row: From) => To,
): Promise<readonly To[]> {
  const mapped: To[] = []
  for (const row of rows) {
    if (mapped.length > 0 && mapped.length % ROWS_PER_TURN === 0) await nextTurn()
    mapped.push(map(row))
  }
  return mapped
}

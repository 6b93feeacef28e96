import { createHmac, randomUUID } from 'node:crypto'
import path from 'node:path'
import type { GatewayConfig } from './config/gateway-config.ts'
import type { LedgerWriter, Store } from './contracts/store.ts'
import { parseDurationMs, parseSizeBytes } from './lib/duration.ts'
import { openSqliteStore } from './storage/sqlite/open-sqlite-store.ts'

export type StoreOptions = {
  /** False: a database that does not answer at once is an error. */
  readonly wait: boolean
  /** The current one first. */
  readonly hashKeys: readonly string[]
  /** What the operator must know, in words. */
  readonly onProblem: (problem: string) => void
}

/** The store that `storage.url` names. Throws `StoreError`. */
export async function openStore(
  config: GatewayConfig,
  { wait, onProblem, hashKeys }: StoreOptions,
): Promise<{ readonly store: Store; readonly ledger: LedgerWriter }> {
  const { storage, ledger, dir } = config
  const durability = ledger.durability === 'full' ? 'full' : 'process'
  if (typeof storage.url === 'string') {
    const url = storage.url.slice('sqlite:'.length)
    return await openSqliteStore({
      path: url,
      durability,
      chainKeys: chainKeys(hashKeys),
      // A command ends with the error; a server goes on where it can.
      ...(wait ? { onDamage: onProblem } : {}),
    })
  }
  // Loaded only where it is used: it costs the start some 50 ms.
  const { openPostgresStore } = await import('./storage/postgres/open-postgres-store.ts')
  return await openPostgresStore({
    url: storage.url.reveal() ?? '',
    spoolDirectory: path.join(dir, 'spool'),
    spoolMaxBytes: parseSizeBytes(storage.spool_max),
    durability,
    connections: storage.connections,
    waitMs: wait && storage.wait !== '0s' ? longestMs(storage.wait) : 0,
    onProblem,
  })
}

const LEDGER_NOTES = 'ledger'

/** By which the ledger is told from those of other stores. Gateways that share a store share it. */
export async function ledgerName(store: Store): Promise<string> {
  const find = async (): Promise<string> => {
    const known = await store.notes.get(LEDGER_NOTES, 'name')
    if (known !== null) return known.body
    const body = JSON.stringify(randomUUID())
    await store.notes.put(LEDGER_NOTES, [{ name: 'name', body, updatedAtMs: Date.now() }])
    return body
  }
  return store.exclusively === undefined ? await find() : await store.exclusively(find)
}

const GATE_NOTES = 'gate'
const MOST_STARTS = 20

/** Starts of this gateway, the last one first: of others that share the store nobody knows whether they live. */
export type GateStarts = {
  readonly formers: readonly string[]
  /** Only the present one is remembered. */
  readonly forget: () => void
}

/** Remembers `process`, before it takes anything that the next start has to know of. */
export async function gateStarts(store: Store, process: string): Promise<GateStarts> {
  const name = store.instance === undefined ? 'starts' : `starts/${store.instance}`
  const put = (names: readonly string[]): Promise<void> =>
    store.notes.put(GATE_NOTES, [{ name, body: JSON.stringify(names), updatedAtMs: Date.now() }])
  const known: unknown = JSON.parse((await store.notes.get(GATE_NOTES, name))?.body ?? '[]')
  const names = Array.isArray(known) ? known.filter((one) => typeof one === 'string') : []
  const formers = names.slice(0, MOST_STARTS)
  await put([process, ...formers])
  // Should that fail, the next start tells of some that are gone already.
  return { formers, forget: () => void put([process]).catch(() => {}) }
}

/** The chain over the records has keys of its own, so that neither use of the secret tells of the other. */
function chainKeys(hashKeys: readonly string[]): readonly string[] {
  return hashKeys.map((key) =>
    createHmac('sha256', key).update('tollgate chain over records').digest('hex'),
  )
}

function longestMs(wait: string | null): number | null {
  return wait === null ? null : parseDurationMs(wait)
}

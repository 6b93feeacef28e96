import { resolve } from 'node:path'
import type { LedgerWriter, Store } from '../../contracts/store.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { StoreError } from '../../errors/store-error.ts'
import { answerStore } from './answer-store.ts'
import { counterStore } from './counter-store.ts'
import { keyStore } from './key-store.ts'
import { ledgerProof } from './ledger-proof.ts'
import { createLedgerWriter } from './ledger-writer.ts'
import type { Durability, EngineName } from './messages.ts'
import { noteStore } from './note-store.ts'
import { policyStore } from './policy-store.ts'
import { recordStore } from './record-store.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import { prepareStoreFile } from './store-directory.ts'
import { databaseWorker, type WorkerClient } from './worker-client.ts'
import { queryThrough } from './worker-dialect.ts'

export type SqliteStoreOptions = {
  /** The database file. Its directory is created when missing. */
  readonly path: string
  /** Default `process`. */
  readonly durability?: Durability
  readonly engine?: EngineName
  /** Of the chain over the records; the first is the current one. Absent: records are not linked. */
  readonly chainKeys?: readonly string[]
  /** Told of damage; then the store can still be read, and its ledger takes nothing. Absent: damage is thrown. */
  readonly onDamage?: (problem: string) => void
}

/**
 * Opens, checks and migrates the store. No statement runs on the calling thread. `store.close` also closes the ledger.
 *
 * @throws StoreError when the file is damaged, foreign, newer than this program or cannot be opened
 */
export async function openSqliteStore(
  options: SqliteStoreOptions,
): Promise<{ readonly store: Store; readonly ledger: LedgerWriter }> {
  const path = resolve(options.path)
  await prepareStoreFile(path).catch((cause: unknown) => {
    throw new StoreError('unreadable', `The store ${path} cannot be created.`, { cause })
  })
  const settings = {
    path,
    engine: options.engine ?? 'node:sqlite',
    durability: options.durability ?? 'process',
    chainKeys: options.chainKeys ?? [],
  }
  const writer = databaseWorker({ ...settings, role: 'writer' })
  const problem = await openOrRefuse(writer, options)
  // Starts when something is read: a thread costs some 100 ms, which a command that only writes need not pay.
  const reader = databaseWorker({ ...settings, role: 'reader' })
  const ledger = problem === null ? createLedgerWriter(writer) : refusingLedger(problem)
  return { store: assemble(writer, reader, ledger), ledger }
}

/** What is wrong with the file; null: nothing. */
async function openOrRefuse(
  writer: WorkerClient,
  { onDamage }: SqliteStoreOptions,
): Promise<StoreError | null> {
  try {
    await writer.open()
    return null
  } catch (thrown) {
    const isDamage = thrown instanceof StoreError && thrown.reason === 'corrupt'
    if (onDamage === undefined || !isDamage) throw thrown
    onDamage(`${thrown.message} Until then it is only read, and nothing is spent.`)
    return thrown
  }
}

/** A damaged file must not be written to: what is still whole may be rescued. */
function refusingLedger(cause: StoreError): LedgerWriter {
  return {
    append: () =>
      Promise.reject(
        new GatewayError('ledger_unavailable', 'The ledger is damaged; spending is stopped.', {
          cause,
        }),
      ),
    countersFrom: () => {},
    pending: () => [],
    healthy: () => false,
    flush: async () => {},
    close: async () => {},
  }
}

function assemble(writer: WorkerClient, reader: WorkerClient, ledger: LedgerWriter): Store {
  const access: SqliteAccess = {
    read: queryThrough(reader),
    write: queryThrough(writer),
    writeAtomically: async (statements) =>
      (await writer.call({ kind: 'atomic', statements })).changes,
    prune: async (beforeBodyId) => (await writer.call({ kind: 'prune', beforeBodyId })).changes,
    settled: () => ledger.flush(),
  }
  return {
    keys: keyStore(access),
    policies: policyStore(access),
    records: recordStore(access),
    proof: ledgerProof(reader, access.settled),
    counters: counterStore(access),
    answers: answerStore(access),
    notes: noteStore(access),
    async check() {
      await reader.call({
        kind: 'query',
        statement: { sql: 'SELECT count(*) FROM schema_migrations', parameters: [] },
      })
    },
    async close() {
      await ledger.close()
      // The reader first: the last connection to close folds the log into the database, which takes a writer.
      await reader.close()
      await writer.close()
    },
  }
}

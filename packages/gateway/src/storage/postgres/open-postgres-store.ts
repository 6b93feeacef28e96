import { randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import type { LedgerWriter, Store } from '../../contracts/store.ts'
import { StoreError } from '../../errors/store-error.ts'
import { isRecord } from '../../lib/is-record.ts'
import type { PostgresAccess } from './access.ts'
import { answerStore } from './answer-store.ts'
import { changeFeed } from './change-feed.ts'
import { type Connections, openConnections } from './connections.ts'
import { counterStore } from './counter-store.ts'
import { exclusively } from './exclusively.ts'
import { keyStore } from './key-store.ts'
import { ledgerProof } from './ledger-proof.ts'
import { SpoolLedger } from './ledger-writer.ts'
import { migrate } from './migrations.ts'
import { noteStore } from './note-store.ts'
import { policyStore } from './policy-store.ts'
import { recordStore } from './record-store.ts'
import { Spool } from './spool.ts'
import { drainSpool } from './spool-drain.ts'
import { toStoreError } from './store-errors.ts'
import { createTail } from './tail.ts'

export type PostgresStoreOptions = {
  /** With the password, if there is one. */
  readonly url: string
  /** A directory of this gateway alone: records wait there for the database. */
  readonly spoolDirectory: string
  readonly spoolMaxBytes: number
  /** `full`: a record is on disk before its answer ends. */
  readonly durability: 'process' | 'full'
  readonly connections: number
  /** How long to wait for a database that does not answer at first. Ms; null: for ever. */
  readonly waitMs: number | null
  /** How long a statement may take. Ms; default 10 s. */
  readonly answerMs?: number
  /** What the operator must know, in words. */
  readonly onProblem: (problem: string) => void
}

const ASK_AGAIN_MS = 500
const ANSWER_MS = 10_000
const SPOOL_FILE_BYTES = 4 * 1024 * 1024

/**
 * Connects and migrates. What an earlier process left in the spool is written first. `store.close` also closes the
 * ledger.
 *
 * @throws StoreError `away` when the database did not answer in time
 */
export async function openPostgresStore(
  options: PostgresStoreOptions,
): Promise<{ readonly store: Store; readonly ledger: LedgerWriter }> {
  const connections = openConnections({
    url: options.url,
    most: options.connections,
    answerMs: options.answerMs ?? ANSWER_MS,
  })
  try {
    await waitForDatabase(connections, options)
    const spool = await Spool.open({
      directory: options.spoolDirectory,
      durable: options.durability === 'full',
      rotateBytes: Math.min(SPOOL_FILE_BYTES, Math.ceil(options.spoolMaxBytes / 4)),
      onProblem: options.onProblem,
    }).catch((cause: unknown) => {
      throw new StoreError('unreadable', `The spool ${options.spoolDirectory} cannot be opened.`, {
        cause,
      })
    })
    const instance = await instanceOf(options.spoolDirectory)
    const tail = createTail(spool.records)
    const drain = drainSpool({
      spool,
      connect: connections.connect,
      instance,
      onWritten: (frames) => {
        tail.written(frames.reduce((sum, { lines }) => sum + lines.length, 0))
      },
    })
    drain.wake()
    const ledger = new SpoolLedger({ spool, drain, tail, maxBytes: options.spoolMaxBytes })
    return { store: assemble(connections, ledger, instance), ledger }
  } catch (thrown) {
    await connections.close()
    throw thrown
  }
}

function assemble(connections: Connections, ledger: SpoolLedger, instance: string): Store {
  const { database } = connections
  let ownChanges = 0
  const access: PostgresAccess = {
    database,
    settled: () => ledger.settled(),
    changed: () => void ownChanges++,
  }
  const records = recordStore(access)
  return {
    keys: keyStore(access),
    policies: policyStore(access),
    records,
    counters: counterStore(access, { instance, ledger }),
    answers: answerStore(access),
    notes: noteStore(access),
    instance,
    proof: ledgerProof(access, { instance, records }),
    changes: changeFeed(connections, { count: () => ownChanges }),
    exclusively: (change) => exclusively(database, change),
    async check() {
      try {
        await sql`SELECT 1`.execute(database)
      } catch (thrown) {
        throw toStoreError(thrown)
      }
    },
    async close() {
      await ledger.close()
      await connections.close()
    },
  }
}

async function waitForDatabase(
  { database }: Connections,
  { url, waitMs, onProblem }: PostgresStoreOptions,
): Promise<void> {
  const place = placeOf(url)
  const deadline = waitMs === null ? Infinity : Date.now() + waitMs
  for (let told = false; ; ) {
    try {
      return await migrate(database, Date.now())
    } catch (thrown) {
      const error = toStoreError(thrown)
      const mayCome = error.reason === 'away' || error.reason === 'busy'
      if (!mayCome || Date.now() >= deadline) throw explain(error, place)
      if (!told) onProblem(`${explain(error, place).message} Waiting for it.`)
      told = true
      await sleep(Math.min(ASK_AGAIN_MS, Math.max(0, deadline - Date.now())))
    }
  }
}

function explain(error: StoreError, place: string): StoreError {
  if (error.reason === 'foreign' || error.reason === 'newer') return error
  const what = error.reason === 'away' ? 'does not answer' : 'cannot be used'
  return new StoreError(error.reason, `The database ${place} ${what}: ${causeOf(error)}.`, {
    cause: error,
  })
}

/** Node tries several addresses and says nothing in words when all of them refuse. */
function causeOf({ message, cause }: StoreError): string {
  const code = isRecord(cause) ? cause['code'] : null
  return message === 'no connection' && typeof code === 'string' ? code : message
}

/** Host and database, without user and password. */
function placeOf(url: string): string {
  const { host, pathname } = new URL(url)
  return `${host === '' ? 'on this machine' : `at ${host}`}${pathname}`
}

/** Names the counters of this gateway in the database. Goes with the data directory, as the spool does. */
async function instanceOf(directory: string): Promise<string> {
  const file = join(directory, 'instance')
  try {
    await writeFile(file, `${randomUUID()}\n`, { flag: 'wx', mode: 0o600 })
  } catch (thrown) {
    if (!isRecord(thrown) || thrown['code'] !== 'EEXIST') throw thrown
  }
  return (await readFile(file, 'utf8')).trim()
}

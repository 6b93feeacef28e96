import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { StoreError } from '../../errors/store-error.ts'
import { compileAppend } from './append-batch.ts'
import { type Engine, reasonOf } from './engine.ts'
import {
  NO_ROWS,
  type SqlResult,
  type Statement,
  type WorkerCall,
  type WorkerReply,
  type WorkerRequest,
  type WorkerSettings,
} from './messages.ts'
import { openDatabase } from './open-database.ts'
import { pruneRecords } from './prune-records.ts'
import { chainHead, checkpointFile } from './record-chain.ts'
import { startVerify, verifyPage, type VerifySettings } from './verify-ledger.ts'

/** More than a page of a table, so that success means that the file could grow. */
const PROBE_BYTES = 16 * 1024

/** Entry of the writer's and of the reader's thread. Speaks messages.ts with worker-client.ts. */
if (parentPort !== null) await run(parentPort, workerData)

async function run(port: MessagePort, settings: WorkerSettings): Promise<void> {
  try {
    const engine = await openDatabase(settings)
    const answer = answerer(engine, settings)
    port.on('message', ({ id, call }: WorkerRequest) => {
      port.postMessage(attempt(id, () => answer(call)))
      if (call.kind === 'close') port.close()
    })
    port.postMessage(attempt(0, () => NO_ROWS))
  } catch (thrown) {
    port.postMessage(failure(0, thrown))
    port.close()
  }
}

function answerer(engine: Engine, settings: WorkerSettings): (call: WorkerCall) => SqlResult {
  const { chainKeys, role } = settings
  const chainKey = chainKeys[0] ?? null
  const checkpoints = `${settings.path}-checkpoints`
  const verify: VerifySettings = { chainKeys, checkpoints }
  const append = role === 'writer' ? compileAppend(engine, chainKey) : null
  const noted =
    role === 'writer' && chainKey !== null ? checkpointFile(checkpoints, chainKey) : null
  return (call) => {
    switch (call.kind) {
      case 'query':
        return engine.query(call.statement.sql, call.statement.parameters)
      case 'atomic':
        return runAtomically(engine, call.statements)
      case 'append': {
        const head = append?.(call.batch)
        if (head !== undefined) noted?.note(head, 'when due')
        break
      }
      case 'prune':
        return { rows: [], changes: pruneRecords(engine, call.beforeBodyId, chainKey) }
      case 'verify-start':
        return startVerify(engine, verify)
      case 'verify-page':
        return verifyPage(engine, call.page, verify)
      case 'probe':
        return engine.query(
          `INSERT INTO probe (id, filler) VALUES (1, randomblob(${PROBE_BYTES})) ON CONFLICT (id) DO UPDATE SET filler = excluded.filler`,
          [],
        )
      case 'close':
        noted?.note(chainHead(engine, null), 'at once')
        engine.close()
        break
    }
    return NO_ROWS
  }
}

function runAtomically(engine: Engine, statements: readonly Statement[]): SqlResult {
  let changes = 0
  engine.execute('BEGIN IMMEDIATE')
  try {
    for (const { sql, parameters } of statements) changes += engine.query(sql, parameters).changes
    engine.execute('COMMIT')
  } catch (thrown) {
    if (engine.inTransaction()) engine.execute('ROLLBACK')
    throw thrown
  }
  return { rows: [], changes }
}

function attempt(id: number, work: () => SqlResult): WorkerReply {
  try {
    return { id, ok: true, result: work() }
  } catch (thrown) {
    return failure(id, thrown)
  }
}

function failure(id: number, thrown: unknown): WorkerReply {
  const reason = thrown instanceof StoreError ? thrown.reason : reasonOf(thrown)
  return { id, ok: false, reason, message: thrown instanceof Error ? thrown.message : 'unknown' }
}

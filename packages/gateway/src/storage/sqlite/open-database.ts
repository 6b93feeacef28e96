import { statSync } from 'node:fs'
import { StoreError } from '../../errors/store-error.ts'
import { type Engine, openEngine, reasonOf } from './engine.ts'
import type { WorkerSettings } from './messages.ts'
import { migrate } from './migrations.ts'

/** Above this a full check would delay the start; then only the header, the schema and both ends of a table are read. */
const FULL_CHECK_BYTES = 256 * 1024 * 1024
/**
 * Pages between checkpoints. Commits wait for one, some 30 ms; with 1000 it was 10 ms, but four times as often and a sixth more
 * work of the writer, because pages that change with every commit were copied four times as often.
 */
const CHECKPOINT_PAGES = 4000
/** Of each worker. */
const CACHE_KIB = 16 * 1024
const LOG_KEPT_BYTES = 64 * 1024 * 1024

/** Runs in a worker. The writer creates and migrates; the reader expects that done. */
export async function openDatabase(settings: WorkerSettings): Promise<Engine> {
  const readOnly = settings.role === 'reader'
  let engine: Engine | null = null
  try {
    engine = await openEngine(settings.engine, { path: settings.path, readOnly })
    engine.execute(`PRAGMA trusted_schema = OFF; PRAGMA cache_size = -${CACHE_KIB}`)
    if (!readOnly) prepareForWriting(engine, settings)
    return engine
  } catch (thrown) {
    engine?.close()
    throw explain(thrown, settings.path)
  }
}

function prepareForWriting(engine: Engine, settings: WorkerSettings): void {
  checkPages(engine, settings.path)
  engine.query('PRAGMA journal_mode = WAL', [])
  engine.execute(`PRAGMA synchronous = ${settings.durability === 'full' ? 'FULL' : 'NORMAL'}`)
  engine.query(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`, [])
  engine.query(`PRAGMA journal_size_limit = ${LOG_KEPT_BYTES}`, [])
  migrate(engine, Date.now())
}

function checkPages(engine: Engine, path: string): void {
  const sizeBytes = statSync(path).size
  if (sizeBytes > FULL_CHECK_BYTES) {
    engine.query('SELECT count(*) FROM sqlite_schema', [])
    engine.query('SELECT min(started_at_ms) FROM records', [])
    engine.query('SELECT max(started_at_ms) FROM records', [])
    return
  }
  const rows = engine.query('PRAGMA quick_check(1)', []).rows
  const finding = rows[0] === undefined ? 'ok' : Object.values(rows[0])[0]
  if (finding !== 'ok') throw new StoreError('corrupt', String(finding).replaceAll(/\s+/g, ' '))
}

function explain(thrown: unknown, path: string): StoreError {
  const reason = thrown instanceof StoreError ? thrown.reason : reasonOf(thrown)
  const what = thrown instanceof Error ? thrown.message : String(thrown)
  if (reason === 'corrupt') {
    return new StoreError(
      reason,
      `The store ${path} is damaged (${what}). Restore a backup, or move the file away to start anew.`,
      { cause: thrown },
    )
  }
  return new StoreError(reason, `The store ${path} cannot be opened: ${what}`, { cause: thrown })
}

import { StoreError } from '../../errors/store-error.ts'
import type { Engine } from './engine.ts'

/** Forwards only. Never edit one that was released: add the next. */
const MIGRATIONS: readonly { readonly name: string; readonly sql: string }[] = [
  {
    name: 'keys, policies, records, counters',
    sql: `
      CREATE TABLE keys (
        id TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        last4 TEXT NOT NULL,
        hash TEXT NOT NULL UNIQUE,
        previous_hash TEXT,
        previous_hash_until_ms INTEGER,
        created_at_ms INTEGER NOT NULL,
        created_by TEXT NOT NULL,
        updated_at_ms INTEGER NOT NULL,
        last_used_at_ms INTEGER,
        expires_at_ms INTEGER,
        enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
        revoked_at_ms INTEGER,
        rotate_every_ms INTEGER,
        rotated_at_ms INTEGER,
        scopes TEXT NOT NULL,
        team TEXT,
        rolegroup TEXT,
        role TEXT,
        user TEXT,
        policy TEXT NOT NULL,
        policies TEXT NOT NULL,
        metadata TEXT NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE policies (
        name TEXT NOT NULL PRIMARY KEY,
        policy TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL,
        updated_at_ms INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
      -- Clustered by time: a page of the newest, a window's sum and a prune each read one run of neighbours.
      CREATE TABLE records (
        started_at_ms INTEGER NOT NULL,
        id TEXT NOT NULL,
        request_id TEXT NOT NULL,
        key_id TEXT,
        team TEXT,
        user TEXT,
        project TEXT,
        endpoint TEXT NOT NULL,
        model TEXT,
        provider TEXT,
        status INTEGER NOT NULL,
        error_class TEXT,
        input_tokens INTEGER,
        output_tokens INTEGER,
        cache_read_tokens INTEGER,
        cache_write_5m_tokens INTEGER,
        cache_write_1h_tokens INTEGER,
        reasoning_tokens INTEGER,
        cost_nanousd INTEGER,
        saved_nanousd INTEGER NOT NULL,
        latency_ms INTEGER NOT NULL,
        body_id INTEGER NOT NULL,
        PRIMARY KEY (started_at_ms, id)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX records_by_key ON records (key_id, started_at_ms, id);
      CREATE INDEX records_by_request ON records (request_id);
      -- The whole record as JSON; apart from the columns, so that sums do not read it. A table with rowids, because
      -- the others move a row of more than a quarter page to a page of its own.
      CREATE TABLE record_bodies (body_id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
      CREATE TABLE counters (counter_key TEXT NOT NULL PRIMARY KEY, state TEXT NOT NULL) STRICT, WITHOUT ROWID;
      -- Overwritten by the writer's health probe.
      CREATE TABLE probe (id INTEGER PRIMARY KEY CHECK (id = 1), filler BLOB NOT NULL) STRICT;
    `,
  },
  {
    name: 'chain over the records',
    sql: `
      -- Bodies are numbered in the order of their commits. Null: written before there was a chain.
      ALTER TABLE record_bodies ADD COLUMN link BLOB;
      CREATE TABLE chain_start (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        body_id INTEGER NOT NULL,
        link BLOB NOT NULL,
        mac BLOB NOT NULL
      ) STRICT;
      -- What records that retention took had charged to counters that still count it.
      CREATE TABLE pruned_charges (
        counter_key TEXT NOT NULL,
        era INTEGER NOT NULL,
        at INTEGER NOT NULL,
        amount INTEGER NOT NULL,
        PRIMARY KEY (counter_key, era, at)
      ) STRICT, WITHOUT ROWID;
    `,
  },
  {
    name: 'notes',
    sql: `
      CREATE TABLE notes (
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        body TEXT NOT NULL,
        updated_at_ms INTEGER NOT NULL,
        PRIMARY KEY (kind, name)
      ) STRICT, WITHOUT ROWID;
    `,
  },
  {
    name: 'answers under idempotency keys',
    sql: `
      -- With rowids, because bodies are large. The index says how much is kept without reading them.
      CREATE TABLE answers (
        id TEXT NOT NULL PRIMARY KEY,
        fingerprint TEXT NOT NULL,
        head TEXT NOT NULL,
        body BLOB,
        size_bytes INTEGER NOT NULL,
        expires_at_ms INTEGER NOT NULL,
        kept_at_ms INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX answers_by_age ON answers (kept_at_ms, id, size_bytes);
      CREATE INDEX answers_by_end ON answers (expires_at_ms);
    `,
  },
]

/** `toll`, in the file's header: tells our databases from others. */
const APPLICATION_ID = 0x746f6c6c

/**
 * Brings the schema up to date. Two processes may do it at once: the second finds it done.
 *
 * @throws StoreError `newer` or `foreign`
 */
export function migrate(engine: Engine, nowMs: number): void {
  if (schemaVersion(engine) === MIGRATIONS.length) return
  engine.execute('BEGIN IMMEDIATE')
  try {
    const from = schemaVersion(engine)
    for (const [index, migration] of MIGRATIONS.entries()) {
      if (index < from) continue
      engine.execute(migration.sql)
      engine.query('INSERT INTO schema_migrations (id, name, applied_at_ms) VALUES (?, ?, ?)', [
        index + 1,
        migration.name,
        nowMs,
      ])
    }
    engine.execute('COMMIT')
  } catch (thrown) {
    if (engine.inTransaction()) engine.execute('ROLLBACK')
    throw thrown
  }
}

/** Creates the table of migrations in an empty database. */
function schemaVersion(engine: Engine): number {
  // In this order: another process may create both in between, and tables without our mark are another program's.
  const tables = Number(only(engine, 'SELECT count(*) FROM sqlite_schema'))
  const applicationId = Number(only(engine, 'PRAGMA application_id'))
  if (applicationId !== APPLICATION_ID) {
    if (applicationId !== 0 || tables > 0) {
      throw new StoreError('foreign', 'The file is a database of another program.')
    }
    if (!engine.inTransaction()) return 0
    engine.execute(`PRAGMA application_id = ${APPLICATION_ID}`)
    engine.execute(
      'CREATE TABLE schema_migrations (id INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at_ms INTEGER NOT NULL) STRICT',
    )
  }
  const version = Number(only(engine, 'SELECT coalesce(max(id), 0) FROM schema_migrations'))
  if (version > MIGRATIONS.length) {
    throw new StoreError(
      'newer',
      `The store has schema ${version}; this version of Tollgate knows ${MIGRATIONS.length}. Use the newer Tollgate that wrote it, or restore a backup.`,
    )
  }
  return version
}

function only(engine: Engine, sql: string): unknown {
  const [row] = engine.query(sql, []).rows
  return row === undefined ? null : Object.values(row)[0]
}

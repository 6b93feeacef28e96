import { type Kysely, sql } from 'kysely'
import { StoreError } from '../../errors/store-error.ts'
import type { Tables } from './tables.ts'

/** Forwards only. Never edit one that was released: add the next. */
const MIGRATIONS: readonly { readonly name: string; readonly sql: string }[] = [
  {
    name: 'keys, policies, records, counters',
    sql: `
      -- Bytes decide the order of every text, whatever the language of the database.
      CREATE TABLE tollgate.keys (
        id text COLLATE "C" PRIMARY KEY,
        hash text COLLATE "C" NOT NULL UNIQUE,
        revoked_at_ms bigint,
        last_used_at_ms bigint,
        body text NOT NULL,
        revision bigint NOT NULL
      );
      CREATE INDEX keys_by_revision ON tollgate.keys (revision);
      CREATE TABLE tollgate.policies (name text COLLATE "C" PRIMARY KEY, body text NOT NULL);
      -- Grow by one with each change, so that other gateways find what changed.
      CREATE TABLE tollgate.revisions (name text PRIMARY KEY, revision bigint NOT NULL);
      INSERT INTO tollgate.revisions VALUES ('keys', 0), ('deleted_keys', 0), ('policies', 0);
      CREATE TABLE tollgate.records (
        id text COLLATE "C" PRIMARY KEY,
        started_at_ms bigint NOT NULL,
        request_id text COLLATE "C" NOT NULL,
        key_id text COLLATE "C",
        team text COLLATE "C",
        "user" text COLLATE "C",
        project text COLLATE "C",
        endpoint text COLLATE "C" NOT NULL,
        model text COLLATE "C",
        provider text COLLATE "C",
        status bigint NOT NULL,
        error_class text COLLATE "C",
        input_tokens bigint,
        output_tokens bigint,
        cache_read_tokens bigint,
        cache_write_5m_tokens bigint,
        cache_write_1h_tokens bigint,
        reasoning_tokens bigint,
        cost_nanousd bigint,
        saved_nanousd bigint NOT NULL,
        latency_ms bigint NOT NULL
      );
      CREATE INDEX records_by_time ON tollgate.records (started_at_ms, id);
      CREATE INDEX records_by_key ON tollgate.records (key_id, started_at_ms, id);
      CREATE INDEX records_by_request ON tollgate.records (request_id);
      -- The whole record as JSON; apart from the columns, so that sums do not read it.
      CREATE TABLE tollgate.record_bodies (id text COLLATE "C" PRIMARY KEY, body text NOT NULL);
      -- Each gateway counts for itself: its rows are its own.
      CREATE TABLE tollgate.counters (
        instance text COLLATE "C" NOT NULL,
        counter_key text COLLATE "C" NOT NULL,
        state text NOT NULL,
        PRIMARY KEY (instance, counter_key)
      );
      -- What pruned records had charged, so that counters can still be counted again.
      CREATE TABLE tollgate.pruned_charges (
        counter_key text COLLATE "C" NOT NULL,
        era bigint NOT NULL,
        at bigint NOT NULL,
        amount bigint NOT NULL,
        PRIMARY KEY (counter_key, era, at)
      );
      CREATE FUNCTION tollgate.stamp_key() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        -- The row stays locked until the commit, so that revisions become visible in their order.
        UPDATE tollgate.revisions SET revision = revision + 1 WHERE name = 'keys'
          RETURNING revision INTO NEW.revision;
        PERFORM pg_notify('tollgate_changes', 'keys');
        RETURN NEW;
      END $$;
      CREATE TRIGGER stamp_key BEFORE INSERT OR UPDATE OF hash, revoked_at_ms, body ON tollgate.keys
        FOR EACH ROW EXECUTE FUNCTION tollgate.stamp_key();
      CREATE FUNCTION tollgate.note_change() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        UPDATE tollgate.revisions SET revision = revision + 1 WHERE name = TG_ARGV[0];
        PERFORM pg_notify('tollgate_changes', TG_ARGV[0]);
        RETURN NULL;
      END $$;
      CREATE TRIGGER note_deleted_keys AFTER DELETE ON tollgate.keys
        FOR EACH STATEMENT EXECUTE FUNCTION tollgate.note_change('deleted_keys');
      CREATE TRIGGER note_policies AFTER INSERT OR UPDATE OR DELETE ON tollgate.policies
        FOR EACH STATEMENT EXECUTE FUNCTION tollgate.note_change('policies');
    `,
  },
  {
    name: 'notes',
    sql: `
      CREATE TABLE tollgate.notes (
        kind text COLLATE "C" NOT NULL,
        name text COLLATE "C" NOT NULL,
        body text NOT NULL,
        updated_at_ms bigint NOT NULL,
        PRIMARY KEY (kind, name)
      );
    `,
  },
  {
    name: 'answers under idempotency keys',
    sql: `
      -- A claim is a row without a head. It expires as an answer does, so that one whose owner died ends by itself.
      CREATE TABLE tollgate.answers (
        id text COLLATE "C" PRIMARY KEY,
        fingerprint text NOT NULL,
        owner text NOT NULL,
        head text,
        body bytea,
        size_bytes bigint NOT NULL,
        expires_at_ms bigint NOT NULL,
        kept_at_ms bigint NOT NULL
      );
      CREATE INDEX answers_by_age ON tollgate.answers (kept_at_ms, id) INCLUDE (size_bytes);
      CREATE INDEX answers_by_end ON tollgate.answers (expires_at_ms);
    `,
  },
  {
    name: 'changed aliases are told',
    sql: `
      -- Whoever follows policies compiles again, and reads the aliases with them.
      CREATE TRIGGER note_aliases AFTER INSERT OR UPDATE ON tollgate.notes
        FOR EACH ROW WHEN (NEW.kind = 'alias') EXECUTE FUNCTION tollgate.note_change('policies');
      CREATE TRIGGER note_deleted_aliases AFTER DELETE ON tollgate.notes
        FOR EACH ROW WHEN (OLD.kind = 'alias') EXECUTE FUNCTION tollgate.note_change('policies');
    `,
  },
]

/** `toll`: the key of the advisory lock under which one process at a time migrates. */
const LOCK = 0x746f6c6c

/**
 * Brings the schema up to date. Two processes may do it at once: the second waits and finds it done.
 *
 * @throws StoreError `newer` or `foreign`, or the error of the database
 */
export async function migrate(database: Kysely<Tables>, nowMs: number): Promise<void> {
  if ((await schemaVersion(database)) === MIGRATIONS.length) return
  await database.transaction().execute(async (transaction) => {
    await sql`SELECT pg_advisory_xact_lock(${LOCK})`.execute(transaction)
    const from = await schemaVersion(transaction)
    if (from === null) await sql.raw(CREATE_SCHEMA).execute(transaction)
    for (const [index, migration] of MIGRATIONS.entries()) {
      if (index < (from ?? 0)) continue
      await sql.raw(migration.sql).execute(transaction)
      const row = sql`(${index + 1}, ${migration.name}, ${nowMs})`
      await sql`INSERT INTO tollgate.schema_migrations VALUES ${row}`.execute(transaction)
    }
  })
}

const CREATE_SCHEMA = `
  CREATE SCHEMA IF NOT EXISTS tollgate;
  CREATE TABLE tollgate.schema_migrations (id bigint PRIMARY KEY, name text NOT NULL, applied_at_ms bigint NOT NULL);`

/** Null: the schema is not there, or empty. */
async function schemaVersion(database: Kysely<Tables>): Promise<number | null> {
  const tables = await sql<{ name: string }>`
    SELECT tablename AS name FROM pg_catalog.pg_tables WHERE schemaname = 'tollgate'`.execute(
    database,
  )
  if (tables.rows.length === 0) return null
  if (!tables.rows.some(({ name }) => name === 'schema_migrations')) {
    throw new StoreError('foreign', 'The schema "tollgate" of the database is of another program.')
  }
  const found = await sql<{ version: number }>`
    SELECT coalesce(max(id), 0) AS version FROM tollgate.schema_migrations`.execute(database)
  const version = found.rows[0]?.version ?? 0
  if (version <= MIGRATIONS.length) return version
  throw new StoreError(
    'newer',
    `The store has schema ${version}; this version of Tollgate knows ${MIGRATIONS.length}. Use the newer Tollgate that wrote it, or restore a backup.`,
  )
}

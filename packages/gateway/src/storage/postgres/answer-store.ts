import { type Kysely, sql } from 'kysely'
import type {
  AnswerStore,
  Claim,
  ClaimedCall,
  KeepTerms,
  KeptAnswer,
} from '../../contracts/answer-store.ts'
import { answerHead, readAnswer } from '../kept-answer.ts'
import type { PostgresAccess } from './access.ts'
import { withRetries } from './store-errors.ts'
import type { Tables } from './tables.ts'

/** A gateway that ended with a claim keeps others waiting for so long. */
const LEASE_MS = 10_000
/** What is dropped when there is too much: a little more than that, so that it is not done for every answer. */
const KEPT_SHARE = 0.9
/** How often a gateway looks whether there is too much, in answers kept. */
const LOOK_EVERY = 50

/** The database's clock decides: gateways need not agree on theirs. */
const NOW = sql<number>`(extract(epoch from clock_timestamp()) * 1000)::bigint`

/** Answers and claims for all gateways of one database. */
export function answerStore({ database }: PostgresAccess): AnswerStore {
  let keptSinceLook = 0
  return {
    leaseMs: LEASE_MS,
    claim: async (call) =>
      (await withRetries(() => take(database, call)))
        ? { kind: 'claimed' }
        : await withRetries(() => find(database, call)),
    renew: (call) => withRetries(() => renew(database, call)),
    async keep(call, answer, terms) {
      const row = rowOf(call, answer, terms)
      const kept = await withRetries(() => put(database, call, row))
      keptSinceLook += 1
      if (keptSinceLook >= LOOK_EVERY || row.size_bytes * LOOK_EVERY > terms.maxBytes) {
        keptSinceLook = 0
        await withRetries(() => shrink(database, terms))
      }
      return kept
    },
    async release({ id, owner }) {
      const claim = database
        .deleteFrom('tollgate.answers')
        .where('id', '=', id)
        .where('owner', '=', owner)
        .where('head', 'is', null)
      await withRetries(() => claim.execute())
    },
    async prune() {
      const ended = database.deleteFrom('tollgate.answers').where('expires_at_ms', '<=', NOW)
      return Number((await withRetries(() => ended.executeTakeFirst())).numDeletedRows)
    },
  }
}

/** Takes the id when nobody has it, or when what was there has expired. A try that was committed unseen holds too. */
async function take(
  database: Kysely<Tables>,
  { id, fingerprint, owner }: ClaimedCall,
): Promise<boolean> {
  const taken = await sql<{ id: string }>`
    INSERT INTO tollgate.answers AS had
      (id, fingerprint, owner, head, body, size_bytes, expires_at_ms, kept_at_ms)
    VALUES (${id}, ${fingerprint}, ${owner}, NULL, NULL, 0, ${NOW} + ${LEASE_MS}::bigint, ${NOW})
    ON CONFLICT (id) DO UPDATE SET
      fingerprint = excluded.fingerprint, owner = excluded.owner, head = NULL, body = NULL,
      size_bytes = 0, expires_at_ms = excluded.expires_at_ms, kept_at_ms = excluded.kept_at_ms
    WHERE had.expires_at_ms <= ${NOW} OR (had.owner = excluded.owner AND had.head IS NULL)
    RETURNING id`.execute(database)
  return taken.rows.length > 0
}

async function find(database: Kysely<Tables>, { id, fingerprint }: ClaimedCall): Promise<Claim> {
  const row = await database
    .selectFrom('tollgate.answers')
    .select(['fingerprint', 'head', 'body'])
    .where('id', '=', id)
    .where('expires_at_ms', '>', NOW)
    .executeTakeFirst()
  // It ended between the two looks; the next try takes it.
  if (row === undefined) return { kind: 'running' }
  if (row.fingerprint !== fingerprint) return { kind: 'other' }
  if (row.head === null) return { kind: 'running' }
  return { kind: 'kept', answer: readAnswer(row.head, row.body) }
}

async function renew(database: Kysely<Tables>, { id, owner }: ClaimedCall): Promise<boolean> {
  const renewed = await database
    .updateTable('tollgate.answers')
    .set({ expires_at_ms: sql`${NOW} + ${LEASE_MS}::bigint` })
    .where('id', '=', id)
    .where('owner', '=', owner)
    .where('head', 'is', null)
    .executeTakeFirst()
  return renewed.numUpdatedRows > 0n
}

function rowOf({ fingerprint, owner }: ClaimedCall, answer: KeptAnswer, { ttlMs }: KeepTerms) {
  const head = answerHead(answer)
  return {
    fingerprint,
    owner,
    head,
    body: answer.body,
    size_bytes: head.length + (answer.body?.length ?? 0),
    expires_at_ms: sql<number>`${NOW} + ${ttlMs}::bigint`,
    kept_at_ms: NOW,
  }
}

async function put(
  database: Kysely<Tables>,
  { id, owner }: ClaimedCall,
  row: ReturnType<typeof rowOf>,
): Promise<boolean> {
  const written = await database
    .insertInto('tollgate.answers')
    .values({ id, ...row })
    .onConflict((conflict) =>
      conflict.column('id').doUpdateSet(row).where('tollgate.answers.owner', '=', owner),
    )
    .executeTakeFirst()
  return (written.numInsertedOrUpdatedRows ?? 0n) > 0n
}

/** The newest stay. */
async function shrink(
  database: Kysely<Tables>,
  { maxBytes, maxEntries }: KeepTerms,
): Promise<void> {
  await sql`
    WITH aged AS (
      SELECT id, head IS NOT NULL AS kept,
        sum(size_bytes) OVER (ORDER BY kept_at_ms DESC, id) AS bytes,
        row_number() OVER (ORDER BY kept_at_ms DESC, id) AS place,
        sum(size_bytes) OVER () AS all_bytes,
        count(*) OVER () AS all_entries
      FROM tollgate.answers
    )
    DELETE FROM tollgate.answers USING aged
    WHERE answers.id = aged.id AND aged.kept AND aged.place > 1
      AND (aged.all_bytes > ${maxBytes}::numeric OR aged.all_entries > ${maxEntries}::numeric)
      AND (aged.bytes > ${maxBytes * KEPT_SHARE}::numeric OR aged.place > ${maxEntries * KEPT_SHARE}::numeric)
  `.execute(database)
}

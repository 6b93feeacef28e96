import { type Kysely, sql } from 'kysely'
import type {
  AnswerStore,
  Claim,
  ClaimedCall,
  KeepTerms,
  KeptAnswer,
} from '../../contracts/answer-store.ts'
import { Claims } from '../claims.ts'
import { answerHead, readAnswer } from '../kept-answer.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import type { Tables } from './tables.ts'

/** A worker that ended with a claim keeps others waiting for so long. */
const LEASE_MS = 10_000
/** What is dropped when there is too much: a little more than that, so that it is not done for every answer. */
const KEPT_SHARE = 0.9

/**
 * Answers in the embedded store. One process serves it, so claims are in its memory and end with it: after a restart
 * nobody waits for a call that is gone.
 */
export function answerStore({ read, write }: SqliteAccess): AnswerStore {
  const claims = new Claims(LEASE_MS)
  const kept = keptSize(write)

  async function claim(call: ClaimedCall): Promise<Claim> {
    const kind = claims.take(call)
    if (kind !== 'claimed') return { kind }
    let found: Claim | null = null
    try {
      found = await find(read, call)
      return found ?? { kind: 'claimed' }
    } finally {
      if (found !== null) claims.drop(call)
    }
  }

  return {
    leaseMs: LEASE_MS,
    claim,
    renew: (call) => Promise.resolve(claims.renew(call)),
    async keep(call, answer, terms) {
      if (claims.isAnothers(call)) return false
      await put(write, { call, answer, expiresAtMs: Date.now() + terms.ttlMs })
      claims.drop(call)
      await kept.added(sizeOf(answer), terms)
      return true
    },
    release: async (call) => claims.drop(call),
    async prune() {
      claims.dropEnded()
      kept.forget()
      return await deleteEnded(write)
    },
  }
}

/** Null: nothing is kept. */
async function find(read: Kysely<Tables>, { id, fingerprint }: ClaimedCall): Promise<Claim | null> {
  const row = await read
    .selectFrom('answers')
    .select(['fingerprint', 'head', 'body'])
    .where('id', '=', id)
    .where('expires_at_ms', '>', Date.now())
    .executeTakeFirst()
  if (row === undefined) return null
  if (row.fingerprint !== fingerprint) return { kind: 'other' }
  const body = row.body === null ? null : Buffer.from(row.body)
  return { kind: 'kept', answer: readAnswer(row.head, body) }
}

type Kept = {
  readonly call: ClaimedCall
  readonly answer: KeptAnswer
  readonly expiresAtMs: number
}

async function put(write: Kysely<Tables>, { call, answer, expiresAtMs }: Kept): Promise<void> {
  const row = {
    fingerprint: call.fingerprint,
    head: answerHead(answer),
    body: answer.body,
    size_bytes: sizeOf(answer),
    expires_at_ms: expiresAtMs,
    kept_at_ms: Date.now(),
  }
  await write
    .insertInto('answers')
    .values({ id: call.id, ...row })
    .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
    .execute()
}

function sizeOf(answer: KeptAnswer): number {
  return answerHead(answer).length + (answer.body?.length ?? 0)
}

async function deleteEnded(write: Kysely<Tables>): Promise<number> {
  const gone = await write
    .deleteFrom('answers')
    .where('expires_at_ms', '<=', Date.now())
    .executeTakeFirst()
  return Number(gone.numDeletedRows)
}

type KeptSize = {
  /** Makes room when there is too much now. */
  readonly added: (bytes: number, terms: KeepTerms) => Promise<void>
  readonly forget: () => void
}

/** Counted once, then followed, so that an answer costs no count of all. */
function keptSize(write: Kysely<Tables>): KeptSize {
  let size: { readonly bytes: number; readonly entries: number } | null = null

  async function measure(): Promise<{ readonly bytes: number; readonly entries: number }> {
    return await write
      .selectFrom('answers')
      .select([
        sql<number>`coalesce(sum(size_bytes), 0)`.as('bytes'),
        sql<number>`count(*)`.as('entries'),
      ])
      .executeTakeFirstOrThrow()
  }

  return {
    async added(bytes, { maxBytes, maxEntries }) {
      size =
        size === null ? await measure() : { bytes: size.bytes + bytes, entries: size.entries + 1 }
      if (size.bytes <= maxBytes && size.entries <= maxEntries) return
      await deleteEnded(write)
      size = await measure()
      if (size.bytes <= maxBytes && size.entries <= maxEntries) return
      await shrink(write, maxBytes * KEPT_SHARE, maxEntries * KEPT_SHARE)
      size = null
    },
    forget: () => (size = null),
  }
}

/** The newest stay. */
async function shrink(write: Kysely<Tables>, bytes: number, entries: number): Promise<void> {
  await sql`
    DELETE FROM answers WHERE id IN (
      SELECT id FROM (
        SELECT id,
          sum(size_bytes) OVER (ORDER BY kept_at_ms DESC, id) AS bytes,
          row_number() OVER (ORDER BY kept_at_ms DESC, id) AS place
        FROM answers
      ) WHERE place > 1 AND (bytes > ${bytes} OR place > ${entries})
    )`.execute(write)
}

import { sql } from 'kysely'
import type { AnswerStore, Claim, ClaimedCall, KeptAnswer } from '../../contracts/answer-store.ts'
import { answerHead, readAnswer } from '../kept-answer.ts'
import type { SqliteAccess } from './sqlite-access.ts'

/** What is dropped when there is too much: a little more than that, so that it is not done for every answer. */
const KEPT_SHARE = 0.9

/**
 * Answers in the embedded store. One process serves it, so a claim is this process's own matter and ends with it: what
 * is here are answers only.
 */
export function answerStore(access: SqliteAccess): AnswerStore {
  const { read, write } = access
  /** Counted once, then followed; null: not yet. */
  let size: { bytes: number; entries: number } | null = null

  async function claim({ id, fingerprint }: ClaimedCall): Promise<Claim> {
    const row = await read
      .selectFrom('answers')
      .select(['fingerprint', 'head', 'body'])
      .where('id', '=', id)
      .where('expires_at_ms', '>', Date.now())
      .executeTakeFirst()
    if (row === undefined) return { kind: 'claimed' }
    if (row.fingerprint !== fingerprint) return { kind: 'other' }
    const body = row.body === null ? null : Buffer.from(row.body)
    return { kind: 'kept', answer: readAnswer(row.head, body) }
  }

  async function put(call: ClaimedCall, answer: KeptAnswer, expiresAtMs: number): Promise<number> {
    const head = answerHead(answer)
    const sizeBytes = head.length + (answer.body?.length ?? 0)
    const row = {
      fingerprint: call.fingerprint,
      head,
      body: answer.body,
      size_bytes: sizeBytes,
      expires_at_ms: expiresAtMs,
      kept_at_ms: Date.now(),
    }
    await write
      .insertInto('answers')
      .values({ id: call.id, ...row })
      .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
      .execute()
    return sizeBytes
  }

  async function measure(): Promise<{ bytes: number; entries: number }> {
    const { bytes, entries } = await write
      .selectFrom('answers')
      .select([
        sql<number>`coalesce(sum(size_bytes), 0)`.as('bytes'),
        sql<number>`count(*)`.as('entries'),
      ])
      .executeTakeFirstOrThrow()
    return { bytes, entries }
  }

  async function prune(): Promise<number> {
    const gone = await write
      .deleteFrom('answers')
      .where('expires_at_ms', '<=', Date.now())
      .executeTakeFirst()
    size = null
    return Number(gone.numDeletedRows)
  }

  /** The newest stay. */
  async function shrink(maxBytes: number, maxEntries: number): Promise<void> {
    await sql`
      DELETE FROM answers WHERE id IN (
        SELECT id FROM (
          SELECT id,
            sum(size_bytes) OVER (ORDER BY kept_at_ms DESC, id) AS bytes,
            row_number() OVER (ORDER BY kept_at_ms DESC, id) AS place
          FROM answers
        ) WHERE place > 1 AND (bytes > ${maxBytes * KEPT_SHARE} OR place > ${maxEntries * KEPT_SHARE})
      )`.execute(write)
  }

  return {
    leaseMs: null,
    claim,
    renew: () => Promise.resolve(true),
    async keep(call, answer, { ttlMs, maxBytes, maxEntries }) {
      const bytes = await put(call, answer, Date.now() + ttlMs)
      if (size === null) size = await measure()
      else size = { bytes: size.bytes + bytes, entries: size.entries + 1 }
      if (size.bytes <= maxBytes && size.entries <= maxEntries) return true
      await prune()
      size = await measure()
      if (size.bytes > maxBytes || size.entries > maxEntries) {
        await shrink(maxBytes, maxEntries)
        size = null
      }
      return true
    },
    release: async () => {},
    prune,
  }
}

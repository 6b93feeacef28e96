import type { KeyRecord } from '../../contracts/key.ts'
import type { KeyStore } from '../../contracts/store.ts'
import { parseObject, parseTextMap, parseTexts } from './json-columns.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import type { KeyRow } from './tables.ts'
import { toStatement } from './worker-dialect.ts'

/** Keys per message from the worker: more would hold the main thread too long. */
const PAGE_ROWS = 500
/** Sorts after every character of ids and hashes. */
const LAST_CHARACTER = '\u{10FFFF}'

export function keyStore({ read, write, writeAtomically }: SqliteAccess): KeyStore {
  return {
    async list() {
      const keys: KeyRecord[] = []
      let after = ''
      for (;;) {
        const rows = await read
          .selectFrom('keys')
          .selectAll()
          .where('id', '>', after)
          .orderBy('id')
          .limit(PAGE_ROWS)
          .execute()
        for (const row of rows) keys.push(fromRow(row))
        const last = rows.at(-1)
        if (last === undefined || rows.length < PAGE_ROWS) return keys
        after = last.id
      }
    },
    async get(id) {
      const row = await read.selectFrom('keys').selectAll().where('id', '=', id).executeTakeFirst()
      return row === undefined ? null : fromRow(row)
    },
    async findByPrefix(prefix, most) {
      const end = prefix + LAST_CHARACTER
      const rows = await read
        .selectFrom('keys')
        .selectAll()
        .where((where) =>
          where.or([
            where.and([where('id', '>=', prefix), where('id', '<', end)]),
            where.and([where('hash', '>=', prefix), where('hash', '<', end)]),
          ]),
        )
        .orderBy('id')
        .limit(most)
        .execute()
      return rows.map(fromRow)
    },
    async insert(key) {
      await write.insertInto('keys').values(toRow(key)).execute()
    },
    async update(key) {
      const { id, ...columns } = toRow(key)
      const result = await write
        .updateTable('keys')
        .set(columns)
        .where('id', '=', id)
        .executeTakeFirst()
      return result.numUpdatedRows > 0n
    },
    async touch(lastUsed) {
      if (lastUsed.length === 0) return
      await writeAtomically(
        lastUsed.map(({ id, atMs }) =>
          toStatement(
            write
              .updateTable('keys')
              .set({ last_used_at_ms: atMs })
              .where('id', '=', id)
              .where((where) =>
                where.or([
                  where('last_used_at_ms', 'is', null),
                  where('last_used_at_ms', '<', atMs),
                ]),
              )
              .compile(),
          ),
        ),
      )
    },
  }
}

function toRow(key: KeyRecord): KeyRow {
  return {
    id: key.id,
    name: key.name,
    last4: key.last4,
    hash: key.hash,
    previous_hash: key.previousHash,
    previous_hash_until_ms: key.previousHashUntilMs,
    created_at_ms: key.createdAtMs,
    created_by: key.createdBy,
    updated_at_ms: key.updatedAtMs,
    last_used_at_ms: key.lastUsedAtMs,
    expires_at_ms: key.expiresAtMs,
    enabled: key.enabled ? 1 : 0,
    revoked_at_ms: key.revokedAtMs,
    rotate_every_ms: key.rotateEveryMs,
    rotated_at_ms: key.rotatedAtMs,
    scopes: JSON.stringify(key.scopes),
    team: key.subject.team,
    rolegroup: key.subject.rolegroup,
    role: key.subject.role,
    user: key.subject.user,
    policy: JSON.stringify(key.policy),
    policies: JSON.stringify(key.policies),
    metadata: JSON.stringify(key.metadata),
  }
}

function fromRow(row: KeyRow): KeyRecord {
  return {
    id: row.id,
    name: row.name,
    last4: row.last4,
    hash: row.hash,
    previousHash: row.previous_hash,
    previousHashUntilMs: row.previous_hash_until_ms,
    createdAtMs: row.created_at_ms,
    createdBy: row.created_by,
    updatedAtMs: row.updated_at_ms,
    lastUsedAtMs: row.last_used_at_ms,
    expiresAtMs: row.expires_at_ms,
    enabled: row.enabled === 1,
    revokedAtMs: row.revoked_at_ms,
    rotateEveryMs: row.rotate_every_ms,
    rotatedAtMs: row.rotated_at_ms,
    scopes: parseTexts(row.scopes),
    subject: { team: row.team, rolegroup: row.rolegroup, role: row.role, user: row.user },
    policy: parseObject(row.policy),
    policies: parseTexts(row.policies),
    metadata: parseTextMap(row.metadata),
  }
}

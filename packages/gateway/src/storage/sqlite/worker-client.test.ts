import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { EngineName, SqlValue } from './messages.ts'
import { prepareStoreFile } from './store-directory.ts'
import { databaseWorker, type WorkerClient } from './worker-client.ts'
import { queryThrough } from './worker-dialect.ts'

for (const engine of ['node:sqlite', 'better-sqlite3'] satisfies EngineName[]) {
  describe(`database worker (${engine})`, () => {
    let directory: string
    let writer: WorkerClient
    beforeEach(async () => {
      directory = await mkdtemp(join(tmpdir(), 'tollgate-worker-'))
      const path = join(directory, 't.db')
      await prepareStoreFile(path)
      writer = databaseWorker({ path, engine, role: 'writer', durability: 'full', chainKeys: [] })
      await writer.open()
    })
    afterEach(async () => {
      await writer.close()
      await rm(directory, { recursive: true })
    })
    const query = async (sql: string, ...parameters: SqlValue[]): Promise<unknown> =>
      (await writer.call({ kind: 'query', statement: { sql, parameters } })).rows

    it('gives integers back exactly: as numbers while safe, else as bigint', async () => {
      expect(
        await query(
          'SELECT 9007199254740991 AS safe, 9007199254740993 AS large, ? AS own',
          -(2n ** 63n),
        ),
      ).toEqual([{ safe: 9007199254740991, large: 9007199254740993n, own: -(2n ** 63n) }])
    })

    it('runs an atomic call whole or not at all', async () => {
      const put = { sql: 'INSERT INTO counters VALUES (?, ?)', parameters: ['c', '1'] }
      await expect(writer.call({ kind: 'atomic', statements: [put, put] })).rejects.toMatchObject({
        reason: 'duplicate',
      })
      expect(await query('SELECT * FROM counters')).toEqual([])
      expect((await writer.call({ kind: 'atomic', statements: [put] })).changes).toBe(1)
    })

    it('answers on after a statement that fails', async () => {
      await expect(query('SELECT * FROM nothing')).rejects.toMatchObject({ reason: 'failed' })
      expect(await query('SELECT 1 AS one')).toEqual([{ one: 1 }])
    })

    it('syncs every commit when durability is full', async () => {
      expect(await query('PRAGMA synchronous')).toEqual([{ synchronous: 2 }])
      expect(await query('PRAGMA journal_mode')).toEqual([{ journal_mode: 'wal' }])
    })

    it('refuses interactive transactions, into which other callers would fall', async () => {
      await expect(
        queryThrough(writer)
          .transaction()
          .execute(async () => {}),
      ).rejects.toMatchObject({ name: 'StoreError' })
    })

    it('does not write through a reader', async () => {
      const path = join(directory, 't.db')
      const reader = databaseWorker({
        path,
        engine,
        role: 'reader',
        durability: 'process',
        chainKeys: [],
      })
      const statement = { sql: 'DELETE FROM keys', parameters: [] }
      await expect(reader.call({ kind: 'query', statement })).rejects.toMatchObject({
        reason: 'readonly',
      })
      await reader.close()
    })
  })
}

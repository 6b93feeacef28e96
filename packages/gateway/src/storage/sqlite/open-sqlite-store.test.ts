import { chmod, mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { storeContract } from '../../testing/store-contract.ts'
import { usageRecord } from '../../testing/usage-record.ts'
import type { EngineName } from './messages.ts'
import { openSqliteStore } from './open-sqlite-store.ts'

for (const engine of ['node:sqlite', 'better-sqlite3'] satisfies EngineName[]) {
  storeContract({
    name: `sqlite (${engine})`,
    async fresh() {
      const directory = await mkdtemp(join(tmpdir(), 'tollgate-store-'))
      return {
        open: () => openSqliteStore({ path: join(directory, 'data', 'tollgate.db'), engine }),
        remove: () => rm(directory, { recursive: true }),
      }
    },
  })
}

describe('openSqliteStore', () => {
  let directory: string
  let path: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tollgate-store-'))
    path = join(directory, 'data', 'tollgate.db')
  })
  afterEach(() => rm(directory, { recursive: true }))

  it('keeps directory and files from other users and from git', async () => {
    const { store, ledger } = await openSqliteStore({ path })
    await ledger.append(usageRecord())
    expect(await mode(join(directory, 'data'))).toBe('700')
    for (const suffix of ['', '-wal', '-shm']) expect(await mode(path + suffix)).toBe('600')
    expect(await readFile(join(directory, 'data', '.gitignore'), 'utf8')).toBe('*\n')
    await store.close()
  })

  it('leaves the mode of a directory that was there, and narrows a file that was readable', async () => {
    path = join(directory, 'tollgate.db')
    await chmod(directory, 0o755)
    await writeFile(path, '', { mode: 0o644 })
    const { store } = await openSqliteStore({ path })
    expect(await mode(directory)).toBe('755')
    expect(await mode(path)).toBe('600')
    await store.close()
  })

  it('finds a damaged page at start and says what to do', async () => {
    const { store, ledger } = await openSqliteStore({ path })
    const records = Array.from({ length: 2000 }, () => usageRecord())
    await Promise.all(records.map((record) => ledger.append(record)))
    await store.close()
    const file = await open(path, 'r+')
    for (let page = 20; page < 60; page++)
      await file.write(Buffer.alloc(600, 0xa5), 0, 600, page * 4096)
    await file.close()
    await expect(openSqliteStore({ path })).rejects.toMatchObject({
      name: 'StoreError',
      reason: 'corrupt',
      message: expect.stringContaining('Restore a backup'),
    })
  })

  it('refuses a file that is no database', async () => {
    path = join(directory, 'tollgate.db')
    await writeFile(
      path,
      'not a database, but longer than a header of one hundred bytes. '.repeat(99),
    )
    await expect(openSqliteStore({ path })).rejects.toMatchObject({ reason: 'corrupt' })
  })

  it('refuses the database of another program and leaves it as it was', async () => {
    path = join(directory, 'other.db')
    const other = new DatabaseSync(path)
    other.exec('CREATE TABLE photos (id INTEGER)')
    other.close()
    await expect(openSqliteStore({ path })).rejects.toMatchObject({ reason: 'foreign' })
    const again = new DatabaseSync(path)
    expect(again.prepare('SELECT name FROM sqlite_schema').all()).toEqual([{ name: 'photos' }])
    again.close()
  })

  it('refuses a newer schema and names both versions', async () => {
    const { store } = await openSqliteStore({ path })
    await store.close()
    const database = new DatabaseSync(path)
    database.exec(`INSERT INTO schema_migrations VALUES (999, 'future', 0)`)
    database.close()
    await expect(openSqliteStore({ path })).rejects.toMatchObject({
      reason: 'newer',
      message: expect.stringMatching(/schema 999.*knows \d+/),
    })
  })

  it('lets two openers create the schema at once', async () => {
    const opened = await Promise.all([1, 2, 3, 4].map(() => openSqliteStore({ path })))
    for (const { store } of opened) await store.close()
    expect(opened).toHaveLength(4)
  })

  it('says that a directory cannot be made', async () => {
    await writeFile(join(directory, 'file'), '')
    await expect(
      openSqliteStore({ path: join(directory, 'file', 'tollgate.db') }),
    ).rejects.toMatchObject({ reason: 'unreadable' })
  })

  it('does not hold the main thread while it writes and reads', async () => {
    const { store, ledger } = await openSqliteStore({ path })
    const records = Array.from({ length: 5000 }, () => usageRecord())
    await Promise.all(records.map((record) => ledger.append(record)))
    const before = { thread: process.threadCpuUsage(), all: process.cpuUsage() }
    await Promise.all([
      store.records.summary({}),
      store.records.list({}, { limit: 100, cursor: null }),
      ledger.append(usageRecord()),
      store.records.prune(0),
    ])
    const own = cpuOf(process.threadCpuUsage(before.thread))
    const all = cpuOf(process.cpuUsage(before.all))
    expect(own).toBeLessThan(all / 2)
    await store.close()
  })
})

async function mode(file: string): Promise<string> {
  return ((await stat(file)).mode & 0o777).toString(8)
}

function cpuOf({ user, system }: NodeJS.CpuUsage): number {
  return user + system
}

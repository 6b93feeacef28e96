import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { KeyRecord } from '../../contracts/key.ts'
import {
  POSTGRES_FOLDER,
  type PostgresServer,
  startPostgres,
} from '../../testing/postgres-server.ts'
import { storeContract } from '../../testing/store-contract.ts'
import { usageRecord } from '../../testing/usage-record.ts'
import { openPostgresStore, type PostgresStoreOptions } from './open-postgres-store.ts'

type Opened = Awaited<ReturnType<typeof openPostgresStore>>

describe.skipIf(POSTGRES_FOLDER === null)('postgres', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres()
  }, 60_000)
  afterAll(() => server.close())

  storeContract({
    name: 'postgres',
    async fresh() {
      const spoolDirectory = await mkdtemp(join(tmpdir(), 'tollgate-spool-'))
      const url = await server.createDatabase()
      return {
        open: () => openPostgresStore(optionsOf(url, spoolDirectory)),
        remove: () => rm(spoolDirectory, { recursive: true }),
      }
    },
  })

  describe('openPostgresStore', () => {
    let folder: string
    let url: string
    const opened: Opened[] = []
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'tollgate-spool-'))
      url = await server.createDatabase()
    })
    afterEach(async () => {
      for (const { store } of opened.splice(0)) await store.close()
      await rm(folder, { recursive: true })
    })
    const open = async (given: Partial<PostgresStoreOptions> = {}): Promise<Opened> => {
      const directory = join(folder, `spool-${opened.length}`)
      const one = await openPostgresStore(optionsOf(url, directory, given))
      opened.push(one)
      return one
    }

    it('lets several openers create the schema at once', async () => {
      const directories = ['a', 'b', 'c', 'd'].map((name) => join(folder, name))
      opened.push(
        ...(await Promise.all(directories.map((at) => openPostgresStore(optionsOf(url, at))))),
      )
      const rows = await server.run(url, 'SELECT id FROM tollgate.schema_migrations')
      expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length)
      expect(rows.length).toBeGreaterThan(0)
    })

    it('refuses a newer schema, and one of another program, and leaves them as they were', async () => {
      await open()
      await server.run(url, `INSERT INTO tollgate.schema_migrations VALUES (999, 'future', 0)`)
      await expect(open()).rejects.toMatchObject({
        reason: 'newer',
        message: expect.stringMatching(/schema 999.*knows \d+/),
      })
      url = await server.createDatabase()
      await server.run(url, 'CREATE SCHEMA tollgate CREATE TABLE photos (id int)')
      await expect(open()).rejects.toMatchObject({ reason: 'foreign' })
      expect(await server.run(url, 'SELECT * FROM tollgate.photos')).toEqual([])
    })

    it('says where it looked and why it failed, without the password', async () => {
      await expect(openPostgresStore(optionsOf(`${url}_none`, folder))).rejects.toMatchObject({
        reason: 'unreadable',
        message: expect.stringMatching(
          /^The database at 127\.0\.0\.1:\d+\/test_\d+_none cannot be used: .*does not exist/,
        ),
      })
      const wrong = url.replace('postgres-canary', 'wrong-canary')
      const refused = await openPostgresStore(optionsOf(wrong, folder)).catch(String)
      expect(refused).toMatch(/password authentication failed/)
      expect(refused).not.toContain('canary')
    })

    it('takes any text and any number of a record, and never rounds', async () => {
      const { store, ledger } = await open()
      const odd = usageRecord({
        model: `m\u0000\uD800${'x'.repeat(9000)}`,
        project: '{"a","b\\"}\n',
        latencyMs: 1e300,
      })
      await ledger.append(odd)
      const { items } = await store.records.list(
        { model: odd.model ?? '' },
        { limit: 9, cursor: null },
      )
      expect(items).toEqual([odd])
      await ledger.append(usageRecord({ costNanoUsd: Number.MAX_SAFE_INTEGER }))
      await expect(store.records.summary({})).rejects.toMatchObject({
        message: expect.stringContaining('beyond what can be exact'),
      })
      await expect(store.records.summary({ status: 'ok' })).rejects.toMatchObject({
        code: 'invalid_request',
      })
    })

    it('counts charges again after records were pruned, and has no chain', async () => {
      const { store, ledger } = await open()
      const charge = { counter: 'c', era: 7, at: 0, amount: 5 }
      for (const startedAtMs of [1, 2, 3]) {
        await ledger.append(usageRecord({ startedAtMs, charges: [charge] }))
      }
      expect(await store.records.prune(2)).toBe(1)
      expect(await store.records.prune(3)).toBe(1)
      expect(await store.proof?.read({ chain: false })).toEqual({
        records: 1,
        counters: [],
        charged: [{ ...charge, amount: 15 }],
        chain: null,
      })
      await expect(store.proof?.read({ chain: true })).rejects.toMatchObject({
        code: 'invalid_request',
      })
    })

    it('keeps the counters of each gateway apart', async () => {
      const [one, two] = [await open(), await open()]
      await one.store.counters.put([{ counterKey: 'c', state: 'one' }])
      await two.store.counters.put([{ counterKey: 'c', state: 'two' }])
      expect(await one.store.counters.list()).toEqual([{ counterKey: 'c', state: 'one' }])
      expect(await two.store.counters.list()).toEqual([{ counterKey: 'c', state: 'two' }])
    })

    it('tells changes of others within a second also when no notification comes through', async () => {
      const [one, two] = [await open(), await open()]
      await server.run(
        url,
        `CREATE OR REPLACE FUNCTION tollgate.stamp_key() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           UPDATE tollgate.revisions SET revision = revision + 1 WHERE name = 'keys' RETURNING revision INTO NEW.revision;
           RETURN NEW; END $$`,
      )
      const seen: string[] = []
      const stop = two.store.changes?.follow({
        keys: (keys) => void seen.push(...keys.map(({ name }) => name)),
        policies: () => void seen.push('policies'),
        problem: () => {},
      })
      await vi.waitFor(() => expect(seen).toContain('policies'))
      await one.store.keys.insert(key)
      await vi.waitFor(() => expect(seen).toContain(key.name), 1000)
      await one.store.keys.touch([{ id: key.id, atMs: 5 }])
      await one.store.keys.update({ ...key, name: 'renamed' })
      await vi.waitFor(() => expect(seen).toContain('renamed'), 1000)
      expect(seen.filter((name) => name === key.name)).toHaveLength(1)
      stop?.()
    })

    it('tells that an alias changed or went, as of policies, and of no other note', async () => {
      const [one, two] = [await open(), await open()]
      let told = 0
      const stop = two.store.changes?.follow({
        keys: () => {},
        policies: () => void (told += 1),
        problem: () => {},
      })
      await vi.waitFor(() => expect(told).toBeGreaterThan(0))
      const note = { name: 'fast', body: '{}', updatedAtMs: 1 }
      const tellsOf = async (change: () => Promise<unknown>): Promise<void> => {
        const before = told
        await change()
        await vi.waitFor(() => expect(told).toBeGreaterThan(before), 2000)
      }
      await tellsOf(() => one.store.notes.put('alias', [note]))
      await tellsOf(() => one.store.notes.put('alias', [{ ...note, body: '{"a":1}' }]))
      await tellsOf(() => one.store.notes.delete('alias', 'fast'))
      const revision = "SELECT revision FROM tollgate.revisions WHERE name = 'policies'"
      const before = await server.run(url, revision)
      await one.store.notes.put('arm', [note])
      expect(await server.run(url, revision)).toEqual(before)
      stop?.()
    })

    it('runs one change at a time over all gateways, and a failure leaves nothing locked', async () => {
      const [one, two] = [await open(), await open()]
      let inside = 0
      const most: number[] = []
      const change = async (): Promise<void> => {
        inside++
        most.push(inside)
        await new Promise((resolve) => setTimeout(resolve, 5))
        inside--
      }
      const both = [one, two].flatMap(({ store }) =>
        Array.from({ length: 5 }, async () => await store.exclusively?.(change)),
      )
      await Promise.all(both)
      expect(most).toEqual(Array.from({ length: 10 }, () => 1))
      const failing = one.store.exclusively?.(() => Promise.reject(new TypeError('no')))
      await expect(failing).rejects.toThrow(TypeError)
      await two.store.exclusively?.(change)
    })

    it('takes a database that is frozen for one that is away, and records go on', async () => {
      const { store, ledger } = await open({ answerMs: 300 })
      await ledger.append(usageRecord())
      await ledger.flush()
      await store.keys.insert(key)
      const backends = await server.run(
        url,
        'SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
      )
      const signal = (name: NodeJS.Signals): void => {
        for (const { pid } of backends) process.kill(Number(pid), name)
      }
      signal('SIGSTOP')
      try {
        const startedMs = performance.now()
        const change = store.exclusively?.(() => store.keys.update({ ...key, name: 'x' }))
        await Promise.all([
          expect(change).rejects.toMatchObject({ reason: 'away' }),
          ledger.append(usageRecord({ id: 'rec_meanwhile' })),
        ])
        expect(performance.now() - startedMs).toBeLessThan(2000)
      } finally {
        signal('SIGCONT')
      }
      await vi.waitFor(() => expect(ledger.backlog?.().records).toBe(0), 3000)
      expect((await store.records.summary({})).requests).toBe(2)
    })

    it('takes many records at once, each on disk', async () => {
      const { store, ledger } = await open({ durability: 'full' })
      const records = Array.from({ length: 5000 }, (_, i) => usageRecord({ id: `rec_${i}` }))
      await Promise.all(records.map((record) => ledger.append(record)))
      expect((await store.records.summary({})).requests).toBe(5000)
      expect(ledger.backlog?.()).toMatchObject({ records: 0, problem: null })
    })
  })
})

function optionsOf(
  url: string,
  spoolDirectory: string,
  given: Partial<PostgresStoreOptions> = {},
): PostgresStoreOptions {
  return {
    url,
    spoolDirectory,
    spoolMaxBytes: 64 * 1024 * 1024,
    durability: 'process',
    connections: 4,
    waitMs: 0,
    onProblem: () => {},
    ...given,
  }
}

const key: KeyRecord = {
  id: 'key_a',
  name: 'first',
  last4: 'wxyz',
  hash: 'cd34',
  previousHash: null,
  previousHashUntilMs: null,
  createdAtMs: 1,
  createdBy: 'cli',
  updatedAtMs: 1,
  lastUsedAtMs: null,
  expiresAtMs: null,
  enabled: true,
  revokedAtMs: null,
  rotateEveryMs: null,
  rotatedAtMs: null,
  scopes: [],
  subject: { team: null, rolegroup: null, role: null, user: null },
  policy: {},
  policies: [],
  metadata: {},
}

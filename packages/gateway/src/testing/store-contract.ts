import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { KeyRecord } from '../contracts/key.ts'
import type { LedgerWriter, RecordFilter, Store } from '../contracts/store.ts'
import type { UsageRecord } from '../contracts/usage-record.ts'
import { NO_USAGE } from '../contracts/usage.ts'
import { usageRecord } from './usage-record.ts'

type Opened = { readonly store: Store; readonly ledger: LedgerWriter }

/** `open` gives an empty store at first, and the same one when called again after `close`. */
export type StoreUnderTest = {
  readonly name: string
  fresh(): Promise<{ open(): Promise<Opened>; remove(): Promise<void> }>
}

const START = 1_750_000_000_000

export function storeContract(subject: StoreUnderTest): void {
  describe(`${subject.name}: store contract`, () => {
    let place: Awaited<ReturnType<StoreUnderTest['fresh']>>
    let opened: Opened

    beforeEach(async () => {
      place = await subject.fresh()
      opened = await place.open()
    })
    afterEach(async () => {
      await opened.store.close()
      await place.remove()
    })
    const reopen = async (): Promise<void> => {
      await opened.store.close()
      opened = await place.open()
    }
    const append = (...records: UsageRecord[]): Promise<unknown> =>
      Promise.all(records.map((record) => opened.ledger.append(record)))

    const ids = async (filter: RecordFilter): Promise<string[]> =>
      (await opened.store.records.list(filter, { limit: 100, cursor: null })).items.map(
        (item) => item.id,
      )

    describe('keys', () => {
      it('gives back exactly what was inserted, also after it was closed and opened', async () => {
        await opened.store.keys.insert(fullKey)
        await opened.store.keys.insert(bareKey)
        await reopen()
        expect(await opened.store.keys.get('key_full')).toEqual(fullKey)
        expect(await opened.store.keys.list()).toEqual([bareKey, fullKey])
        expect(await opened.store.keys.get('key_none')).toBeNull()
      })

      it('refuses a second key with the same id or the same hash', async () => {
        await opened.store.keys.insert(fullKey)
        await expect(
          opened.store.keys.insert({ ...bareKey, id: fullKey.id }),
        ).rejects.toMatchObject({ reason: 'duplicate' })
        await expect(
          opened.store.keys.insert({ ...bareKey, hash: fullKey.hash }),
        ).rejects.toMatchObject({ reason: 'duplicate' })
        expect(await opened.store.keys.list()).toHaveLength(1)
      })

      it('replaces a record on update and says whether it was there', async () => {
        await opened.store.keys.insert(fullKey)
        const changed = { ...bareKey, id: fullKey.id, name: 'renamed' }
        expect(await opened.store.keys.update(changed)).toBe(true)
        expect(await opened.store.keys.get(fullKey.id)).toEqual(changed)
        expect(await opened.store.keys.update({ ...changed, id: 'key_none' })).toBe(false)
      })

      it('finds by prefix of id and of hash, at most as many as asked', async () => {
        await opened.store.keys.insert(fullKey)
        await opened.store.keys.insert(bareKey)
        const found = async (prefix: string, most = 5): Promise<string[]> =>
          (await opened.store.keys.findByPrefix(prefix, most)).map((key) => key.id)
        expect(await found('key_f')).toEqual(['key_full'])
        expect(await found('ab12')).toEqual(['key_full'])
        expect(await found('key_')).toEqual(['key_bare', 'key_full'])
        expect(await found('key_', 1)).toHaveLength(1)
        expect(await found('key%')).toEqual([])
      })

      it('moves last use forwards only', async () => {
        await opened.store.keys.insert(bareKey)
        await opened.store.keys.touch([{ id: bareKey.id, atMs: 2000 }])
        await opened.store.keys.touch([
          { id: bareKey.id, atMs: 1000 },
          { id: 'key_none', atMs: 1 },
        ])
        expect((await opened.store.keys.get(bareKey.id))?.lastUsedAtMs).toBe(2000)
      })

      it('treats hostile text as text', async () => {
        const name = `'; DROP TABLE keys; --\u0000\u2028"\\`
        await opened.store.keys.insert({ ...bareKey, name })
        expect((await opened.store.keys.get(bareKey.id))?.name).toBe(name)
        expect(await opened.store.keys.get(`' OR 1=1 --`)).toBeNull()
      })
    })

    it('puts, replaces, lists, prunes and deletes notes, each kind for itself', async () => {
      const { notes } = opened.store
      await notes.put('arm', [
        { name: 'b', body: '{"n":1}', updatedAtMs: 5 },
        { name: 'a', body: '{}', updatedAtMs: 7 },
      ])
      await notes.put('other', [{ name: 'a', body: '[]', updatedAtMs: 1 }])
      await notes.put('arm', [{ name: 'b', body: '{"n":2}', updatedAtMs: 6 }])
      await notes.put('arm', [])
      expect(await notes.list('arm')).toEqual([
        { name: 'a', body: '{}', updatedAtMs: 7 },
        { name: 'b', body: '{"n":2}', updatedAtMs: 6 },
      ])
      expect(await notes.get('other', 'a')).toEqual({ name: 'a', body: '[]', updatedAtMs: 1 })
      expect(await notes.get('other', 'b')).toBeNull()
      expect(await notes.prune('arm', 7)).toBe(1)
      expect(await notes.delete('arm', 'b')).toBe(false)
      expect(await notes.delete('arm', 'a')).toBe(true)
      expect(await notes.list('arm')).toEqual([])
      expect(await notes.list('other')).toHaveLength(1)
    })

    it('puts, replaces, lists and deletes policies', async () => {
      const { policies } = opened.store
      const policy = { name: 'b', policy: { limits: [1] }, createdAtMs: 1, updatedAtMs: 1 }
      await policies.put(policy)
      await policies.put({ ...policy, policy: {}, updatedAtMs: 2 })
      await policies.put({ ...policy, name: 'a' })
      expect((await policies.list()).map((each) => each.name)).toEqual(['a', 'b'])
      expect(await policies.get('b')).toEqual({ ...policy, policy: {}, updatedAtMs: 2 })
      expect(await policies.delete('b')).toBe(true)
      expect(await policies.delete('b')).toBe(false)
      expect(await policies.get('b')).toBeNull()
    })

    describe('records', () => {
      it('gives a record back whole, with fractions, nulls and nested parts', async () => {
        const record = usageRecord({
          metadata: { ticket: 'Ä "1"\n' },
          usage: { ...NO_USAGE, outputTokens: 0 },
          costNanoUsd: null,
          model: null,
        })
        await append(record)
        await reopen()
        const page = await opened.store.records.list({}, { limit: 10, cursor: null })
        expect(page).toEqual({ items: [record], total: 1, next: null })
      })

      it('shows a record that is accepted but not yet committed', async () => {
        const appended = opened.ledger.append(usageRecord({ id: 'rec_1' }))
        expect(opened.ledger.pending().map((record) => record.id)).toEqual(['rec_1'])
        expect(await ids({})).toEqual(['rec_1'])
        await appended
        expect(opened.ledger.pending()).toEqual([])
      })

      it('keeps the first of two records with one id', async () => {
        const record = usageRecord({ id: 'rec_1', costNanoUsd: 5 })
        await append(record)
        await append({ ...record, costNanoUsd: 7 })
        expect((await opened.store.records.summary({})).costNanoUsd).toBe(5)
        expect(await ids({})).toEqual(['rec_1'])
      })

      it('pages newest first without gap or repetition while records arrive', async () => {
        const all = Array.from({ length: 25 }, (_, i) =>
          // Three to a millisecond: the id decides within it.
          usageRecord({ id: `rec_${100 + i}`, startedAtMs: START + Math.floor(i / 3) }),
        )
        await append(...all)
        const seen: string[] = []
        let cursor: string | null = null
        do {
          const page: Awaited<ReturnType<Store['records']['list']>> =
            await opened.store.records.list({}, { limit: 7, cursor })
          seen.push(...page.items.map((item) => item.id))
          cursor = page.next
          await append(usageRecord({ startedAtMs: START + 1000 }))
        } while (cursor !== null)
        expect(seen).toEqual(all.map((record) => record.id).toReversed())
      })

      it('ends with next null when the last page is exactly full', async () => {
        await append(usageRecord({ id: 'rec_1' }), usageRecord({ id: 'rec_2' }))
        const page = await opened.store.records.list({}, { limit: 2, cursor: null })
        expect(page.items).toHaveLength(2)
        expect(page.next).toBeNull()
      })

      it('filters by every field, since included and until excluded', async () => {
        await append(
          usageRecord({ id: 'rec_1', keyId: 'key_b', model: 'm', startedAtMs: START }),
          usageRecord({ id: 'rec_2', provider: 'local', project: 'p', startedAtMs: START + 1 }),
          usageRecord({ id: 'rec_3', status: 404, requestId: 'req_x', startedAtMs: START + 2 }),
        )
        expect(await ids({ keyId: 'key_b' })).toEqual(['rec_1'])
        expect(await ids({ model: 'm' })).toEqual(['rec_1'])
        expect(await ids({ provider: 'local' })).toEqual(['rec_2'])
        expect(await ids({ project: 'p' })).toEqual(['rec_2'])
        expect(await ids({ status: '4xx' })).toEqual(['rec_3'])
        expect(await ids({ status: '404' })).toEqual(['rec_3'])
        expect(await ids({ status: '403' })).toEqual([])
        expect(await ids({ requestId: 'req_x' })).toEqual(['rec_3'])
        expect(await ids({ sinceMs: START + 1, untilMs: START + 2 })).toEqual(['rec_2'])
        expect(await ids({ model: `' OR 1=1 --` })).toEqual([])
      })

      it('refuses a cursor or a status that it cannot read, as a fault of the request', async () => {
        const { records } = opened.store
        const invalid = expect.objectContaining({ code: 'invalid_request' })
        for (const cursor of ['x', '', Buffer.from('1e5:rec').toString('base64url')]) {
          await expect(records.list({}, { limit: 1, cursor })).rejects.toEqual(invalid)
        }
        await expect(ids({ status: 'ok' })).rejects.toEqual(invalid)
      })

      it('iterates oldest first over more than one page', async () => {
        const all = Array.from({ length: 450 }, (_, i) =>
          usageRecord({ id: `rec_${1000 + i}`, startedAtMs: START + Math.floor(i / 2) }),
        )
        await append(...all)
        const seen: string[] = []
        for await (const record of opened.store.records.iterate({ untilMs: START + 220 })) {
          seen.push(record.id)
        }
        expect(seen).toEqual(all.slice(0, 440).map((record) => record.id))
      })

      it('sums exactly, and the parts add up to the whole', async () => {
        await append(
          usageRecord({ costNanoUsd: 9_000_000_000_000_001 - 10, savedNanoUsd: 3 }),
          usageRecord({ costNanoUsd: 9, model: 'other', keyId: 'key_b' }),
          usageRecord({ costNanoUsd: null, provider: null, keyId: null, errorClass: 'internal' }),
        )
        const summary = await opened.store.records.summary({})
        expect(summary).toMatchObject({
          requests: 3,
          errors: 1,
          costNanoUsd: 9_000_000_000_000_000,
          savedNanoUsd: 3,
          usage: { input: 300, output: 60, cacheRead: 0, reasoning: 0 },
        })
        for (const rows of [summary.byModel, summary.byKey, summary.byProvider]) {
          expect(rows.reduce((sum, row) => sum + row.costNanoUsd, 0)).toBe(summary.costNanoUsd)
          expect(rows.reduce((sum, row) => sum + row.requests, 0)).toBe(3)
        }
        expect(summary.byModel.map((row) => row.name)).toEqual(['gpt-4o-mini', 'other'])
        expect(summary.byKey.map((row) => row.name)).toEqual(['key_a', 'key_b', 'none'])
      })

      it('sums nothing to zero', async () => {
        const summary = await opened.store.records.summary({ keyId: 'key_none' })
        expect(summary).toMatchObject({ requests: 0, costNanoUsd: 0, byModel: [], byKey: [] })
      })

      it('prunes what started before and nothing else', async () => {
        const old = Array.from({ length: 2100 }, (_, i) => usageRecord({ startedAtMs: START + i }))
        await append(...old, usageRecord({ id: 'rec_new', startedAtMs: START + 5000 }))
        expect(await opened.store.records.prune(START + 5000)).toBe(2100)
        expect(await ids({})).toEqual(['rec_new'])
        expect(await opened.store.records.prune(START + 5000)).toBe(0)
      })
    })

    describe('counters', () => {
      it('commits counters together with records; the last state wins', async () => {
        const states = [[{ counterKey: 'c', state: '1' }], [{ counterKey: 'c', state: '2' }]]
        opened.ledger.countersFrom(() => states.shift() ?? [])
        await opened.ledger.append(usageRecord({ id: 'rec_1' }))
        await opened.ledger.append(usageRecord({ id: 'rec_2' }))
        await reopen()
        expect(await opened.store.counters.list()).toEqual([{ counterKey: 'c', state: '2' }])
      })

      it('puts states after those that were appended before', async () => {
        const states = [[{ counterKey: 'c', state: 'used' }]]
        opened.ledger.countersFrom(() => states.shift() ?? [])
        const appended = opened.ledger.append(usageRecord())
        await opened.store.counters.put([{ counterKey: 'c', state: 'reset' }])
        await appended
        expect(await opened.store.counters.list()).toEqual([{ counterKey: 'c', state: 'reset' }])
      })
    })

    it('answers a check while open and fails it when closed', async () => {
      await opened.store.check()
      await opened.store.close()
      await expect(opened.store.check()).rejects.toMatchObject({ name: 'StoreError' })
      await expect(opened.ledger.append(usageRecord())).rejects.toMatchObject({
        code: 'ledger_unavailable',
      })
    })

    it('commits what was accepted before it closes', async () => {
      const appended = opened.ledger.append(usageRecord({ id: 'rec_last' }))
      await reopen()
      await appended
      const page = await opened.store.records.list({}, { limit: 1, cursor: null })
      expect(page.items[0]?.id).toBe('rec_last')
    })
  })
}

const bareKey: KeyRecord = {
  id: 'key_bare',
  name: 'bare',
  last4: 'wxyz',
  hash: 'cd34',
  previousHash: null,
  previousHashUntilMs: null,
  createdAtMs: START,
  createdBy: 'cli',
  updatedAtMs: START,
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

const fullKey: KeyRecord = {
  id: 'key_full',
  name: 'full',
  last4: 'abcd',
  hash: 'ab12',
  previousHash: 'ab11',
  previousHashUntilMs: START + 1,
  createdAtMs: START,
  createdBy: 'admin',
  updatedAtMs: START + 2,
  lastUsedAtMs: START + 3,
  expiresAtMs: START + 4,
  enabled: false,
  revokedAtMs: START + 5,
  rotateEveryMs: 86_400_000,
  rotatedAtMs: START + 6,
  scopes: ['usage:read'],
  subject: { team: 'research', rolegroup: 'eng', role: 'dev', user: 'ada' },
  policy: { limits: [{ id: 'a', amount: 1.5 }] },
  policies: ['contractor', 'eu'],
  metadata: { project: 'x' },
}

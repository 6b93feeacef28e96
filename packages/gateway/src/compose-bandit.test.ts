import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { composeBandit } from './compose-bandit.ts'
import type { Store } from './contracts/store.ts'
import { USUAL_FORGETTING } from './data-plane/routing/thompson-bandit.ts'
import { openSqliteStore } from './storage/sqlite/open-sqlite-store.ts'

const CONTEXT = { size: 'small', tools: false } as const

describe('composeBandit', () => {
  let directory: string
  let store: Store

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'bandit-'))
    ;({ store } = await openSqliteStore({ path: path.join(directory, 'test.db') }))
  })

  afterEach(async () => {
    await store.close()
    await rm(directory, { recursive: true, force: true })
  })

  const composed = (instance?: string) =>
    composeBandit(instance === undefined ? store : { ...store, instance }, () => USUAL_FORGETTING)

  it('goes on where the former process ended', async () => {
    const before = await composed()
    const now = Date.now()
    before.bandit.observe({ target: 'p/m', among: ['p/m'], context: CONTEXT, reward: 0.9 }, now)
    await before.sync()
    const after = await composed()
    const [draw] = after.bandit.draw(['p/m'], CONTEXT, 's', now)
    expect(draw?.alpha).toBeCloseTo(1 + 4 * 0.9)
  })

  it('learns what gateways that share the store have learned, and counts itself once', async () => {
    const one = await composed('one')
    const other = await composed('other')
    const now = Date.now()
    one.bandit.observe({ target: 'p/m', among: [], context: CONTEXT, reward: 1 }, now)
    other.bandit.observe({ target: 'p/m', among: [], context: CONTEXT, reward: 0 }, now)
    await one.sync()
    await other.sync()
    await one.sync()
    for (const { bandit } of [one, other]) {
      const [draw] = bandit.draw(['p/m'], CONTEXT, 's', now)
      expect(draw?.alpha).toBeCloseTo(5)
      expect(draw?.beta).toBeCloseTo(5)
    }
  })

  it('keeps what could not be saved for the next time', async () => {
    let away = true
    const notes: Store['notes'] = {
      ...store.notes,
      put: (kind, each) => (away ? Promise.reject(new Error('away')) : store.notes.put(kind, each)),
    }
    const { bandit, sync } = await composeBandit({ ...store, notes }, () => USUAL_FORGETTING)
    bandit.observe({ target: 'p/m', among: [], context: CONTEXT, reward: 1 }, 0)
    await expect(sync()).rejects.toThrow('away')
    away = false
    await sync()
    expect(await store.notes.list('arm')).toHaveLength(1)
  })

  it('passes over what it did not write', async () => {
    const odd = ['{', '7', '{"rewards":-1}', '{"rewards":1,"count":"2"}', 'null']
    const notes = odd.map((body, i) => ({
      name: `local small t${i}`,
      body,
      updatedAtMs: Date.now(),
    }))
    await store.notes.put('arm', notes)
    const { bandit } = await composed()
    expect(bandit.list(Date.now())).toEqual([])
  })
})

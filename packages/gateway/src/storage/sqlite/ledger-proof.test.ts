import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ChainReading, LedgerReading } from '../../contracts/ledger-proof.ts'
import { usageRecord } from '../../testing/usage-record.ts'
import { openSqliteStore } from './open-sqlite-store.ts'

const RECORDS = 50
const KEY = 'a key of the tests'
const START = 1_750_000_000_000

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'tollgate-proof-'))
  file = path.join(folder, 'tollgate.db')
})
afterEach(() => rmSync(folder, { recursive: true }))

type Options = { readonly chainKeys?: readonly string[] }

async function write(count: number, from = 0, options: Options = {}): Promise<void> {
  const { store, ledger } = await openSqliteStore({ path: file, chainKeys: [KEY], ...options })
  for (let i = from; i < from + count; i++) {
    const charges = [{ counter: 'life|key|a', amount: 10, at: 0, era: 7 }]
    void ledger.append(usageRecord({ id: `rec_${i}`, startedAtMs: START + i, charges }))
    if (i % 7 === 0) await ledger.flush()
  }
  await store.close()
}

async function read(chain = true, options: Options = {}): Promise<LedgerReading> {
  const { store } = await openSqliteStore({ path: file, chainKeys: [KEY], ...options })
  try {
    if (store.proof === undefined) throw new Error('no proof')
    return await store.proof.read({ chain })
  } finally {
    await store.close()
  }
}

async function chainOf(options: Options = {}): Promise<ChainReading> {
  const { chain } = await read(true, options)
  if (chain === null) throw new Error('no chain')
  return chain
}

function tamper(sql: string): void {
  const database = new DatabaseSync(file)
  database.exec(sql)
  database.close()
}

describe('proof of the ledger', () => {
  it('finds nothing in what the writer wrote, over several starts', async () => {
    await write(RECORDS)
    await write(RECORDS, RECORDS)
    const reading = await read()
    expect(reading.records).toBe(2 * RECORDS)
    expect(reading.charged).toEqual([
      { counter: 'life|key|a', amount: 10 * 2 * RECORDS, at: 0, era: 7 },
    ])
    expect(reading.chain).toMatchObject({ checked: 2 * RECORDS, unlinked: 0, findingsTotal: 0 })
    expect(reading.chain?.checkpoints).toBeGreaterThanOrEqual(2)
  })

  it.each([
    [
      'an edit of a record',
      `UPDATE record_bodies SET body = replace(body, '27000', '26000') WHERE body_id = 20`,
      20,
    ],
    ['an edit of a column', 'UPDATE records SET cost_nanousd = 1 WHERE body_id = 20', 20],
    [
      'an edit of both',
      `UPDATE records SET cost_nanousd = 26000 WHERE body_id = 20; UPDATE record_bodies SET body = replace(body, '27000', '26000') WHERE body_id = 20`,
      20,
    ],
    [
      'a deletion',
      'DELETE FROM records WHERE body_id = 20; DELETE FROM record_bodies WHERE body_id = 20',
      21,
    ],
    [
      'a deletion at the start',
      'DELETE FROM records WHERE body_id <= 3; DELETE FROM record_bodies WHERE body_id <= 3',
      4,
    ],
    ['a deletion of a row', 'DELETE FROM records WHERE body_id = 20', 20],
    [
      'another order',
      'UPDATE record_bodies SET body_id = -1 WHERE body_id = 20; UPDATE record_bodies SET body_id = 20 WHERE body_id = 21; UPDATE record_bodies SET body_id = 21 WHERE body_id = -1',
      20,
    ],
    ['a link taken away', 'UPDATE record_bodies SET link = NULL WHERE body_id = 20', 20],
    [
      'a link of another record',
      'UPDATE record_bodies SET link = (SELECT link FROM record_bodies WHERE body_id = 5) WHERE body_id = 20',
      20,
    ],
    [
      'a start of the chain that moved',
      'UPDATE chain_start SET body_id = 20, link = (SELECT link FROM record_bodies WHERE body_id = 20)',
      20,
    ],
    [
      'a cut of the end',
      `DELETE FROM records WHERE body_id > ${RECORDS - 5}; DELETE FROM record_bodies WHERE body_id > ${RECORDS - 5}`,
      RECORDS,
    ],
  ])('finds %s', async (_what, sql, position) => {
    await write(RECORDS)
    tamper(sql)
    const { findings, findingsTotal } = await chainOf()
    expect(findingsTotal).toBeGreaterThan(0)
    expect(findings.map((one) => one.position)).toContain(position)
  })

  it('finds an insertion, also one whose writer knows how links are made but not the key', async () => {
    await write(RECORDS)
    await write(1, RECORDS, { chainKeys: ['another key'] })
    const { findings } = await chainOf()
    expect(findings).toContainEqual({
      position: RECORDS + 1,
      recordId: `rec_${RECORDS}`,
      problem: expect.stringContaining('was edited, inserted or moved'),
    })
  })

  it('finds an insertion without a link', async () => {
    await write(RECORDS)
    await write(1, RECORDS, { chainKeys: [] })
    expect((await chainOf()).findings).toMatchObject([{ position: RECORDS + 1 }])
  })

  it('finds an end that was cut and written again, by the checkpoints', async () => {
    await write(RECORDS)
    const noted = readFileSync(`${file}-checkpoints`)
    tamper(`DELETE FROM records WHERE body_id > 40; DELETE FROM record_bodies WHERE body_id > 40`)
    await write(20, 100)
    expect((await chainOf()).findings).toMatchObject([
      { position: RECORDS, problem: expect.stringContaining('has another link') },
    ])
    writeFileSync(`${file}-checkpoints`, noted)
    appendFileSync(`${file}-checkpoints`, '{"at":"x","body_id":5,"link":"00","mac":"00"}\n')
    expect((await chainOf()).findings).toContainEqual({
      position: 5,
      recordId: null,
      problem: 'a checkpoint was not written by the gateway',
    })
  })

  it('accepts links of a former key, and keeps the sums and the chain of what retention took', async () => {
    await write(RECORDS)
    await write(RECORDS, RECORDS, { chainKeys: ['the next key', KEY] })
    const options = { chainKeys: ['the next key', KEY] }
    const { store } = await openSqliteStore({ path: file, ...options })
    const state = JSON.stringify({ era: 7, meter: {} })
    await store.counters.put([{ counterKey: 'life|key|a', state }])
    expect(await store.records.prune(START + 70)).toBe(70)
    await store.close()
    const reading = await read(true, options)
    expect(reading.records).toBe(30)
    expect(reading.charged).toEqual([
      { counter: 'life|key|a', amount: 10 * 2 * RECORDS, at: 0, era: 7 },
    ])
    expect(reading.chain).toMatchObject({ checked: 30, findingsTotal: 0 })
  })

  it('says which records are older than the chain', async () => {
    await write(RECORDS, 0, { chainKeys: [] })
    await write(10, RECORDS)
    expect(await chainOf()).toMatchObject({ checked: 10, unlinked: RECORDS, findingsTotal: 0 })
  })
})

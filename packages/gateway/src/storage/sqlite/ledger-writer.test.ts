import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { StoreError } from '../../errors/store-error.ts'
import { usageRecord } from '../../testing/usage-record.ts'
import { createLedgerWriter } from './ledger-writer.ts'
import { NO_ROWS, type SqlResult, type WorkerCall } from './messages.ts'
import { openSqliteStore } from './open-sqlite-store.ts'

const CHILD = fileURLToPath(new URL('../../testing/ledger-child.ts', import.meta.url))

describe('ledger writer', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  it('writes what is appended in one turn as one batch, and what comes meanwhile as the next', async () => {
    const worker = fakeWorker()
    const ledger = createLedgerWriter(worker)
    const first = [ledger.append(usageRecord()), ledger.append(usageRecord())]
    await worker.called(1)
    const second = [1, 2, 3].map(() => ledger.append(usageRecord()))
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(worker.batchSizes()).toEqual([2])
    worker.answer()
    await Promise.all(first)
    await worker.called(2)
    expect(worker.batchSizes()).toEqual([2, 3])
    expect(ledger.pending()).toHaveLength(3)
    worker.answer()
    await Promise.all(second)
    expect(ledger.pending()).toEqual([])
  })

  it('rejects the batch that failed, is unhealthy, and recovers by itself', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const worker = fakeWorker()
    const ledger = createLedgerWriter(worker)
    const append = ledger.append(usageRecord())
    await worker.called(1)
    worker.answer(new StoreError('full', 'database or disk is full'))
    await expect(append).rejects.toMatchObject({ code: 'ledger_unavailable', status: 503 })
    expect(ledger.healthy()).toBe(false)
    // Told, but not forgotten.
    expect(ledger.pending()).toMatchObject([{ complete: false, errorClass: 'ledger_unavailable' }])

    vi.advanceTimersByTime(1000)
    await worker.called(2)
    expect(worker.calls[1]?.kind).toBe('probe')
    worker.answer(new StoreError('full', 'still full'))
    await Promise.resolve()
    await new Promise((resolve) => setImmediate(resolve))
    expect(ledger.healthy()).toBe(false)

    vi.advanceTimersByTime(1000)
    await worker.called(3)
    worker.answer()
    await new Promise((resolve) => setImmediate(resolve))
    expect(ledger.healthy()).toBe(true)
    expect(worker.calls[3]?.kind).toBe('append')
    const committed: string[] = []
    ledger.onCommitted?.((records) => committed.push(...records.map(({ id }) => id)))
    worker.answer()
    await ledger.flush()
    expect(committed).toHaveLength(1)
    expect(ledger.pending()).toEqual([])
  })

  it('keeps of what failed only what was sent, and writes it with the next batch', async () => {
    const worker = fakeWorker()
    const ledger = createLedgerWriter(worker)
    const failing = [ledger.append(usageRecord()), ledger.append(usageRecord({ attempts: [] }))]
    await worker.called(1)
    worker.answer(new StoreError('full', 'database or disk is full'))
    await Promise.allSettled(failing)
    const append = ledger.append(usageRecord())
    await worker.called(2)
    expect(worker.batchSizes()).toEqual([2, 2])
    worker.answer()
    await append
    expect(ledger.pending()).toEqual([])
  })

  it('is healthy again when a batch commits before the next probe', async () => {
    const worker = fakeWorker()
    const ledger = createLedgerWriter(worker)
    const failing = ledger.append(usageRecord())
    await worker.called(1)
    worker.answer(new StoreError('busy', 'locked'))
    await expect(failing).rejects.toMatchObject({ code: 'ledger_unavailable' })
    const append = ledger.append(usageRecord())
    await worker.called(2)
    worker.answer()
    await append
    expect(ledger.healthy()).toBe(true)
  })

  it('refuses to hold more than a bounded number of records', async () => {
    const worker = fakeWorker()
    const ledger = createLedgerWriter(worker)
    const record = usageRecord()
    const appends = Array.from({ length: 10_000 }, () => ledger.append(record))
    await expect(ledger.append(record)).rejects.toMatchObject({ code: 'ledger_unavailable' })
    expect(ledger.pending()).toHaveLength(10_000)
    await worker.called(1)
    worker.answer()
    await Promise.all(appends)
    expect(ledger.healthy()).toBe(true)
  })

  it('does not end the process when nobody waits for a rejected append', async () => {
    const worker = fakeWorker()
    const ledger = createLedgerWriter(worker)
    const unhandled = vi.fn<(reason: unknown) => void>()
    process.on('unhandledRejection', unhandled)
    void ledger.append(usageRecord())
    await worker.called(1)
    worker.answer(new StoreError('failed', 'no'))
    await new Promise((resolve) => setTimeout(resolve, 5))
    process.off('unhandledRejection', unhandled)
    expect(unhandled).not.toHaveBeenCalled()
  })
})

describe('ledger on a real file', () => {
  let directory: string
  let path: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tollgate-ledger-'))
    path = join(directory, 'tollgate.db')
  })
  afterEach(() => rm(directory, { recursive: true }))

  it('refuses within a second while another process holds the lock, still reads, and recovers', async () => {
    const { store, ledger } = await openSqliteStore({ path })
    await ledger.append(usageRecord())
    const other = new DatabaseSync(path)
    other.exec('BEGIN EXCLUSIVE')
    const startedMs = performance.now()
    await expect(ledger.append(usageRecord())).rejects.toMatchObject({
      code: 'ledger_unavailable',
    })
    expect(performance.now() - startedMs).toBeLessThan(1000)
    expect(ledger.healthy()).toBe(false)
    expect((await store.records.summary({})).requests).toBe(1)
    other.exec('ROLLBACK')
    other.close()
    await vi.waitFor(() => expect(ledger.healthy()).toBe(true), { timeout: 3000 })
    await ledger.append(usageRecord())
    expect((await store.records.summary({})).requests).toBe(3)
    await store.close()
  })

  it('loses nothing that was acknowledged when the process is killed, round after round', async () => {
    const acknowledged = new Set<string>()
    for (let round = 0; round < 5; round++) {
      const child = spawn(process.execPath, [CHILD, path, String(round)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const exited = once(child, 'exit')
      const lines = collectLines(child)
      await vi.waitFor(() => expect(lines.length).toBeGreaterThan(50 + round * 150), 10_000)
      child.kill('SIGKILL')
      await exited
      for (const line of lines) if (line.startsWith('ok ')) acknowledged.add(line.slice(3))
    }
    const { store } = await openSqliteStore({ path })
    const stored = new Set<string>()
    for await (const record of store.records.iterate({})) stored.add(record.id)
    expect(acknowledged.size).toBeGreaterThan(1000)
    expect([...acknowledged].filter((id) => !stored.has(id))).toEqual([])
    // No half rows: the sum over columns and the bodies agree.
    expect((await store.records.summary({})).costNanoUsd).toBe(stored.size)
    await store.close()
  }, 60_000)

  it.skipIf(process.platform !== 'linux')(
    'refuses when the file may not grow, and recovers without a restart when it may',
    async () => {
      const { store } = await openSqliteStore({ path })
      await store.close()
      const child = spawn(
        'prlimit',
        ['--fsize=400000:unlimited', process.execPath, CHILD, path, 'x'],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      )
      const exited = once(child, 'exit')
      const lines = collectLines(child)
      await vi.waitFor(() => expect(lines.at(-1)).toBe('failed unhealthy'), 10_000)
      const before = lines.filter((line) => line.startsWith('ok ')).length
      expect(before).toBeGreaterThan(0)
      await promisify(execFile)('prlimit', [`--pid=${child.pid}`, '--fsize=unlimited'])
      await vi.waitFor(() => expect(lines.at(-1)).toMatch(/^ok /), 5000)
      child.kill('SIGKILL')
      await exited
      const reopened = await openSqliteStore({ path })
      const { requests } = await reopened.store.records.summary({})
      expect(requests).toBeGreaterThanOrEqual(lines.filter((line) => line.startsWith('ok ')).length)
      await reopened.store.close()
    },
    30_000,
  )
})

/** Complete lines only: a line that was cut by the kill was not acknowledged. */
function collectLines(child: ChildProcess): string[] {
  const lines: string[] = []
  let rest = ''
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
  })
  return lines
}

type FakeWorker = {
  readonly calls: readonly WorkerCall[]
  call(call: WorkerCall): Promise<SqlResult>
  called(count: number): Promise<void>
  answer(error?: StoreError): void
  batchSizes(): number[]
}

function fakeWorker(): FakeWorker {
  const calls: WorkerCall[] = []
  let open: PromiseWithResolvers<SqlResult> | null = null
  return {
    calls,
    call(call) {
      calls.push(call)
      open = Promise.withResolvers()
      return open.promise
    },
    async called(count) {
      while (calls.length < count) await new Promise((resolve) => setImmediate(resolve))
    },
    answer(error) {
      if (error === undefined) open?.resolve(NO_ROWS)
      else open?.reject(error)
    },
    batchSizes: () =>
      calls.map((call) => (call.kind === 'append' ? call.batch.lines.split('\n').length : 0)),
  }
}

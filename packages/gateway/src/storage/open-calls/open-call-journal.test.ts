import type * as nodeFs from 'node:fs'
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { LeftCall, OpenCall } from '../../contracts/open-calls.ts'
import { openCallJournal, type OpenCallJournal } from './open-call-journal.ts'

const disk = vi.hoisted(() => ({ fails: false, marksFail: false, writes: 0 }))
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof nodeFs>()
  const writeSync = (fd: number, bytes: Buffer, ...rest: [number, number, number]): number => {
    disk.writes += 1
    if (bytes.length > 1 ? disk.fails : disk.marksFail) throw new Error('ENOSPC')
    return fs.writeSync(fd, bytes, ...rest)
  }
  return { ...fs, writeSync }
})

let folder: string
let file: string
let problems: string[] = []
const open: OpenCallJournal[] = []

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'tollgate-open-calls-'))
  file = path.join(folder, 'open-calls.journal')
  problems = []
})
afterEach(() => {
  for (const one of open.splice(0)) one.close()
  rmSync(folder, { recursive: true })
})

function noteProblem(problem: string): void {
  problems.push(problem)
}

function journal(options: { sync?: boolean; mostSlots?: number } = {}): OpenCallJournal {
  const opened = openCallJournal({ path: file, sync: false, onProblem: noteProblem, ...options })
  open.push(opened)
  return opened
}

function call(requestId: string, overrides: Partial<OpenCall> = {}): OpenCall {
  return {
    requestId,
    startedAtMs: 1_750_000_000_000,
    keyId: 'key_a',
    endpoint: 'chat',
    protocol: 'openai-chat',
    stream: true,
    requestedModel: 'm',
    model: 'm',
    provider: 'p',
    target: 'p/m',
    inputTokens: 10,
    outputTokens: 20,
    costNanoUsd: null,
    charges: [
      {
        counter: 'life|key|key_a',
        amount: 30,
        at: 0,
        era: 7,
        id: 'life',
        scope: 'key',
        value: 'key_a',
        unit: 'tokens',
        algorithm: { kind: 'lifetime', amount: 100 },
      },
    ],
    ...overrides,
  }
}

async function noteAll(into: OpenCallJournal, ...names: string[]): Promise<void> {
  await Promise.all(names.map((name) => into.note(call(name))))
}

function leftCall(requestId: string, sent = true): LeftCall {
  return { ...call(requestId), sent }
}

const ids = ({ left }: OpenCallJournal): string[] => left.map(({ requestId }) => requestId)

describe('journal of open calls', () => {
  it('gives the next process what was noted and not done, whole, and nothing else', async () => {
    const first = journal()
    await noteAll(first, 'a', 'b', 'c')
    first.done('b')
    await first.note(call('d', { charges: [] }))
    await vi.waitFor(() => expect(ids(journal())).not.toContain('b'))
    // No close: the process was killed.
    const second = journal()
    expect(ids(second).toSorted()).toEqual(['a', 'c', 'd'])
    expect(second.left.find(({ requestId }) => requestId === 'a')).toEqual(leftCall('a'))
    expect(problems).toEqual([])
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  it('keeps what was left until it is done, however often it is opened', async () => {
    await journal().note(call('a'))
    expect(ids(journal())).toEqual(['a'])
    const third = journal()
    expect(ids(third)).toEqual(['a'])
    await noteAll(third, ...[0, 1, 2, 3, 4].map((i) => `new-${i}`))
    third.done('a')
    third.close()
    open.pop()
    expect(ids(journal()).toSorted()).toEqual(['new-0', 'new-1', 'new-2', 'new-3', 'new-4'])
  })

  it('tells what waits for a connection from what was sent, whatever is noted again', async () => {
    const first = journal({ mostSlots: 3 })
    await noteAll(first, 'a', 'b', 'c')
    for (const id of ['a', 'b', 'unknown']) first.waits(id)
    expect(journal().left).toEqual([leftCall('a', false), leftCall('b', false), leftCall('c')])
    first.sends('a')
    const before = disk.writes
    for (const id of ['a', 'c', 'unknown']) first.sends(id)
    // A further attempt waits: the first one was sent.
    for (const id of ['a', 'c']) first.waits(id)
    expect(disk.writes).toBe(before)
    await noteAll(first, 'a', 'b')
    expect(journal().left).toEqual([leftCall('a'), leftCall('b', false), leftCall('c')])
    const again = first.note(call('b'))
    first.sends('b')
    await again
    expect(journal().left).toEqual([leftCall('a'), leftCall('b'), leftCall('c')])
    // Who has the slot next does not wait.
    for (const id of ['a', 'b', 'c']) first.done(id)
    await noteAll(first, 'd', 'e', 'f')
    expect(journal().left).toEqual([leftCall('d'), leftCall('e'), leftCall('f')])
  })

  it('refuses to send what it cannot mark as sent', async () => {
    const first = journal()
    await first.note(call('a'))
    first.waits('a')
    disk.marksFail = true
    expect(() => first.sends('a')).toThrow(/cannot be noted/)
    disk.marksFail = false
    expect(journal().left).toEqual([leftCall('a', false)])
  })

  it('with sync takes what is noted for sent: the mark might not outlive the power', async () => {
    const synced = journal({ sync: true })
    await synced.note(call('a'))
    synced.waits('a')
    expect(journal().left).toEqual([leftCall('a')])
  })

  it('replaces the note of a request, and uses slots again instead of growing', async () => {
    const first = journal()
    await first.note(call('a', { outputTokens: 1 }))
    for (let i = 0; i < 1000; i++) {
      await first.note(call(`n${i}`))
      first.done(`n${i}`)
    }
    await Promise.all([2, 3].map((outputTokens) => first.note(call('a', { outputTokens }))))
    expect(statSync(file).size).toBeLessThan(66 * 4096)
    const again = journal()
    expect(again.left.find(({ requestId }) => requestId === 'a')?.outputTokens).toBe(3)
  })

  it('writes the calls of one turn together, and holds back each until it is written', async () => {
    const first = journal()
    const before = disk.writes
    const names = Array.from({ length: 40 }, (_, i) => `n${i}`)
    const noted = noteAll(first, ...names)
    expect(disk.writes).toBe(before)
    expect(ids(journal())).toEqual([])
    const opened = disk.writes
    await noted
    expect(disk.writes).toBe(opened + 1)
    expect(ids(journal()).toSorted()).toEqual(names.toSorted())
  })

  it('has every open call in the file after each turn, in whatever order calls begin and end', async () => {
    const first = journal()
    const under = new Map<string, OpenCall>()
    let seed = 1
    const draw = (below: number): number => {
      seed = (seed * 48_271) % 2_147_483_647
      return seed % below
    }
    for (let turn = 0; turn < 40; turn++) {
      for (const id of under.keys()) {
        if (draw(3) > 0) continue
        under.delete(id)
        first.done(id)
      }
      const notes: Promise<void>[] = []
      for (let i = draw(90); i > 0; i--) {
        const again = draw(10) === 0 ? [...under.keys()][draw(under.size)] : undefined
        const one = call(again ?? `t${turn}-${i}`, { outputTokens: draw(1000) })
        under.set(one.requestId, one)
        notes.push(first.note(one))
      }
      await Promise.all(notes)
      const found = new Map(journal().left.map((one) => [one.requestId, one]))
      for (const [id, one] of under) expect(found.get(id)).toMatchObject(one)
      open.pop()?.close()
    }
    expect(problems).toEqual([])
  })

  it('refuses the calls of a turn that cannot be written, keeps no trace of them, and goes on', async () => {
    const first = journal()
    await first.note(call('a'))
    disk.fails = true
    const failed = await Promise.allSettled([first.note(call('b')), first.note(call('c'))])
    disk.fails = false
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    await first.note(call('d'))
    expect(ids(journal()).toSorted()).toEqual(['a', 'd'])
  })

  it('refuses a call beyond its slots, and one that has no room in a slot', async () => {
    const small = journal({ mostSlots: 2 })
    await noteAll(small, 'a', 'b')
    expect(() => void small.note(call('c'))).toThrow(/Too many calls/)
    small.done('a')
    await small.note(call('c'))
    small.done('b')
    const [charge] = call('x').charges
    if (charge === undefined) throw new Error('no charge')
    const wide = call('d', { charges: Array.from({ length: 60 }, () => charge) })
    expect(() => void small.note(wide)).toThrow(/cannot be noted/)
    await small.note(call('e'))
    expect(ids(journal()).toSorted()).toEqual(['c', 'e'])
  })

  it('with sync waits for the disk, together', async () => {
    const synced = journal({ sync: true })
    await Promise.all(Array.from({ length: 200 }, async (_, i) => await synced.note(call(`s${i}`))))
    expect(ids(journal())).toHaveLength(200)
  })

  it('cut at any byte: never throws, and loses at most the slot that was cut', async () => {
    const first = journal()
    await noteAll(first, 'a', 'b', 'c')
    const whole = readFileSync(file)
    for (let length = 0; length <= whole.length; length += 97) {
      writeFileSync(file, whole)
      truncateSync(file, length)
      const cut = journal()
      expect(ids(cut).length).toBeGreaterThanOrEqual(Math.floor((length - 4096) / 4096))
      for (const id of ids(cut)) expect(['a', 'b', 'c']).toContain(id)
      await cut.note(call('new'))
      open.pop()?.close()
    }
  })

  it('with any bit flipped: no call is read that was not written, and the others stay', async () => {
    const first = journal()
    await noteAll(first, 'a', 'b', 'c')
    const whole = readFileSync(file)
    const places = Array.from({ length: Math.floor(whole.length / 13) }, (_, i) => i * 13)
    for (const at of [...places, 4096, 8192, 12_288]) {
      const flipped = Buffer.from(whole)
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8))
      writeFileSync(file, flipped)
      problems = []
      const opened = journal()
      const kept = opened.left.map(({ requestId }) => leftCall(requestId))
      expect(opened.left).toEqual(kept)
      const inHeader = at < 12
      const isFreed = at >= 4096 && at % 4096 === 0
      expect(kept.length).toBeGreaterThanOrEqual(inHeader ? 0 : 2)
      expect(problems.length > 0 || kept.length === 3 || isFreed).toBe(true)
      open.pop()?.close()
    }
  })

  it('sets another version aside and says so', async () => {
    await journal().note(call('a'))
    const bytes = readFileSync(file)
    bytes.writeUInt32LE(2, 4)
    writeFileSync(file, bytes)
    expect(ids(journal())).toEqual([])
    expect(problems).toEqual([expect.stringContaining('of another version')])
    expect(readdirSync(folder).filter((name) => name.includes('unreadable'))).toHaveLength(1)
  })
})

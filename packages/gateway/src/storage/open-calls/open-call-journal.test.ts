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
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { OpenCall } from '../../contracts/open-calls.ts'
import { openCallJournal, type OpenCallJournal } from './open-call-journal.ts'

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

const ids = ({ left }: OpenCallJournal): string[] => left.map(({ requestId }) => requestId)

describe('journal of open calls', () => {
  it('gives the next process what was noted and not done, whole, and nothing else', () => {
    const first = journal()
    for (const id of ['a', 'b', 'c']) void first.note(call(id))
    first.done('b')
    void first.note(call('d', { charges: [] }))
    // No close: the process was killed.
    const second = journal()
    expect(ids(second).toSorted()).toEqual(['a', 'c', 'd'])
    expect(second.left.find(({ requestId }) => requestId === 'a')).toEqual(call('a'))
    expect(problems).toEqual([])
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  it('keeps what was left until it is done, however often it is opened', () => {
    void journal().note(call('a'))
    expect(ids(journal())).toEqual(['a'])
    const third = journal()
    expect(ids(third)).toEqual(['a'])
    for (let i = 0; i < 5; i++) void third.note(call(`new-${i}`))
    third.done('a')
    third.close()
    open.pop()
    expect(ids(journal()).toSorted()).toEqual(['new-0', 'new-1', 'new-2', 'new-3', 'new-4'])
  })

  it('replaces the note of a request, and uses slots again instead of growing', () => {
    const first = journal()
    void first.note(call('a', { outputTokens: 1 }))
    void first.note(call('a', { outputTokens: 2 }))
    const bytes = statSync(file).size
    for (let i = 0; i < 1000; i++) {
      void first.note(call(`n${i}`))
      first.done(`n${i}`)
    }
    expect(statSync(file).size).toBeLessThan(bytes + 2 * 4096)
    const again = journal()
    expect(again.left.find(({ requestId }) => requestId === 'a')?.outputTokens).toBe(2)
  })

  it('refuses a call beyond its slots, and one that has no room in a slot', () => {
    const small = journal({ mostSlots: 2 })
    void small.note(call('a'))
    void small.note(call('b'))
    expect(() => void small.note(call('c'))).toThrow(/Too many calls/)
    small.done('a')
    void small.note(call('c'))
    small.done('b')
    const [charge] = call('x').charges
    if (charge === undefined) throw new Error('no charge')
    const wide = call('d', { charges: Array.from({ length: 60 }, () => charge) })
    expect(() => void small.note(wide)).toThrow(/cannot be noted/)
    void small.note(call('e'))
    expect(ids(journal()).toSorted()).toEqual(['c', 'e'])
  })

  it('with sync waits for the disk, together', async () => {
    const synced = journal({ sync: true })
    await Promise.all(Array.from({ length: 200 }, async (_, i) => await synced.note(call(`s${i}`))))
    expect(ids(journal())).toHaveLength(200)
  })

  it('cut at any byte: never throws, and loses at most the slot that was cut', () => {
    const first = journal()
    for (const id of ['a', 'b', 'c']) void first.note(call(id))
    const whole = readFileSync(file)
    for (let length = 0; length <= whole.length; length += 97) {
      writeFileSync(file, whole)
      truncateSync(file, length)
      const cut = journal()
      expect(ids(cut).length).toBeGreaterThanOrEqual(Math.floor((length - 4096) / 4096))
      for (const id of ids(cut)) expect(['a', 'b', 'c']).toContain(id)
      void cut.note(call('new'))
    }
  })

  it('with any bit flipped: no call is read that was not written, and the others stay', () => {
    const first = journal()
    for (const id of ['a', 'b', 'c']) void first.note(call(id))
    const whole = readFileSync(file)
    for (let at = 0; at < whole.length; at += 13) {
      const flipped = Buffer.from(whole)
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8))
      writeFileSync(file, flipped)
      problems = []
      const opened = journal()
      const kept = opened.left.map(({ requestId }) => call(requestId))
      expect(opened.left).toEqual(kept)
      const inHeader = at < 12
      const isFreed = at >= 4096 && at % 4096 === 0
      expect(kept.length).toBeGreaterThanOrEqual(inHeader ? 0 : 2)
      expect(problems.length > 0 || kept.length === 3 || isFreed).toBe(true)
    }
  })

  it('sets another version aside and says so', () => {
    void journal().note(call('a'))
    const bytes = readFileSync(file)
    bytes.writeUInt32LE(2, 4)
    writeFileSync(file, bytes)
    expect(ids(journal())).toEqual([])
    expect(problems).toEqual([expect.stringContaining('of another version')])
    expect(readdirSync(folder).filter((name) => name.includes('unreadable'))).toHaveLength(1)
  })
})

import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Spool } from './spool.ts'
import { encodeFrame, type Frame } from './spool-frame.ts'

let folder: string
let problems: string[]
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-spool-'))
  problems = []
})
afterEach(() => rm(folder, { recursive: true }))

function open(given: { rotateBytes?: number; durable?: boolean } = {}): Promise<Spool> {
  return Spool.open({
    directory: join(folder, 'spool'),
    durable: false,
    onProblem: (problem) => void problems.push(problem),
    ...given,
  })
}

function frame(...names: string[]): Frame {
  const lines = names.map((name) => JSON.stringify({ id: name, text: 'TGL1 "\u0000Ä\n' }))
  return { lines, counters: ['c', names.join()], atMs: 1000 }
}

/** Everything there is, in order, marking it done. */
async function takeAll(spool: Spool): Promise<readonly Frame[]> {
  const all: Frame[] = []
  for (;;) {
    const frames = await spool.take()
    if (frames.length === 0) return all
    all.push(...frames)
    await spool.done(frames.length)
  }
}

async function files(): Promise<readonly string[]> {
  return (await readdir(join(folder, 'spool'))).toSorted()
}

describe('the spool', () => {
  it.each([false, true])('gives back what was written, in order (durable: %s)', async (durable) => {
    const spool = await open({ durable })
    await Promise.all([spool.write([frame('a'), frame('b', 'c')]), spool.write([frame('d')])])
    expect(spool.records).toBe(4)
    expect(spool.oldestAtMs).toBe(1000)
    expect(await takeAll(spool)).toEqual([frame('a'), frame('b', 'c'), frame('d')])
    expect(spool.records).toBe(0)
    await spool.close()
    expect(await files()).toEqual([])
  })

  it('keeps files and directory from other users', async () => {
    const spool = await open()
    await spool.write([frame('a')])
    const [name = ''] = await files()
    expect((await stat(join(folder, 'spool'))).mode & 0o777).toBe(0o700)
    expect((await stat(join(folder, 'spool', name))).mode & 0o777).toBe(0o600)
    await spool.close()
  })

  it('gives again to the next process what was not done, and what only its file does not say is done', async () => {
    const first = await open()
    await first.write([frame('a')])
    await first.write([frame('b')])
    await first.done((await first.take()).length - 1)
    // No close: the process was killed.
    const second = await open()
    await second.write([frame('c')])
    expect(await takeAll(second)).toEqual([frame('a'), frame('b'), frame('c')])
    await second.close()
    expect(await files()).toEqual([])
    await first.close()
  })

  it('begins files anew and deletes those that are done', async () => {
    const spool = await open({ rotateBytes: 400 })
    for (let i = 0; i < 20; i++) await spool.write([frame(`r${i}`)])
    expect((await files()).length).toBeGreaterThan(2)
    const before = spool.bytes
    const frames = await spool.take()
    await spool.done(frames.length)
    expect(spool.bytes).toBeLessThan(before)
    expect(await takeAll(spool)).toHaveLength(20 - frames.length)
    expect(spool.bytes).toBeLessThan(400)
    await spool.close()
  })

  it('takes no notice of a frame that was cut, at any byte', async () => {
    const whole = encodeFrame(frame('a'))
    const cut = encodeFrame(frame('b'))
    const path = join(folder, 'spool', '0000000000000001.spool')
    for (let length = 0; length < cut.length; length++) {
      const spool = await open()
      await writeFile(path, Buffer.concat([whole, cut.subarray(0, length)]))
      const again = await open()
      expect(await takeAll(again)).toEqual([frame('a')])
      await again.close()
      await spool.close()
    }
    expect(problems).toEqual([])
  })

  it('finds a flipped bit, keeps the file, tells, and gives the frames around it', async () => {
    const parts = ['a', 'b', 'c'].map((name) => encodeFrame(frame(name)))
    const bytes = Buffer.concat(parts)
    const middle = parts[0]?.length ?? 0
    await (await open()).close()
    for (let at = middle; at < middle + (parts[1]?.length ?? 0); at += 7) {
      const damaged = Buffer.from(bytes)
      damaged.writeUInt8(damaged.readUInt8(at) ^ 4, at)
      await writeFile(join(folder, 'spool', '0000000000000001.spool'), damaged)
      const spool = await open()
      expect(await takeAll(spool)).toEqual([frame('a'), frame('c')])
      await spool.close()
    }
    expect(new Set(problems).size).toBe(1)
    expect(problems[0]).toMatch(/bytes of .*0000000000000001\.spool are damaged/)
    expect(await files()).toEqual(['0000000000000001.spool.damaged'])
  })

  it('writes over what a failed write left', async () => {
    const spool = await open()
    await spool.write([frame('a')])
    const [name = ''] = await files()
    await appendFile(join(folder, 'spool', name), encodeFrame(frame('never told', 'to anybody')))
    await spool.write([frame('b')])
    const again = await open()
    expect((await takeAll(again)).slice(0, 2)).toEqual([frame('a'), frame('b')])
    await again.close()
    await spool.close()
  })

  it('proves that it can write, and leaves nothing of that', async () => {
    const spool = await open()
    await spool.write([frame('a')])
    const [name = ''] = await files()
    const before = await readFile(join(folder, 'spool', name))
    await spool.probe()
    expect(await readFile(join(folder, 'spool', name))).toEqual(before)
    await rm(join(folder, 'spool'), { recursive: true })
    await spool.close()
    await expect(spool.write([frame('b')])).rejects.toThrow('ENOENT')
    await expect(spool.probe()).rejects.toThrow('ENOENT')
    await (await open()).close()
  })
})

import { mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { watchConfig } from './watch-config.ts'

let folder = ''
let file = ''
let stop = (): void => undefined
const onChange = vi.fn<() => void>()

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'watch-'))
  file = join(folder, 'tollgate.yaml')
  writeFileSync(file, 'one')
  onChange.mockClear()
})
afterEach(() => {
  stop()
  rmSync(folder, { recursive: true })
})

function start(): void {
  stop = watchConfig(file, onChange, { debounceMs: 30, pollMs: 60_000 })
}

async function settle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 150))
}

describe('watchConfig', () => {
  it('tells a write once, however many steps it takes', async () => {
    start()
    writeFileSync(file, 'tw')
    writeFileSync(file, 'two')
    await settle()
    expect(onChange).toHaveBeenCalledTimes(1)
  })

  it('survives saves that rename, several times', async () => {
    start()
    for (const text of ['two', 'three']) {
      writeFileSync(`${file}.tmp`, text)
      renameSync(`${file}.tmp`, file)
      await settle()
    }
    expect(onChange).toHaveBeenCalledTimes(2)
  })

  it('waits while the file is missing or empty', async () => {
    start()
    unlinkSync(file)
    await settle()
    writeFileSync(file, '')
    await settle()
    expect(onChange).not.toHaveBeenCalled()
    writeFileSync(file, 'two')
    await settle()
    expect(onChange).toHaveBeenCalledTimes(1)
  })

  it('ignores a save that changes nothing, and other files', async () => {
    start()
    writeFileSync(file, 'one')
    writeFileSync(join(folder, 'other'), 'x')
    await settle()
    expect(onChange).not.toHaveBeenCalled()
  })

  it('follows a link that is swapped, as a mounted ConfigMap does', async () => {
    writeFileSync(join(folder, 'a'), 'a')
    writeFileSync(join(folder, 'b'), 'b')
    unlinkSync(file)
    symlinkSync('a', file)
    start()
    symlinkSync('b', `${file}.new`)
    renameSync(`${file}.new`, file)
    await settle()
    expect(onChange).toHaveBeenCalledTimes(1)
  })

  it('polls where the folder is gone, and stops when told', async () => {
    const gone = join(folder, 'gone', 'tollgate.yaml')
    stop = watchConfig(gone, onChange, { debounceMs: 10, pollMs: 20 })
    stop()
    stop = watchConfig(file, onChange, { debounceMs: 10, pollMs: 20 })
    stop()
    writeFileSync(file, 'two')
    await settle()
    expect(onChange).not.toHaveBeenCalled()
  })
})

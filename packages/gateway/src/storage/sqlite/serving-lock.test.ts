import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openSqliteStore } from './open-sqlite-store.ts'
import { lockForServing } from './serving-lock.ts'

describe('lockForServing', () => {
  let directory: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tollgate-lock-'))
  })
  afterEach(() => rm(directory, { recursive: true }))

  it('refuses a second holder until the first lets go, and names its process', async () => {
    const first = await lockForServing(directory)
    await expect(lockForServing(directory)).rejects.toMatchObject({
      reason: 'served',
      message: expect.stringContaining(`process ${process.pid}`),
    })
    first.release()
    const second = await lockForServing(directory)
    second.release()
  })

  it('does not stop anyone from opening the store', async () => {
    const lock = await lockForServing(directory)
    const { store } = await openSqliteStore({ path: join(directory, 'tollgate.db') })
    expect(await store.keys.list()).toEqual([])
    await store.close()
    lock.release()
  })

  it('vanishes with a process that is killed', async () => {
    const module = fileURLToPath(new URL('./serving-lock.ts', import.meta.url))
    const script = `const { lockForServing } = await import(${JSON.stringify(module)})
      await lockForServing(${JSON.stringify(directory)})
      globalThis.gc()
      console.log('locked')
      setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ['--expose-gc', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    await expect(lockForServing(directory)).rejects.toMatchObject({
      message: expect.stringContaining(`process ${child.pid}`),
    })
    child.kill('SIGKILL')
    await once(child, 'exit')
    const lock = await lockForServing(directory)
    lock.release()
  })
})

import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { StoreError } from '../../errors/store-error.ts'
import { reasonOf } from './engine.ts'
import { prepareStoreDirectory } from './store-directory.ts'

export type ServingLock = { release(): void }

/** Keeps the locks from the garbage collector, which would close and so release them. */
const HELD = new Set<DatabaseSync>()

/**
 * Takes the right to serve the store in `directory`. The lock is one of the operating system's on a file of its own: it
 * ends with the process, however that ends, and does not touch the store itself.
 *
 * @throws StoreError `served`, naming the process that serves
 */
export async function lockForServing(directory: string): Promise<ServingLock> {
  await prepareStoreDirectory(directory)
  const pidPath = join(directory, 'serving.pid')
  const lockPath = join(directory, 'serving.lock')
  closeSync(openSync(lockPath, 'a', 0o600))
  const database = new DatabaseSync(lockPath, { timeout: 0 })
  try {
    database.exec('BEGIN EXCLUSIVE')
  } catch (thrown) {
    database.close()
    if (reasonOf(thrown) !== 'busy') throw thrown
    throw new StoreError(
      'served',
      `The store in ${directory} is already served by ${servingProcess(pidPath)}. Stop that process, or give this one a directory of its own.`,
      { cause: thrown },
    )
  }
  HELD.add(database)
  writeFileSync(pidPath, `${process.pid}\n`, { mode: 0o600 })
  return {
    release() {
      if (!HELD.delete(database)) return
      database.close()
    },
  }
}

function servingProcess(pidPath: string): string {
  try {
    return `process ${readFileSync(pidPath, 'utf8').trim()}`
  } catch {
    return 'another process'
  }
}

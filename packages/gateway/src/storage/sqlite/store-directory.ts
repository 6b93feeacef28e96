import { chmod, mkdir, open, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isRecord } from '../../lib/is-record.ts'

const PRIVATE_DIRECTORY = 0o700
const PRIVATE_FILE = 0o600

/**
 * Makes the directory (0700, ignored by git) and an empty database file (0600) when they are missing. SQLite gives its
 * log files the mode of the database file.
 */
export async function prepareStoreFile(path: string): Promise<void> {
  await prepareStoreDirectory(dirname(path))
  const file = await open(path, 'a', PRIVATE_FILE)
  await file.close()
  for (const suffix of ['', '-wal', '-shm']) await restrict(path + suffix)
}

/** A directory that existed keeps its mode: it may be the operator's own, shared on purpose. */
export async function prepareStoreDirectory(directory: string): Promise<void> {
  const created = await mkdir(directory, { recursive: true, mode: PRIVATE_DIRECTORY })
  if (created === undefined) return
  await chmod(directory, PRIVATE_DIRECTORY)
  await writeFile(join(directory, '.gitignore'), '*\n', { flag: 'a' })
}

async function restrict(path: string): Promise<void> {
  try {
    await chmod(path, PRIVATE_FILE)
  } catch (thrown) {
    // Absent log files are the normal case; a file of another owner is judged when it is opened.
    if (isRecord(thrown) && (thrown['code'] === 'ENOENT' || thrown['code'] === 'EPERM')) return
    throw thrown
  }
}

import {
  chmodSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { isRecord } from '../lib/is-record.ts'
import { CliError } from './cli-error.ts'

const OWNER_ONLY = 0o600

/** Null: there is no such file. Throws `CliError` when it cannot be read. */
export function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch (thrown) {
    if (isRecord(thrown) && thrown['code'] === 'ENOENT') return null
    throw new CliError(`${file} cannot be read (${String(thrown)}).`)
  }
}

/** Replaces the file as a whole, readable by its owner only: it holds a key. A link stays a link. */
export function writePrivate(file: string, text: string): void {
  const target = realPath(file)
  mkdirSync(path.dirname(target), { recursive: true })
  const temporary = `${target}.${process.pid}.tmp`
  writeFileSync(temporary, text, { mode: OWNER_ONLY, flag: 'wx' })
  chmodSync(temporary, OWNER_ONLY)
  renameSync(temporary, target)
}

function realPath(file: string): string {
  try {
    return realpathSync(file)
  } catch {
    return file
  }
}

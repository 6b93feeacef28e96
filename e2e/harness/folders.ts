import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { onClose } from './cleanup.ts'

export const ROOT: string = path.join(import.meta.dirname, '..', '..')

/** A folder that goes away with the test file. */
export function tempFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'tollgate-e2e-'))
  onClose(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
  return folder
}

import { createHash } from 'node:crypto'
import { readFileSync, watch, type FSWatcher } from 'node:fs'
import { dirname } from 'node:path'

export type WatchOptions = {
  /** How long the folder must be quiet before the file is read: editors write in several steps. */
  readonly debounceMs?: number
  /** The file is also read this often, for file systems that report nothing. */
  readonly pollMs?: number
}

const DEBOUNCE_MS = 100
const POLL_MS = 5_000

/**
 * Calls `onChange` when the content of a file becomes another. Returns the function that stops watching.
 *
 * The folder is watched, not the file, because a save that renames (and a mounted ConfigMap) puts another file in its
 * place. A missing or empty file changes nothing: it is a save that is under way. `onChange` must not throw.
 */
export function watchConfig(
  path: string,
  onChange: () => void,
  options: WatchOptions = {},
): () => void {
  let lastHash = contentHash(path)
  let debounce: NodeJS.Timeout | null = null
  const check = (): void => {
    const hash = contentHash(path)
    if (hash === null || hash === lastHash) return
    lastHash = hash
    onChange()
  }
  const stir = (): void => {
    if (debounce !== null) clearTimeout(debounce)
    debounce = setTimeout(check, options.debounceMs ?? DEBOUNCE_MS)
    debounce.unref()
  }
  const watcher = watchFolder(dirname(path), stir)
  const poll = setInterval(check, options.pollMs ?? POLL_MS)
  poll.unref()
  return () => {
    watcher?.close()
    clearInterval(poll)
    if (debounce !== null) clearTimeout(debounce)
  }
}

/** Null where the system has no watches left or the folder is gone; the poll still works. */
function watchFolder(folder: string, onEvent: () => void): FSWatcher | null {
  try {
    const watcher = watch(folder, { persistent: false }, onEvent)
    watcher.on('error', () => watcher.close())
    return watcher
  } catch {
    return null
  }
}

function contentHash(path: string): string | null {
  try {
    const content = readFileSync(path)
    return content.length === 0 ? null : createHash('sha256').update(content).digest('hex')
  } catch {
    return null
  }
}

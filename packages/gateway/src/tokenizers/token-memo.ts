import { hash } from 'node:crypto'

/** Texts up to this length are their own key. UTF-16 units. */
const MAX_PLAIN_KEY = 4096
/** What an entry costs besides its key: two map slots, a number, headers. Bytes, roughly. */
const ENTRY_BYTES = 96

/** Remembers the token count of texts, within a number of bytes. */
export type TokenMemo = {
  /** For `get`: cheap, and may share memory with the text. */
  keyOf(text: string): string
  get(key: string): number | undefined
  set(key: string, tokens: number): void
}

/**
 * Two generations: what is asked for again moves to the young one; when that is full, the old one is dropped whole.
 * As good as least-recently-used for conversations that are sent again and again, and costs one map write.
 */
export function createTokenMemo(maxBytes: number): TokenMemo {
  let young = new Map<string, number>()
  let old = new Map<string, number>()
  let youngBytes = 0

  function set(key: string, tokens: number): void {
    young.set(unshared(key), tokens)
    youngBytes += ENTRY_BYTES + key.length
    if (youngBytes <= maxBytes / 2) return
    old = young
    young = new Map()
    youngBytes = 0
  }

  return {
    keyOf,
    get(key) {
      const tokens = young.get(key)
      if (tokens !== undefined) return tokens
      const aged = old.get(key)
      if (aged !== undefined) set(key, aged)
      return aged
    },
    set,
  }
}

/** Long texts are keyed by SHA-256, so that nobody can make a long prompt count like a short one. */
function keyOf(text: string): string {
  return text.length <= MAX_PLAIN_KEY ? text : hash('sha256', text, 'base64')
}

/** A copy: a substring that is kept would keep the whole request body alive. */
function unshared(key: string): string {
  return Buffer.from(key, 'utf16le').toString('utf16le')
}

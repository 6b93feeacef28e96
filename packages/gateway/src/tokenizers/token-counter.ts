import type { TokenCounter, TokenizerId } from '../contracts/tokenizer.ts'
import { boundTokens } from './bound-tokens.ts'
import { createCountingWorker } from './counting-worker.ts'
import { createTokenMemo, type TokenMemo } from './token-memo.ts'

export type TokenCounterOptions = {
  /** Bound of each vocabulary's memo on the main thread. Bytes. */
  readonly memoBytes: number
  /** How long a request waits for an exact count before it takes the bound. Milliseconds. */
  readonly timeoutMs?: number
  /** For tests: another worker file. */
  readonly workerUrl?: URL
}

const DEFAULT_TIMEOUT_MS = 2_000

/** Counts on a worker thread, memoised per text. Falls back to `boundTokens` when the worker fails or is late. */
export function createTokenCounter(options: TokenCounterOptions): TokenCounter {
  const memos: Readonly<Record<TokenizerId, TokenMemo>> = {
    o200k_base: createTokenMemo(options.memoBytes),
    cl100k_base: createTokenMemo(options.memoBytes),
  }
  const worker = createCountingWorker({
    timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    workerUrl: options.workerUrl ?? null,
  })

  async function countMissing(tokenizer: TokenizerId, missing: Missing): Promise<number> {
    const counts = await worker.count(tokenizer, missing.texts)
    if (counts === null) return boundTokens(missing.texts)
    let sum = 0
    for (const [i, tokens] of counts.entries()) {
      const key = missing.keys[i]
      if (key !== undefined) memos[tokenizer].set(key, tokens)
      sum += tokens
    }
    return sum
  }

  return {
    /** Hot: once per request. bench/tokenizer.ts */
    count(tokenizer, texts) {
      const memo = memos[tokenizer]
      let known = 0
      let missing: Missing | null = null
      for (const text of texts) {
        const key = memo.keyOf(text)
        const tokens = memo.get(key)
        if (tokens !== undefined) {
          known += tokens
          continue
        }
        missing ??= { keys: [], texts: [] }
        missing.keys.push(key)
        missing.texts.push(text)
      }
      if (missing === null) return known
      return countMissing(tokenizer, missing).then((tokens) => known + tokens)
    },
    close: () => worker.close(),
  }
}

type Missing = { readonly keys: string[]; readonly texts: string[] }

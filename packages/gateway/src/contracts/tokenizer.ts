export type TokenizerId = 'o200k_base' | 'cl100k_base'

/**
 * Counts tokens of texts without ever blocking the event loop: memoised per text, the work done in a worker thread.
 *
 * `count` answers at once when every text is in the memo, else a promise. Never throws on hostile text.
 */
export type TokenCounter = {
  count(tokenizer: TokenizerId, texts: readonly string[]): number | Promise<number>
  close(): Promise<void>
}

/**
 * A sound upper bound of the tokens of some texts in any byte-level vocabulary: a token is at least one byte of UTF-8.
 */
export function boundTokens(texts: readonly string[]): number {
  let bytes = 0
  for (const text of texts) bytes += Buffer.byteLength(text)
  return bytes
}

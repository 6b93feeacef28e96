/** More than the scaffolding that a vendor adds once per request: the reply's header, a tool prompt. Tokens. */
const FIXED_TOKENS = 1024

/** How a lower-case letter may be written in JSON: a media word could hide behind it. No client does that to text. */
const ESCAPED_LETTERS = ['\\u006', '\\u007'] as const

/**
 * An upper bound of the input tokens of a request without media, from its size alone.
 *
 * Sound because no byte-level vocabulary makes more tokens than bytes, JSON only makes texts longer, and the scaffolding
 * per message or tool is smaller than the JSON around it. Null when one of the words stands in the body.
 */
export function boundTextInput(body: Buffer, mediaWords: readonly string[]): number | null {
  for (const word of mediaWords) if (body.includes(word)) return null
  for (const escape of ESCAPED_LETTERS) if (body.includes(escape)) return null
  return body.length + FIXED_TOKENS
}

/** Control characters and those that reorder text: a name in the store must not move the cursor or fake a line. */
const UNSAFE = /[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** Safe for a terminal, on one line. */
export function plainText(text: string): string {
  return text.replace(UNSAFE, (character) => {
    const code = character.codePointAt(0) ?? 0
    return `\\u${code.toString(16).padStart(4, '0')}`
  })
}

/** As `plainText`, for messages of others, where a line break is only a space. */
export function oneLine(text: string): string {
  return plainText(text.replaceAll(/\s*\n\s*/g, ' '))
}

/** Greatest piece that is counted in one go. UTF-16 units. */
const MAX_CHUNK_LENGTH = 16_384
/** How far back from there a space is looked for. */
const MAX_LOOK_BACK = 2_048

const SPACE = 0x20

/**
 * Cuts a long text into chunks, so that the clock can be looked at between them; joined, they are the text.
 *
 * A cut before a lone space is also a border of the pre-tokenizers, so the sum of the counts stays exact. Where there
 * is no space (Chinese, base64) a cut adds at most a token or two per chunk.
 */
export function* splitAtSpaces(text: string): Generator<string> {
  let from = 0
  while (text.length - from > MAX_CHUNK_LENGTH) {
    const cut = cutBefore(text, from + MAX_CHUNK_LENGTH)
    yield text.slice(from, cut)
    from = cut
  }
  yield text.slice(from)
}

function cutBefore(text: string, limit: number): number {
  for (let at = limit; at > limit - MAX_LOOK_BACK; at--) {
    if (isLoneSpace(text, at)) return at
  }
  const last = text.charCodeAt(limit - 1)
  return last >= 0xd800 && last <= 0xdbff ? limit - 1 : limit
}

/** A plain space between two characters that are no white space. */
function isLoneSpace(text: string, at: number): boolean {
  return text.charCodeAt(at) === SPACE && isInk(text[at - 1]) && isInk(text[at + 1])
}

function isInk(char: string | undefined): boolean {
  return char !== undefined && /\S/.test(char)
}

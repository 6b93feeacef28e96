const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const COMMA = 0x2c
const COLON = 0x3a

/** `keys`: names on the way to the string; `element`: its place in the outermost list, -1: in none. Bytes with quotes. */
export type StringVisitor = (
  keys: readonly string[],
  element: number,
  span: { readonly start: number; readonly end: number },
) => void

/** Visits every string that is a value below a place in JSON that was checked before. */
export function visitStrings(bytes: Buffer, start: number, visit: StringVisitor): void {
  new StringWalk(bytes, start, visit).value(-1)
}

class StringWalk {
  readonly #bytes: Buffer
  readonly #visit: StringVisitor
  readonly #keys: string[] = []
  #at: number

  constructor(bytes: Buffer, start: number, visit: StringVisitor) {
    this.#bytes = bytes
    this.#at = start
    this.#visit = visit
  }

  value(element: number): void {
    this.#skipSpace()
    const byte = this.#bytes[this.#at]
    if (byte === QUOTE) {
      const start = this.#at
      this.#at = stringEnd(this.#bytes, start)
      this.#visit(this.#keys, element, { start, end: this.#at })
    } else if (byte === OPEN_OBJECT) this.#object(element)
    else if (byte === OPEN_ARRAY) this.#list(element)
    else while (!isEnd(this.#bytes[this.#at])) this.#at += 1
  }

  #object(element: number): void {
    while (this.#next(CLOSE_OBJECT)) {
      const start = this.#at
      this.#at = stringEnd(this.#bytes, start)
      const key: unknown = JSON.parse(this.#bytes.toString('utf8', start, this.#at))
      this.#skipSpace()
      // The colon.
      this.#at += 1
      this.#keys.push(String(key))
      this.value(element)
      this.#keys.pop()
    }
  }

  #list(element: number): void {
    for (let index = 0; this.#next(CLOSE_ARRAY); index++)
      this.value(element === -1 ? index : element)
  }

  /** Moves to the next member or element; false behind the last. */
  #next(close: number): boolean {
    // The opening bracket, or what stands before the comma.
    this.#skipSpace()
    const byte = this.#bytes[this.#at]
    this.#at += 1
    if (byte === close || byte === undefined) return false
    this.#skipSpace()
    if (byte !== COMMA && this.#bytes[this.#at] === close) {
      this.#at += 1
      return false
    }
    return true
  }

  #skipSpace(): void {
    while (isSpace(this.#bytes[this.#at])) this.#at += 1
  }
}

/** Just behind the closing quote. */
function stringEnd(bytes: Buffer, start: number): number {
  let at = start + 1
  while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1
  return at + 1
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d
}

function isEnd(byte: number | undefined): boolean {
  return (
    byte === undefined ||
    byte === COMMA ||
    byte === COLON ||
    byte === CLOSE_OBJECT ||
    byte === CLOSE_ARRAY
  )
}

/** A string of JSON as text, and at which byte each of its units stands; one more for its end. */
export type PlacedText = { readonly text: string; readonly places: Uint32Array }

/** `[start, end)`: with its quotes. */
export function placedText(bytes: Buffer, start: number, end: number): PlacedText {
  const text = String(JSON.parse(bytes.toString('utf8', start, end)))
  const places = new Uint32Array(text.length + 1)
  let unit = 0
  for (let at = start + 1; at < end - 1; at += charLength(bytes, at)) {
    places[unit++] = at
    // Both halves of a character outside the first plane stand at its first byte.
    if ((bytes[at] ?? 0) >= 0xf0) places[unit++] = at
  }
  places[unit] = end - 1
  return { text, places }
}

/** Of an escape, or of a character in UTF-8. */
function charLength(bytes: Buffer, at: number): number {
  const byte = bytes[at] ?? 0
  if (byte === BACKSLASH) return bytes[at + 1] === 0x75 ? 6 : 2
  if (byte < 0x80) return 1
  if (byte < 0xe0) return 2
  return byte < 0xf0 ? 3 : 4
}

/**
 * Finds what is wrong with a text that `JSON.parse` refused: one strict pass over the bytes that builds nothing.
 *
 * `JSON.parse` itself does not always say where, and repeats the content in its message.
 */
export type JsonProblem = { readonly problem: string; readonly at: number }

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const MINUS = 0x2d
const DOT = 0x2e
const ZERO = 0x30
const NINE = 0x39

/** 1: ends or interrupts a run of plain string bytes. */
const STRING_STOP = new Uint8Array(256)
STRING_STOP.fill(1, 0, 0x20)
STRING_STOP[QUOTE] = 1
STRING_STOP[BACKSLASH] = 1

const SPACE = new Uint8Array(256)
for (const byte of [0x20, 0x09, 0x0a, 0x0d]) SPACE[byte] = 1

const SIMPLE_ESCAPE = new Uint8Array(256)
for (const char of '"\\/bfnrt') SIMPLE_ESCAPE[char.charCodeAt(0)] = 1

const HEX = new Uint8Array(256)
for (const char of '0123456789abcdefABCDEF') HEX[char.charCodeAt(0)] = 1

/** Null: nothing is wrong. `at` is a byte offset. Stops at `maxDepth`, which bounds the stack. */
export function findJsonProblem(bytes: Buffer, maxDepth: number): JsonProblem | null {
  try {
    new Checker(bytes, maxDepth).run()
    return null
  } catch (thrown) {
    if (thrown instanceof Found) return { problem: thrown.message, at: thrown.at }
    throw thrown
  }
}

class Found extends Error {
  readonly at: number

  constructor(problem: string, at: number) {
    super(problem)
    this.at = at
  }
}

class Checker {
  private readonly bytes: Buffer
  private readonly end: number
  private readonly maxDepth: number
  private at = 0
  private depth = 0

  constructor(bytes: Buffer, maxDepth: number) {
    this.bytes = bytes
    this.end = bytes.length
    this.maxDepth = maxDepth
  }

  run(): void {
    this.skipSpace()
    if (this.peek() !== OPEN_OBJECT) throw this.error('expected a JSON object')
    this.value()
    this.skipSpace()
    if (this.at < this.end) throw this.error('unexpected text after the object')
  }

  private value(): void {
    const byte = this.peek()
    if (byte === QUOTE) this.string()
    else if (byte === OPEN_OBJECT) this.object()
    else if (byte === OPEN_ARRAY) this.array()
    else if (byte === MINUS || (byte >= ZERO && byte <= NINE)) this.number()
    else if (byte === 0x74) this.literal('true')
    else if (byte === 0x66) this.literal('false')
    else if (byte === 0x6e) this.literal('null')
    else throw this.error('expected a value')
  }

  private object(): void {
    this.enter()
    this.skipSpace()
    if (this.peek() === CLOSE_OBJECT) return this.leave()
    for (;;) {
      this.skipSpace()
      this.key()
      this.value()
      if (!this.nextMember(CLOSE_OBJECT)) return this.leave()
    }
  }

  private array(): void {
    this.enter()
    this.skipSpace()
    if (this.peek() === CLOSE_ARRAY) return this.leave()
    for (;;) {
      this.skipSpace()
      this.value()
      if (!this.nextMember(CLOSE_ARRAY)) return this.leave()
    }
  }

  /** After a value: true at a comma, false at the closing bracket (not consumed). */
  private nextMember(close: number): boolean {
    this.skipSpace()
    const byte = this.peek()
    if (byte === COMMA) {
      this.at++
      return true
    }
    if (byte === close) return false
    throw this.error(close === CLOSE_OBJECT ? 'expected "," or "}"' : 'expected "," or "]"')
  }

  private key(): void {
    if (this.peek() !== QUOTE) throw this.error('expected a key in double quotes')
    this.string()
    this.skipSpace()
    if (this.peek() !== COLON) throw this.error('expected ":"')
    this.at++
    this.skipSpace()
  }

  private string(): void {
    const { bytes } = this
    let at = this.at + 1
    for (;;) {
      while (STRING_STOP[bytes[at] ?? 0] === 0) at++
      const byte = bytes[at]
      if (at >= this.end) {
        this.at = this.end
        throw this.error('the text ends inside a string')
      }
      if (byte === QUOTE) {
        this.at = at + 1
        return
      }
      this.at = at
      if (byte !== BACKSLASH) throw this.error('control character in a string')
      at = this.escape()
    }
  }

  /** Returns the offset after the escape that starts at `this.at`. */
  private escape(): number {
    const { bytes, at } = this
    const kind = bytes[at + 1] ?? 0
    if (SIMPLE_ESCAPE[kind] === 1) return at + 2
    if (kind !== 0x75) throw this.error('unknown escape in a string')
    for (let i = 2; i < 6; i++) {
      if (HEX[bytes[at + i] ?? 0] !== 1) throw this.error('unknown escape in a string')
    }
    return at + 6
  }

  private number(): void {
    if (this.peek() === MINUS) this.at++
    if (this.peek() === ZERO) this.at++
    else this.digits()
    if (this.peek() === DOT) {
      this.at++
      this.digits()
    }
    const mark = this.peek()
    if (mark !== 0x65 && mark !== 0x45) return
    this.at++
    const sign = this.peek()
    if (sign === MINUS || sign === 0x2b) this.at++
    this.digits()
  }

  private digits(): void {
    const start = this.at
    for (;;) {
      const byte = this.peek()
      if (byte < ZERO || byte > NINE) break
      this.at++
    }
    if (this.at === start) throw this.error('expected a digit')
  }

  private literal(word: string): void {
    for (let i = 0; i < word.length; i++) {
      if (this.bytes[this.at + i] !== word.charCodeAt(i)) throw this.error('expected a value')
    }
    this.at += word.length
    if (this.at > this.end) throw this.error('expected a value')
  }

  private enter(): void {
    if (++this.depth > this.maxDepth) throw this.error(`nested deeper than ${this.maxDepth} levels`)
    this.at++
  }

  private leave(): void {
    this.depth--
    this.at++
  }

  private skipSpace(): void {
    const { bytes } = this
    while (SPACE[bytes[this.at] ?? 0] === 1 && this.at < this.end) this.at++
  }

  /** The byte at hand; 0 at the end, which no rule accepts. */
  private peek(): number {
    return this.at < this.end ? (this.bytes[this.at] ?? 0) : 0
  }

  private error(problem: string): Found {
    return new Found(this.at >= this.end ? 'the text ends too early' : problem, this.at)
  }
}

/**
 * One strict pass over JSON bytes: checks the grammar, the depth, the numbers and the keys, and notes where things stand.
 *
 * It exists because the gateway forwards bytes: it must know that the provider will read the same values as it did
 * (no duplicate keys, no overflow), and at which offsets to edit. It builds no values: beside real traffic that costs half
 * of `JSON.parse`, which allocates.
 * Hot: runs once per request body. bench/micro.ts
 */
export type JsonScan = {
  /** Top-level members in the order written: name → value bytes `[start, end)`. */
  readonly members: ReadonlyMap<string, JsonSpan>
  /** Offset just after the last member's value, or after `{` when there is none. */
  readonly membersEndAt: number
  /** Values of the watched member in the objects of the watched list; see `JsonWatch`. */
  readonly watched: readonly JsonSpan[]
  /** Elements of the watched list that are not objects, or lack the watched member. */
  readonly unwatched: number
}

type JsonSpan = { readonly start: number; readonly end: number }

/** Asks for `list[*].member`, such as `messages[*].role`. */
export type JsonWatch = { readonly list: string; readonly member: string }

export type JsonScanOptions = {
  readonly maxDepth: number
  /** Off for answers: a provider's duplicate key is passed on as it came. */
  readonly refuseDuplicateKeys: boolean
  readonly watch: JsonWatch | null
}

/** Thrown on anything that is not one strict JSON object. `at` is a byte offset. */
export class JsonScanError extends Error {
  override readonly name = 'JsonScanError'
  readonly at: number

  constructor(problem: string, at: number) {
    super(problem)
    this.at = at
  }
}

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

/** Objects with more members than this are checked for duplicates with a `Set`, smaller ones by comparing. */
const FEW_KEYS = 12
/** Members of all objects with more than a few: each costs a look-up, and no real request has so many. */
const MAX_LOOKED_UP_KEYS = 100_000
/** Far above what any protocol has. */
const MAX_TOP_MEMBERS = 1000
/** Longest number text that cannot overflow without an exponent. */
const SAFE_NUMBER_CHARS = 300

/** Scans `bytes[start, end)`, which must hold exactly one JSON object. Throws `JsonScanError`. */
export function scanJsonObject(
  bytes: Buffer,
  options: JsonScanOptions,
  start = 0,
  end: number = bytes.length,
): JsonScan {
  const scanner = new Scanner(bytes, options, start, end)
  return scanner.run()
}

/**
 * Whether none of four bytes is a quote, a backslash or a control character.
 *
 * In each byte, `(x - k) & ~x & 0x80` is set when x is below k. A borrow can only set it in bytes behind one where it is
 * set rightly, so the answer for all four is exact. Equality is the same test, on the difference, with 1.
 */
function isPlain(word: number): boolean {
  const quote = word ^ 0x22222222
  const backslash = word ^ 0x5c5c5c5c
  const stops =
    ((word - 0x20202020) & ~word) |
    ((quote - 0x01010101) & ~quote) |
    ((backslash - 0x01010101) & ~backslash)
  return (stops & 0x80808080) === 0
}

/** Key offsets of all open objects, the innermost on top. Made once and never shrunk: scans run one after another. */
const KEYS: number[] = []

class Scanner {
  readonly members = new Map<string, JsonSpan>()
  membersEndAt: number
  readonly watched: JsonSpan[] = []
  unwatched = 0

  private readonly bytes: Uint8Array
  private readonly buffer: Buffer
  /** The same bytes, four at a time. */
  private readonly words: DataView
  private readonly end: number
  private readonly maxDepth: number
  private readonly refuseDuplicates: boolean
  private readonly watch: JsonWatch | null
  private at: number
  private depth = 0
  private lookedUp = 0
  /** How much of `KEYS` is in use. */
  private keysEnd = 0
  private inWatchedList = false

  constructor(bytes: Buffer, options: JsonScanOptions, start: number, end: number) {
    this.bytes = bytes
    this.buffer = bytes
    this.words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.at = start
    this.end = end
    this.membersEndAt = start
    this.maxDepth = options.maxDepth
    this.refuseDuplicates = options.refuseDuplicateKeys
    this.watch = options.watch
  }

  run(): JsonScan {
    this.skipSpace()
    if (this.peek() !== OPEN_OBJECT) throw this.error('expected a JSON object')
    this.topObject()
    this.skipSpace()
    if (this.at < this.end) throw this.error('unexpected text after the object')
    return this
  }

  private topObject(): void {
    this.enter()
    this.membersEndAt = this.at
    this.skipSpace()
    if (this.peek() === CLOSE_OBJECT) return this.leave()
    for (;;) {
      this.skipSpace()
      const name = this.decodeKey(this.at, this.key())
      if (this.members.size >= MAX_TOP_MEMBERS) throw this.error('more members than are accepted')
      if (this.refuseDuplicates && this.members.has(name)) throw this.error('duplicate key')
      this.inWatchedList = this.watch !== null && this.watch.list === name
      const start = this.at
      this.value()
      this.members.set(name, { start, end: this.at })
      this.membersEndAt = this.at
      if (!this.nextMember(CLOSE_OBJECT)) return this.leave()
    }
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
    const watching = this.inWatchedList && this.depth === 3
    let found = false
    this.skipSpace()
    if (this.peek() === CLOSE_OBJECT) {
      if (watching) this.unwatched++
      return this.leave()
    }
    const keysStart = this.keysEnd
    let many: Set<string> | null = null
    for (;;) {
      this.skipSpace()
      const keyStart = this.at
      const keyEnd = this.key()
      if (this.refuseDuplicates) many = this.noteKey(keysStart, many, keyStart, keyEnd)
      const start = this.at
      this.value()
      if (watching && this.isWatchedKey(keyStart, keyEnd)) {
        this.watched.push({ start, end: this.at })
        found = true
      }
      if (!this.nextMember(CLOSE_OBJECT)) break
    }
    if (watching && !found) this.unwatched++
    this.keysEnd = keysStart
    this.leave()
  }

  private array(): void {
    this.enter()
    const watching = this.inWatchedList && this.depth === 2
    this.skipSpace()
    if (this.peek() === CLOSE_ARRAY) return this.leave()
    for (;;) {
      this.skipSpace()
      if (watching && this.peek() !== OPEN_OBJECT) this.unwatched++
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

  /** Consumes a key, its colon and the space before the value. Returns where the key's closing quote ended. */
  private key(): number {
    if (this.peek() !== QUOTE) throw this.error('expected a key in double quotes')
    this.string()
    const keyEnd = this.at
    this.skipSpace()
    if (this.peek() !== COLON) throw this.error('expected ":"')
    this.at++
    this.skipSpace()
    return keyEnd
  }

  private string(): void {
    const { bytes, words, end } = this
    let at = this.at + 1
    for (;;) {
      while (at + 4 <= end && isPlain(words.getInt32(at))) at += 4
      while (at < end && STRING_STOP[bytes[at] ?? 0] === 0) at++
      const byte = bytes[at]
      if (at >= end) {
        this.at = end
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
    const start = this.at
    if (this.peek() === MINUS) this.at++
    if (this.peek() === ZERO) this.at++
    else this.digits()
    let exponent = false
    if (this.peek() === DOT) {
      this.at++
      this.digits()
    }
    const mark = this.peek()
    if (mark === 0x65 || mark === 0x45) {
      exponent = true
      this.at++
      const sign = this.peek()
      if (sign === MINUS || sign === 0x2b) this.at++
      this.digits()
    }
    if (!exponent && this.at - start < SAFE_NUMBER_CHARS) return
    if (Number.isFinite(Number(this.buffer.toString('latin1', start, this.at)))) return
    this.at = start
    throw this.error('the number is too large')
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

  private noteKey(
    keysStart: number,
    many: Set<string> | null,
    start: number,
    end: number,
  ): Set<string> | null {
    if (many !== null) {
      this.countLookUp(1)
      const name = this.decodeKey(start, end)
      if (many.has(name)) throw this.error('duplicate key')
      many.add(name)
      return many
    }
    const { keysEnd } = this
    for (let i = keysStart; i < keysEnd; i += 2) {
      if (this.sameKey(KEYS[i] ?? 0, KEYS[i + 1] ?? 0, start, end)) {
        throw this.error('duplicate key')
      }
    }
    KEYS[keysEnd] = start
    KEYS[keysEnd + 1] = end
    this.keysEnd = keysEnd + 2
    if (this.keysEnd - keysStart <= FEW_KEYS * 2) return null
    const names = new Set<string>()
    for (let i = keysStart; i < this.keysEnd; i += 2) {
      names.add(this.decodeKey(KEYS[i] ?? 0, KEYS[i + 1] ?? 0))
    }
    return names
  }

  private sameKey(aStart: number, aEnd: number, bStart: number, bEnd: number): boolean {
    const { bytes } = this
    if (aEnd - aStart === bEnd - bStart) {
      let i = 1
      while (bytes[aStart + i] === bytes[bStart + i] && aStart + i < aEnd) i++
      if (aStart + i === aEnd) return true
    }
    if (!this.hasEscape(aStart, aEnd) && !this.hasEscape(bStart, bEnd)) return false
    return this.decodeKey(aStart, aEnd) === this.decodeKey(bStart, bEnd)
  }

  private isWatchedKey(start: number, end: number): boolean {
    const member = this.watch?.member ?? ''
    if (this.hasEscape(start, end)) return this.decodeKey(start, end) === member
    if (end - start !== member.length + 2) return false
    for (let i = 0; i < member.length; i++) {
      if (this.bytes[start + 1 + i] !== member.charCodeAt(i)) return false
    }
    return true
  }

  private hasEscape(start: number, end: number): boolean {
    for (let i = start; i < end; i++) if (this.bytes[i] === BACKSLASH) return true
    return false
  }

  private countLookUp(keys: number): void {
    this.lookedUp += keys
    if (this.lookedUp > MAX_LOOKED_UP_KEYS) throw this.error('more members than are accepted')
  }

  private decodeKey(start: number, end: number): string {
    if (!this.hasEscape(start, end)) return this.buffer.toString('utf8', start + 1, end - 1)
    return String(JSON.parse(this.buffer.toString('utf8', start, end)))
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
    const { bytes, end } = this
    let { at } = this
    while (at < end && SPACE[bytes[at] ?? 0] === 1) at++
    this.at = at
  }

  /** The byte at hand; 0 at the end, which no rule accepts. */
  private peek(): number {
    return this.at < this.end ? (this.bytes[this.at] ?? 0) : 0
  }

  private error(problem: string): JsonScanError {
    return new JsonScanError(this.at >= this.end ? 'the text ends too early' : problem, this.at)
  }
}

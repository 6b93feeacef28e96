/**
 * Where the top-level members of a JSON object stand, and what JSON.parse does not tell: duplicate keys, depth, overflow.
 *
 * Works on the bytes as latin1 text, so that every index is a byte offset. It does not judge the grammar: `JSON.parse`
 * does that next, and what this makes of text that is not JSON is then thrown away.
 * Hot: runs once per request body. bench/micro.ts
 */
export type JsonOutline = {
  /** Members in the order written: name → value bytes `[start, end)`. */
  readonly members: ReadonlyMap<string, JsonSpan>
  /** Offset just after the last member's value, or after `{` when there is none. */
  readonly membersEndAt: number
}

type JsonSpan = { readonly start: number; readonly end: number }

/** Valid JSON that is refused all the same. `at` is a byte offset. */
export class JsonOutlineError extends Error {
  override readonly name = 'JsonOutlineError'
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

/** Objects with more members than this are checked for duplicates with a `Set`, smaller ones by comparing. */
const FEW_KEYS = 8
/** Longest number text that cannot overflow without an exponent. */
const SAFE_NUMBER_CHARS = 300

/** Outlines the object in `text[start, end)`. Throws `JsonOutlineError`. */
export function outlineJson(
  text: string,
  maxDepth: number,
  start = 0,
  end: number = text.length,
): JsonOutline {
  return new Outliner(text, maxDepth, end).run(start)
}

/** The keys of one open object. */
class Level {
  isObject = false
  readonly keys: string[] = []
  set: Set<string> | null = null

  begin(isObject: boolean): void {
    this.isObject = isObject
    this.keys.length = 0
    this.set = null
  }
}

/** Shared by all outlines, which run one after another: a level is made once and used again. */
const LEVELS: Level[] = []

class Outliner {
  private readonly text: string
  private readonly maxDepth: number
  private readonly end: number
  private readonly members = new Map<string, JsonSpan>()
  private depth = 0
  private membersEndAt = 0
  private memberName = ''
  private valueStart = -1
  private valueEnd = -1

  constructor(text: string, maxDepth: number, end: number) {
    this.text = text
    this.maxDepth = maxDepth
    this.end = end
  }

  run(start: number): JsonOutline {
    let at = start
    while (at < this.end) at = this.step(at)
    return { members: this.members, membersEndAt: this.membersEndAt }
  }

  /** Consumes one token; returns where the next begins. */
  private step(at: number): number {
    const code = this.text.charCodeAt(at)
    switch (code) {
      case QUOTE:
        return this.string(at)
      case OPEN_OBJECT:
      case OPEN_ARRAY:
        this.open(at, code === OPEN_OBJECT)
        return at + 1
      case CLOSE_OBJECT:
      case CLOSE_ARRAY:
        this.close(at)
        return at + 1
      case COMMA:
        if (this.depth === 1) this.keepMember()
        return at + 1
      case COLON:
      case 0x20:
      case 0x0a:
      case 0x0d:
      case 0x09:
        return at + 1
      default:
        return this.plain(at, code)
    }
  }

  private open(at: number, isObject: boolean): void {
    this.noteStart(at)
    if (this.depth >= this.maxDepth) {
      throw new JsonOutlineError(`nested deeper than ${this.maxDepth} levels`, at)
    }
    levelAt(this.depth).begin(isObject)
    this.depth++
    if (this.depth === 1) this.membersEndAt = at + 1
  }

  private close(at: number): void {
    if (this.depth === 1) this.keepMember()
    if (this.depth > 0) this.depth--
    if (this.depth === 1) this.valueEnd = at + 1
  }

  private string(at: number): number {
    const { text } = this
    let quote = text.indexOf('"', at + 1)
    while (quote !== -1 && text.charCodeAt(quote - 1) === BACKSLASH && isEscaped(text, quote)) {
      quote = text.indexOf('"', quote + 1)
    }
    const after = quote === -1 ? this.end : quote + 1
    const level = this.depth === 0 ? null : levelAt(this.depth - 1)
    if (level !== null && level.isObject && this.isKey(after)) this.key(level, at, after)
    else this.note(at, after)
    return after
  }

  /** Numbers and words; only a number can be refused. */
  private plain(at: number, code: number): number {
    const { text } = this
    let next = at + 1
    let exponent = false
    while (next < this.end && !isDelimiter(text.charCodeAt(next))) {
      exponent ||= (text.charCodeAt(next) | 0x20) === 0x65
      next++
    }
    const isNumber = code === 0x2d || (code >= 0x30 && code <= 0x39)
    if (isNumber && (exponent || next - at > SAFE_NUMBER_CHARS)) {
      if (!Number.isFinite(Number(text.slice(at, next)))) {
        throw new JsonOutlineError('the number is too large', at)
      }
    }
    this.note(at, next)
    return next
  }

  /** A string is a key when a colon follows. */
  private isKey(after: number): boolean {
    let at = after
    while (isSpace(this.text.charCodeAt(at))) at++
    return this.text.charCodeAt(at) === COLON
  }

  private key(level: Level, start: number, end: number): void {
    const name = decodeKey(this.text, start, end)
    const { keys } = level
    if (level.set === null ? keys.includes(name) : level.set.has(name)) {
      throw new JsonOutlineError('duplicate key', start)
    }
    if (level.set !== null) level.set.add(name)
    else if (keys.push(name) > FEW_KEYS) level.set = new Set(keys)
    if (this.depth === 1) {
      this.memberName = name
      this.valueStart = -1
    }
  }

  private note(start: number, end: number): void {
    if (this.depth !== 1) return
    this.noteStart(start)
    this.valueEnd = end
  }

  private noteStart(at: number): void {
    if (this.depth === 1 && this.valueStart === -1) this.valueStart = at
  }

  private keepMember(): void {
    if (this.valueStart === -1) return
    this.members.set(this.memberName, { start: this.valueStart, end: this.valueEnd })
    this.membersEndAt = this.valueEnd
    this.valueStart = -1
  }
}

function levelAt(depth: number): Level {
  let level = LEVELS[depth]
  if (level === undefined) {
    level = new Level()
    LEVELS[depth] = level
  }
  return level
}

/** An odd number of backslashes stands before the quote. */
function isEscaped(text: string, quote: number): boolean {
  let at = quote - 1
  while (text.charCodeAt(at) === BACKSLASH) at--
  return (quote - at) % 2 === 0
}

function isDelimiter(code: number): boolean {
  return code === COMMA || code === CLOSE_OBJECT || code === CLOSE_ARRAY || isSpace(code)
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
}

/** Keys are compared as they are meant: escapes decoded, latin1 turned back into UTF-8. */
function decodeKey(text: string, start: number, end: number): string {
  const raw = text.slice(start + 1, end - 1)
  if (!/[\\\u0080-\u00ff]/.test(raw)) return raw
  try {
    return String(JSON.parse(Buffer.from(text.slice(start, end), 'latin1').toString('utf8')))
  } catch {
    return raw
  }
}

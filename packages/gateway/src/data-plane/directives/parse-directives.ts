/** One `key=value`, as written. */
export type DirectiveEntry = { readonly key: string; readonly value: string }

/** What is cut out of a text, and what was said in it. */
export type FoundDirectives = {
  /** Positions in the text, in order. */
  readonly cuts: readonly { readonly start: number; readonly end: number }[]
  readonly entries: readonly DirectiveEntry[]
  /** Keys, or `malformed`, of what says nothing that could be followed. */
  readonly ignored: readonly string[]
}

const MARKER = /@@(?:tokenhub|tollgate)(?![\w-])/gi
const BLOCK_END = /@@end(?![\w-])/gi
const KEY = /[A-Za-z_][\w-]*(?=[ \t]*=)/y
const ENTRY_LINE = /[ \t]*[A-Za-z_][\w-]*[ \t]*=[^\r\n]*/y
const MALFORMED = 'malformed'
/** Of one directive; what comes behind them is cut and not read. */
const MAX_ENTRIES = 100
/** Values of one text that may begin an object, so that many that do not end cost little. */
const MAX_OBJECTS = 16

type Draft = {
  readonly cuts: { start: number; end: number }[]
  readonly entries: DirectiveEntry[]
  readonly ignored: string[]
  objects: number
  /** Nothing ends a block any more. */
  endless: boolean
}

/**
 * Finds every directive of a text: a marker with `key=value` pairs on its line, or alone on its line, with one pair on
 * each of the next lines, up to `@@end`. Everything that begins with a marker is cut, whatever follows it.
 */
export function findDirectives(text: string): FoundDirectives {
  const draft: Draft = { cuts: [], entries: [], ignored: [], objects: 0, endless: false }
  let from = 0
  for (;;) {
    MARKER.lastIndex = from
    const marker = MARKER.exec(text)
    if (marker === null) return draft
    const behind = marker.index + marker[0].length
    const isAlone = text.slice(behind, lineEnd(text, behind)).trim() === ''
    const end = isAlone ? readBlock(text, behind, draft) : readLine(text, behind, draft)
    const cut = wholeLines(text, from, { start: marker.index, end })
    draft.cuts.push(cut)
    from = cut.end
  }
}

/** Of its line's words, those that are pairs. Gives the end of the line, or of the object that goes beyond it. */
function readLine(text: string, start: number, draft: Draft): number {
  let at = start
  let lineAt = lineEnd(text, start)
  for (let read = 0; read < MAX_ENTRIES; read++) {
    while (text[at] === ' ' || text[at] === '\t') at += 1
    if (at >= lineAt) return at
    const key = keyAt(text, at)
    if (key === null) {
      draft.ignored.push(MALFORMED)
      at = wordEnd(text, at)
      continue
    }
    const from = valueStart(text, at + key.length)
    const end = objectEnd(text, from, draft) ?? wordEnd(text, from)
    draft.entries.push({ key, value: text.slice(from, end) })
    at = end
    if (at > lineAt) lineAt = lineEnd(text, at)
  }
  return lineAt
}

/** Gives the place behind `@@end`; without one, behind the lines that look like pairs, which are not followed. */
function readBlock(text: string, start: number, draft: Draft): number {
  BLOCK_END.lastIndex = start
  const last = draft.endless ? null : BLOCK_END.exec(text)
  if (last === null) return skipOpenBlock(text, start, draft)
  let at = nextLine(text, start)
  for (let read = 0; at < last.index && read < MAX_ENTRIES; read++) {
    while (text[at] === ' ' || text[at] === '\t') at += 1
    const end = Math.min(last.index, lineEnd(text, at))
    const key = keyAt(text, at)
    if (key === null || at >= last.index) {
      if (text.slice(at, end).trim() !== '') draft.ignored.push(MALFORMED)
      at = nextLine(text, end)
      continue
    }
    const from = valueStart(text, at + key.length)
    const object = objectEnd(text, from, draft)
    const valueEnd = object !== null && object <= last.index ? object : end
    draft.entries.push({ key, value: text.slice(from, Math.max(from, valueEnd)).trim() })
    at = nextLine(text, lineEnd(text, valueEnd))
  }
  return last.index + last[0].length
}

function skipOpenBlock(text: string, start: number, draft: Draft): number {
  draft.endless = true
  draft.ignored.push(MALFORMED)
  let end = lineEnd(text, start)
  for (;;) {
    ENTRY_LINE.lastIndex = nextLine(text, end)
    const line = ENTRY_LINE.lastIndex > end ? ENTRY_LINE.exec(text) : null
    if (line === null) return end
    end = line.index + line[0].length
  }
}

/** With the line's own end where nothing else stands on it, and without the spaces before it where something does. */
function wholeLines(
  text: string,
  from: number,
  { start, end }: { readonly start: number; readonly end: number },
): { start: number; end: number } {
  let first = start
  while (first > from && (text[first - 1] === ' ' || text[first - 1] === '\t')) first -= 1
  const beginsLine = first === 0 || text[first - 1] === '\n' || text[first - 1] === '\r'
  let last = end
  while (text[last] === ' ' || text[last] === '\t') last += 1
  const endsLine = last >= text.length || text[last] === '\n' || text[last] === '\r'
  if (!endsLine) return { start, end: last }
  return { start: first, end: beginsLine ? nextLine(text, last) : last }
}

function keyAt(text: string, at: number): string | null {
  KEY.lastIndex = at
  return KEY.exec(text)?.[0] ?? null
}

/** Behind the equals sign and the spaces around it. */
function valueStart(text: string, at: number): number {
  const equals = /[ \t]*=[ \t]*/y
  equals.lastIndex = at
  return at + (equals.exec(text)?.[0].length ?? 0)
}

function wordEnd(text: string, at: number): number {
  const space = /\s|$/g
  space.lastIndex = at
  return space.exec(text)?.index ?? text.length
}

function lineEnd(text: string, at: number): number {
  const end = /[\r\n]|$/g
  end.lastIndex = at
  return end.exec(text)?.index ?? text.length
}

/** Behind one line break. */
function nextLine(text: string, at: number): number {
  const end = lineEnd(text, at)
  return text.startsWith('\r\n', end) ? end + 2 : Math.min(text.length, end + 1)
}

/** Behind the object that begins here, over as many lines as it has; null: none does, or it is not closed. */
function objectEnd(text: string, start: number, draft: Draft): number | null {
  if (text[start] !== '{' || draft.objects >= MAX_OBJECTS) return null
  draft.objects += 1
  let depth = 0
  let inString = false
  for (let at = start; at < text.length; at++) {
    const char = text[at]
    if (inString) {
      if (char === '\\') at += 1
      else if (char === '"') inString = false
    } else if (char === '"') inString = true
    else if (char === '{') depth += 1
    else if (char === '}' && --depth === 0) return at + 1
  }
  return null
}

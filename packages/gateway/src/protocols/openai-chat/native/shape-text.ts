/** How a text is shaped before it is handed over (`output_format`). Null: as it is. */
export type TextShape = {
  readonly type: 'json' | 'markdown' | 'text' | null
  readonly stripThink: boolean
  readonly maxTokens: number | null
}

const OPEN_THINK = '<think>'
const CLOSE_THINK = '</think>'
const FENCE = '```'
/** A rough measure: what the caller means is a length, and the model has written already. */
const BYTES_PER_TOKEN = 4

/** In TokenHub's order: thoughts, length, kind. */
export function shapeText(text: string, shape: TextShape): string {
  const spoken = shape.stripThink ? withoutThoughts(text) : text
  const kept = shape.maxTokens === null ? spoken : cut(spoken, shape.maxTokens * BYTES_PER_TOKEN)
  switch (shape.type) {
    case 'json':
      return fenced(kept) ?? kept.trim()
    case 'markdown':
      return kept.trim()
    case 'text':
      return withoutMarks(kept)
    case null:
      return kept
  }
}

function withoutThoughts(text: string): string {
  let kept = ''
  let at = 0
  for (;;) {
    const open = text.indexOf(OPEN_THINK, at)
    const close = open === -1 ? -1 : text.indexOf(CLOSE_THINK, open)
    if (close === -1) break
    kept += text.slice(at, open)
    at = close + CLOSE_THINK.length
    while (isSpace(text[at])) at++
  }
  return (kept + text.slice(at)).trim()
}

function isSpace(char: string | undefined): boolean {
  return char === ' ' || char === '\n' || char === '\r' || char === '\t'
}

/** Never inside a character. */
function cut(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= maxBytes) return text
  let end = maxBytes
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return `${bytes.toString('utf8', 0, end)}...`
}

/** What stands inside the first fence for JSON; null when there is none. */
function fenced(text: string): string | null {
  const open = text.indexOf(`${FENCE}json`)
  if (open === -1) return null
  const start = open + FENCE.length + 'json'.length
  const close = text.indexOf(FENCE, start)
  return close === -1 ? null : text.slice(start, close).trim()
}

function withoutMarks(text: string): string {
  const lines = text.split('\n').map((line) => {
    let start = 0
    while (line[start] === '#') start++
    return line.slice(start).replaceAll('*', '').replaceAll('`', '').trim()
  })
  return lines.join('\n').trim()
}

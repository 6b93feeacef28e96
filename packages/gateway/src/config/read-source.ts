import { parse as parseToml, TomlError } from 'smol-toml'
import {
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Document,
} from 'yaml'
import type { ConfigProblem, PathSegment } from './config-error.ts'

type Position = { readonly line: number; readonly column: number }

/** A configuration file as data, and where in the text each of it stands. */
export type ConfigSource = {
  readonly data: unknown
  /** Of the value at the path, or of its member name; the nearest parent's when it is not there. */
  positionOf(path: readonly PathSegment[], onKey: boolean): Position
}

export type SourceResult =
  | { readonly ok: true; readonly source: ConfigSource }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] }

/** The format is told by the name: `.json`, `.toml`, anything else is YAML. */
export function readSource(text: string, fileName: string): SourceResult {
  const plain = text.startsWith('\uFEFF') ? text.slice(1) : text
  if (fileName.endsWith('.toml')) return readToml(plain)
  return fileName.endsWith('.json') ? readJson(plain) : readYaml(plain)
}

function readYaml(text: string): SourceResult {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
  })
  if (document.errors.length > 0) return { ok: false, problems: yamlProblems(document, lines) }
  try {
    const data: unknown = document.toJS({ maxAliasCount: 100 })
    return { ok: true, source: { data: data ?? {}, positionOf: yamlPositions(document, lines) } }
  } catch (cause) {
    return { ok: false, problems: [problem(cause, null)] }
  }
}

/** JSON is YAML, so the YAML parser knows the places; JSON's own parser says whether it is JSON. */
function readJson(text: string): SourceResult {
  try {
    const data: unknown = JSON.parse(text)
    const lines = new LineCounter()
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
    const repeated = document.errors.some((error) => error.code === 'DUPLICATE_KEY')
    if (repeated) return { ok: false, problems: yamlProblems(document, lines) }
    return { ok: true, source: { data, positionOf: yamlPositions(document, lines) } }
  } catch (cause) {
    const at = /at position (\d+)/.exec(cause instanceof Error ? cause.message : '')
    const offset = at === null ? text.length : Number(at[1])
    return { ok: false, problems: [problem(cause, positionAt(text, offset))] }
  }
}

function readToml(text: string): SourceResult {
  try {
    return { ok: true, source: { data: parseToml(text), positionOf: tomlPositions(text) } }
  } catch (cause) {
    const at = cause instanceof TomlError ? { line: cause.line, column: cause.column } : null
    return { ok: false, problems: [problem(cause, at)] }
  }
}

function problem(cause: unknown, at: Position | null): ConfigProblem {
  const message = cause instanceof Error ? cause.message : String(cause)
  const firstLine = message.split('\n')[0] ?? message
  return { path: '', line: at?.line ?? null, column: at?.column ?? null, message: firstLine }
}

function positionAt(text: string, offset: number): Position {
  const before = text.slice(0, offset).split('\n')
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
}

function yamlProblems(document: Document, lines: LineCounter): readonly ConfigProblem[] {
  return document.errors.map((error) => {
    const at = lines.linePos(error.pos[0])
    return { path: '', line: at.line, column: at.col, message: error.message }
  })
}

function yamlPositions(document: Document, lines: LineCounter): ConfigSource['positionOf'] {
  return (path, onKey) => {
    let node: unknown = document.contents
    let offset = offsetOf(node) ?? 0
    for (const [depth, segment] of path.entries()) {
      const member = memberOf(node, segment)
      if (member === null) break
      const last = depth === path.length - 1
      offset = (last && onKey ? offsetOf(member.key) : offsetOf(member.value)) ?? offset
      offset = offsetOf(member.value) === null ? (offsetOf(member.key) ?? offset) : offset
      node = member.value
    }
    const at = lines.linePos(offset)
    return { line: at.line, column: at.col }
  }
}

function memberOf(node: unknown, segment: PathSegment): { key: unknown; value: unknown } | null {
  if (isSeq(node) && typeof segment === 'number') {
    return segment < node.items.length ? { key: null, value: node.items[segment] } : null
  }
  if (!isMap(node)) return null
  for (const pair of node.items) {
    if (!isPair(pair) || !isScalar(pair.key)) continue
    if (String(pair.key.value) === String(segment)) return { key: pair.key, value: pair.value }
  }
  return null
}

function offsetOf(node: unknown): number | null {
  return isNode(node) && node.range ? node.range[0] : null
}

/** TOML has no tree of places: the line that writes the deepest member of the path under its table's header. */
function tomlPositions(text: string): ConfigSource['positionOf'] {
  const rows = text.split('\n')
  return (path) => {
    const names = path.filter((segment) => typeof segment === 'string')
    let best: Position = { line: 1, column: 1 }
    let bestDepth = 0
    let table: readonly string[] = []
    for (const [index, row] of rows.entries()) {
      const header = /^\s*\[\[?\s*([^\]]+?)\s*\]\]?/.exec(row)
      if (header !== null) table = dottedKey(header[1] ?? '')
      const member = /^\s*([A-Za-z0-9_."'-]+(?:\s*\.\s*[A-Za-z0-9_."'-]+)*)\s*=/.exec(row)
      if (header === null && member === null) continue
      const written = member === null ? table : [...table, ...dottedKey(member[1] ?? '')]
      const depth = commonDepth(written, names)
      if (depth > bestDepth && depth === written.length) {
        bestDepth = depth
        best = { line: index + 1, column: row.length - row.trimStart().length + 1 }
      }
    }
    return best
  }
}

function dottedKey(text: string): readonly string[] {
  return [...text.matchAll(/"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+)/g)].map(
    (match) => match[1] ?? match[2] ?? match[3] ?? '',
  )
}

function commonDepth(written: readonly string[], wanted: readonly string[]): number {
  let depth = 0
  while (depth < written.length && written[depth] === wanted[depth]) depth++
  return depth
}

import { isRecord } from '../lib/is-record.ts'

/** Control characters, line separators and marks that reorder text: they could forge or hide parts of a line. */
// oxlint-disable-next-line no-control-regex -- they are what must not get through
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g
const BARE = /^[\w./:@%+-]+$/

/** `12:30:00.123 INFO  message name=value …` of a JSON line; one line for each, whatever it holds. */
export function prettyLine(json: string): string {
  const line: unknown = JSON.parse(json)
  if (!isRecord(line)) return json
  const { time, level, msg, ...fields } = line
  let text = `${String(time).slice(11, 23)} ${String(level).toUpperCase().padEnd(5)} ${escapeUnsafe(String(msg))}`
  for (const [name, value] of Object.entries(fields)) {
    if (value !== null) text += ` ${escapeUnsafe(name)}=${plainValue(value)}`
  }
  return `${text}\n`
}

function plainValue(value: unknown): string {
  if (typeof value === 'string' && BARE.test(value)) return value
  return escapeUnsafe(JSON.stringify(value))
}

/** Inside JSON strings this is what JSON itself would write. */
export function escapeUnsafe(text: string): string {
  return text.replaceAll(UNSAFE, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}

/** No vendor closes for longer; what says more is a slip, or an attack on whoever believes it. */
export const LONGEST_WAIT_MS: number = 24 * 3_600_000

const MS_PER_UNIT: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
])
const DURATION = /^(?:\d{1,12}(?:\.\d{1,9})?(?:ms|s|m|h|d))+$/
const PART = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/g
const NUMBER = /^\d{1,15}(?:\.\d{1,9})?$/
/** Numbers from here on are times since 1970, in seconds or milliseconds. */
const EPOCH_S = 1e9
const EPOCH_MS = 1e12
const MS_PER_S = 1000
const MAX_CHARS = 64

/**
 * How long a header says to wait, in milliseconds, at most `LONGEST_WAIT_MS`. Null: it cannot be read.
 *
 * Seconds (`2`, `0.5`), durations (`6ms`, `1m30.951s`), times since 1970, RFC 3339 and HTTP dates.
 */
export function waitMs(text: string, nowWallMs: number): number | null {
  const word = text.trim()
  if (word === '' || word.length > MAX_CHARS) return null
  if (NUMBER.test(word)) return bounded(ofNumber(Number(word), nowWallMs))
  if (DURATION.test(word)) return bounded(ofDuration(word))
  const atMs = /^[A-Z0-9]/i.test(word) && /\d{4}/.test(word) ? Date.parse(word) : Number.NaN
  return Number.isNaN(atMs) ? null : bounded(atMs - nowWallMs)
}

/** The same of a number of milliseconds. */
export function waitOfMs(text: string): number | null {
  const word = text.trim()
  return NUMBER.test(word) ? bounded(Number(word)) : null
}

function ofNumber(value: number, nowWallMs: number): number {
  if (value >= EPOCH_MS) return value - nowWallMs
  return value >= EPOCH_S ? value * MS_PER_S - nowWallMs : value * MS_PER_S
}

function ofDuration(word: string): number {
  let sum = 0
  for (const [, count = '0', unit = 'ms'] of word.matchAll(PART)) {
    sum += Number(count) * (MS_PER_UNIT.get(unit) ?? 0)
  }
  return sum
}

/** Rounded up: a moment too early is refused again. */
function bounded(ms: number): number {
  return Math.min(LONGEST_WAIT_MS, Math.max(0, Math.ceil(ms - 1e-6)))
}

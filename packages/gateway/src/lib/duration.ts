/** Same shape as `Window` of contracts/limit.ts; declared here because lib imports nothing. */
export type ParsedWindow =
  | { readonly kind: 'duration'; readonly ms: number; readonly text: string }
  | { readonly kind: 'months'; readonly months: number; readonly text: string }

const MS_PER_UNIT: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
  ['w', 604_800_000],
])
const MONTHS_PER_UNIT: ReadonlyMap<string, number> = new Map([
  ['mo', 1],
  ['y', 12],
])
const DAYS_PER_MONTH = 30
const DAYS_PER_YEAR = 365
const MS_PER_DAY = 86_400_000
/** A hundred years: longer is a slip of the keyboard, and dates stay representable. */
const MAX_MS = 36_525 * MS_PER_DAY
const MAX_MONTHS = 1_200

const SYNTAX = /^([1-9][0-9]{0,11})(ms|s|mo|m|h|d|w|y)$/
const EXAMPLES = 'write a whole number and a unit: 250ms, 90s, 5m, 24h, 7d, 1w, 1mo or 1y'

/** A window of a limit. Months and years stay calendar months. Throws `Error` for anything else than one number and unit. */
export function parseWindow(text: string): ParsedWindow {
  const { count, unit } = split(text)
  const monthsPerUnit = MONTHS_PER_UNIT.get(unit)
  if (monthsPerUnit !== undefined) {
    const months = count * monthsPerUnit
    if (months > MAX_MONTHS) throw tooLong(text)
    return { kind: 'months', months, text }
  }
  return { kind: 'duration', ms: milliseconds(text, count, unit), text }
}

/** Milliseconds. A month counts as 30 days and a year as 365, so use `addWindow` where calendar dates matter. Throws `Error`. */
export function parseDurationMs(text: string): number {
  const { count, unit } = split(text)
  if (unit === 'mo') return milliseconds(text, count * DAYS_PER_MONTH, 'd')
  if (unit === 'y') return milliseconds(text, count * DAYS_PER_YEAR, 'd')
  return milliseconds(text, count, unit)
}

/** The window as it is written in configuration: `90s`, `1mo`. */
export function formatWindow(window: ParsedWindow): string {
  if (window.kind === 'months') {
    return window.months % 12 === 0 ? `${window.months / 12}y` : `${window.months}mo`
  }
  for (const unit of ['w', 'd', 'h', 'm', 's']) {
    const ms = MS_PER_UNIT.get(unit) ?? 1
    if (window.ms % ms === 0) return `${window.ms / ms}${unit}`
  }
  return `${window.ms}ms`
}

/** The moment one window after `fromMs` (ms since 1970, UTC). The 31st plus one month is the last day of the next month. */
export function addWindow(fromMs: number, window: ParsedWindow): number {
  if (window.kind === 'duration') return fromMs + window.ms
  const from = new Date(fromMs)
  const monthStart = Date.UTC(from.getUTCFullYear(), from.getUTCMonth() + window.months, 1)
  const next = new Date(monthStart)
  const daysInMonth = new Date(
    Date.UTC(next.getUTCFullYear(), next.getUTCMonth() + 1, 0),
  ).getUTCDate()
  const day = Math.min(from.getUTCDate(), daysInMonth)
  return monthStart + (day - 1) * MS_PER_DAY + (fromMs - startOfDay(from))
}

/** When a key expires: a window from now (`30d`, calendar months), an RFC 3339 time, or `none` for never. Throws `Error`. */
export function parseExpiry(text: string, nowMs: number): number | null {
  if (text === 'none' || text === 'never') return null
  if (SYNTAX.test(text)) return addWindow(nowMs, parseWindow(text))
  return parseTimestampMs(text)
}

const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/

/** RFC 3339 → ms since 1970. Throws `Error`; a time without a zone is refused, because it means two things. */
export function parseTimestampMs(text: string): number {
  const ms = RFC_3339.test(text) ? Date.parse(text.replace(' ', 'T')) : Number.NaN
  if (Number.isNaN(ms)) {
    throw new Error(
      `"${text}" is no time: write RFC 3339 with a zone, such as 2030-01-31T12:00:00Z`,
    )
  }
  return ms
}

const BYTES_PER_UNIT: ReadonlyMap<string, number> = new Map([
  ['B', 1],
  ['kB', 1_000],
  ['KB', 1_000],
  ['MB', 1_000_000],
  ['GB', 1_000_000_000],
  ['KiB', 1_024],
  ['MiB', 1_048_576],
  ['GiB', 1_073_741_824],
])

/** Bytes. A bare number is bytes too. Throws `Error`. */
export function parseSizeBytes(size: string | number): number {
  const match = /^([0-9]{1,15})(B|kB|KB|MB|GB|KiB|MiB|GiB)?$/.exec(String(size))
  const bytes = Number(match?.[1]) * (BYTES_PER_UNIT.get(match?.[2] ?? 'B') ?? 1)
  if (match === null || !Number.isSafeInteger(bytes)) {
    throw new Error(`"${size}" is no size: write bytes, or a whole number with kB, MB, KiB or MiB`)
  }
  return bytes
}

function split(text: string): { count: number; unit: string } {
  const match = SYNTAX.exec(text)
  if (match === null) throw new Error(`"${text}" is no duration: ${EXAMPLES}`)
  return { count: Number(match[1]), unit: match[2] ?? '' }
}

function milliseconds(text: string, count: number, unit: string): number {
  const ms = count * (MS_PER_UNIT.get(unit) ?? Number.NaN)
  if (!(ms <= MAX_MS)) throw tooLong(text)
  return ms
}

function tooLong(text: string): Error {
  return new Error(`"${text}" is too long: the longest duration is 100 years`)
}

function startOfDay(date: Date): number {
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate())
}

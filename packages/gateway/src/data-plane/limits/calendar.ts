import type { Window } from '../../contracts/limit.ts'

const DAY_MS = 86_400_000
const WEEK_MS = 7 * DAY_MS
/** 1970-01-05. */
const FIRST_MONDAY_MS = 4 * DAY_MS
const LONGEST_MONTH_DAYS = 31
const LONGEST_YEAR_DAYS = 366

/**
 * Start of the UTC window that contains `atMs` (ms since 1970).
 *
 * Days start at midnight, weeks on Monday, months on the 1st. Other lengths are counted from 1970.
 */
export function calendarStartMs(window: Window, atMs: number): number {
  if (window.kind === 'duration') {
    const offsetMs = window.ms % WEEK_MS === 0 ? FIRST_MONDAY_MS : 0
    return atMs - modulo(atMs - offsetMs, window.ms)
  }
  const date = new Date(atMs)
  const month = date.getUTCFullYear() * 12 + date.getUTCMonth()
  return monthStartMs(month - modulo(month, window.months))
}

/** End of a window that starts at `startMs`. From the 31st, a month ends when the next month does. */
export function windowEndMs(window: Window, startMs: number): number {
  if (window.kind === 'duration') return startMs + window.ms
  const date = new Date(startMs)
  const month = date.getUTCFullYear() * 12 + date.getUTCMonth()
  const intoMonthMs = startMs - monthStartMs(month)
  return Math.min(
    monthStartMs(month + window.months) + intoMonthMs,
    monthStartMs(month + window.months + 1),
  )
}

/** The longest that a window can last, in ms: sliding months use it, so that no calendar month exceeds the amount. */
export function longestMs(window: Window): number {
  if (window.kind === 'duration') return window.ms
  const years = Math.floor(window.months / 12)
  return (years * LONGEST_YEAR_DAYS + (window.months % 12) * LONGEST_MONTH_DAYS) * DAY_MS
}

export function sameWindow(one: Window, other: Window): boolean {
  if (one.kind === 'duration') return other.kind === 'duration' && one.ms === other.ms
  return other.kind === 'months' && one.months === other.months
}

/** `month` counts from the year 0. */
function monthStartMs(month: number): number {
  return Date.UTC(Math.floor(month / 12), modulo(month, 12), 1)
}

function modulo(dividend: number, divisor: number): number {
  return ((dividend % divisor) + divisor) % divisor
}

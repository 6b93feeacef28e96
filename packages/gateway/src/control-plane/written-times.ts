import { formatWindow, parseDurationMs, parseExpiry } from '../lib/duration.ts'
import { AdminError } from './admin-error.ts'

/** The largest time that `Date` can hold. */
const MAX_TIME_MS = 8.64e15
/** What else than null says "never". */
const NEVER: ReadonlySet<string> = new Set(['never', 'none', 'clear', ''])
const NO_TIME: ReadonlySet<string> = new Set(['0', '0s', 'none', 'never', 'clear', ''])

/** RFC 3339, UTC. */
export function timeText(ms: number): string
export function timeText(ms: number | null): string | null
export function timeText(ms: number | null): string | null {
  return ms === null || Math.abs(ms) > MAX_TIME_MS ? null : new Date(ms).toISOString()
}

/** `7d`, `90s`, `250ms`. */
export function durationText(ms: number): string
export function durationText(ms: number | null): string | null
export function durationText(ms: number | null): string | null {
  return ms === null ? null : formatWindow({ kind: 'duration', ms, text: '' })
}

/** When a key expires, in ms since 1970; null: never. Throws `AdminError`. */
export function readExpiry(text: string | null, nowMs: number): number | null {
  if (text === null || NEVER.has(text)) return null
  return reading('expires', () => parseExpiry(text, nowMs))
}

/** Milliseconds; null: none. Throws `AdminError`. */
export function readDuration(text: string | null, path: string): number | null {
  if (text === null || NO_TIME.has(text)) return null
  return reading(path, () => parseDurationMs(text))
}

function reading<T>(path: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new AdminError('invalid_request', `${path}: ${message}`, { path })
  }
}

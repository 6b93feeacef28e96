import { describe, expect, it } from 'vitest'
import type { Window } from '../../contracts/limit.ts'
import { calendarStartMs, longestMs, windowEndMs } from './calendar.ts'

const HOUR_MS = 3_600_000
const duration = (ms: number): Window => ({ kind: 'duration', ms, text: '' })
const months = (count: number): Window => ({ kind: 'months', months: count, text: '' })
const at = (text: string): number => Date.parse(text)
const iso = (ms: number): string => new Date(ms).toISOString()

describe('calendar windows', () => {
  it.each([
    ['1m', duration(60_000), '2026-03-10T10:20:00.000Z', '2026-03-10T10:21:00.000Z'],
    ['24h', duration(24 * HOUR_MS), '2026-03-10T00:00:00.000Z', '2026-03-11T00:00:00.000Z'],
    ['7d', duration(168 * HOUR_MS), '2026-03-09T00:00:00.000Z', '2026-03-16T00:00:00.000Z'],
    ['1mo', months(1), '2026-03-01T00:00:00.000Z', '2026-04-01T00:00:00.000Z'],
    ['3mo', months(3), '2026-01-01T00:00:00.000Z', '2026-04-01T00:00:00.000Z'],
    ['1y', months(12), '2026-01-01T00:00:00.000Z', '2027-01-01T00:00:00.000Z'],
  ])('%s contains its moment', (_name, window, start, end) => {
    const startMs = calendarStartMs(window, at('2026-03-10T10:20:30.456Z'))
    expect([iso(startMs), iso(windowEndMs(window, startMs))]).toEqual([start, end])
    expect(calendarStartMs(window, startMs)).toBe(startMs)
    expect(calendarStartMs(window, startMs - 1)).toBeLessThan(startMs)
  })

  it('counts a month from the day of its first use, and from the 31st to the end of the next', () => {
    expect(iso(windowEndMs(months(1), at('2026-03-10T10:00:00Z')))).toBe('2026-04-10T10:00:00.000Z')
    expect(iso(windowEndMs(months(1), at('2026-01-31T10:00:00Z')))).toBe('2026-03-01T00:00:00.000Z')
    expect(iso(windowEndMs(months(1), at('2026-12-05T00:00:00Z')))).toBe('2027-01-05T00:00:00.000Z')
  })

  it('has a longest length that no calendar month or year exceeds', () => {
    for (let month = 0; month < 48; month++) {
      for (const count of [1, 2, 12, 14]) {
        const startMs = Date.UTC(2023, month, 1)
        const lengthMs = windowEndMs(months(count), startMs) - startMs
        expect(lengthMs).toBeLessThanOrEqual(longestMs(months(count)))
      }
    }
  })
})

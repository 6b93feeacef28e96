import { assert, constantFrom, integer, pre, property } from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Window } from '../contracts/limit.ts'
import {
  addWindow,
  formatWindow,
  parseDurationMs,
  parseExpiry,
  parseSizeBytes,
  parseWindow,
} from './duration.ts'

describe('parseWindow', () => {
  it.each([
    ['250ms', 250],
    ['1s', 1_000],
    ['90s', 90_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['24h', 86_400_000],
    ['7d', 604_800_000],
    ['1w', 604_800_000],
  ])('%s is %d ms', (text, ms) => {
    const window: Window = parseWindow(text)
    expect(window).toEqual({ kind: 'duration', ms, text })
  })

  it.each([
    ['1mo', 1],
    ['3mo', 3],
    ['1y', 12],
  ])('%s is %d calendar months', (text, months) => {
    expect(parseWindow(text)).toEqual({ kind: 'months', months, text })
  })

  it.each([
    '',
    '0s',
    '-1s',
    '1',
    's',
    '1.5h',
    '1 h',
    '1H',
    '1M',
    '01s',
    '1h30m',
    '1d ',
    '999999y',
    '99999999999w',
  ])('refuses %j', (text) => {
    expect(() => parseWindow(text)).toThrow(/is no duration|is too long/)
  })

  it('is undone by formatWindow in meaning', () => {
    assert(
      property(
        integer({ min: 1, max: 1000 }),
        constantFrom('ms', 's', 'm', 'h', 'd', 'w', 'mo', 'y'),
        (count, unit) => {
          pre(!(unit === 'y' && count > 100))
          const window = parseWindow(`${count}${unit}`)
          const again = parseWindow(formatWindow(window))
          expect({ ...again, text: '' }).toEqual({ ...window, text: '' })
        },
      ),
    )
  })
})

describe('parseDurationMs', () => {
  it('counts a month as 30 days and a year as 365', () => {
    expect(parseDurationMs('1mo')).toBe(30 * 86_400_000)
    expect(parseDurationMs('1y')).toBe(365 * 86_400_000)
  })
})

describe('addWindow', () => {
  it.each([
    ['2024-01-31T10:00:00Z', '1mo', '2024-02-29T10:00:00Z'],
    ['2023-01-31T10:00:00Z', '1mo', '2023-02-28T10:00:00Z'],
    ['2024-12-15T23:59:59Z', '1mo', '2025-01-15T23:59:59Z'],
    ['2024-02-29T00:00:00Z', '1y', '2025-02-28T00:00:00Z'],
    ['2024-02-29T00:00:00Z', '24h', '2024-03-01T00:00:00Z'],
  ])('%s + %s = %s', (from, text, to) => {
    expect(addWindow(Date.parse(from), parseWindow(text))).toBe(Date.parse(to))
  })
})

describe('parseExpiry', () => {
  const now = Date.parse('2024-01-31T00:00:00Z')
  it('takes windows, times and none', () => {
    expect(parseExpiry('1mo', now)).toBe(Date.parse('2024-02-29T00:00:00Z'))
    expect(parseExpiry('2030-01-01T00:00:00+02:00', now)).toBe(Date.parse('2029-12-31T22:00:00Z'))
    expect(parseExpiry('none', now)).toBeNull()
  })
  it.each(['tomorrow', '2030-01-01', '2030-01-01T00:00:00', '2030-13-01T00:00:00Z'])(
    'refuses %s',
    (text) => {
      expect(() => parseExpiry(text, now)).toThrow(/is no time/)
    },
  )
})

describe('parseSizeBytes', () => {
  it.each([
    ['10MiB', 10_485_760],
    ['10MB', 10_000_000],
    ['1kB', 1_000],
    ['512', 512],
    [512, 512],
  ])('%s is %d bytes', (size, bytes) => {
    expect(parseSizeBytes(size)).toBe(bytes)
  })
  it.each(['', '10mib', '-1', '1.5MiB', '10 MiB', 1.5, 'MiB'])('refuses %j', (size) => {
    expect(() => parseSizeBytes(size)).toThrow(/is no size/)
  })
})

import { describe, expect, it } from 'vitest'
import { LONGEST_WAIT_MS, waitMs, waitOfMs } from './stated-wait.ts'

const NOW = Date.parse('2026-01-31T12:00:00Z')

describe('waitMs', () => {
  it.each([
    ['2', 2000],
    ['0', 0],
    ['0.25', 250],
    ['6ms', 6],
    ['120ms', 120],
    ['8.64s', 8640],
    ['1m30.951s', 90_951],
    ['2m59.56s', 179_560],
    ['1h', 3_600_000],
    ['7h12m', 25_920_000],
    ['1d2h', LONGEST_WAIT_MS],
    ['2026-01-31T12:00:01.500Z', 1500],
    ['2026-01-31T13:00:00+01:00', 0],
    ['Sat, 31 Jan 2026 12:00:30 GMT', 30_000],
    ['Sat, 31 Jan 2026 11:00:00 GMT', 0],
    [String(NOW / 1000 + 5), 5000],
    [String(NOW + 1234), 1234],
    ['999999999', LONGEST_WAIT_MS],
    ['999999999999999', LONGEST_WAIT_MS],
    ['2126-01-01T00:00:00Z', LONGEST_WAIT_MS],
  ])('reads %s', (text, ms) => {
    expect(waitMs(text, NOW)).toBe(ms)
  })

  it.each([
    '',
    ' ',
    '-1',
    'soon',
    'NaN',
    'Infinity',
    '1e9',
    '0x10',
    '1 s',
    's',
    '5sec',
    '1',
    'x'.repeat(99),
  ])('reads no wait in %j, unless it is one', (text) => {
    expect(waitMs(text, NOW)).toBe(text === '1' ? 1000 : null)
  })

  it('reads milliseconds', () => {
    expect([waitOfMs('1500'), waitOfMs('0.4'), waitOfMs('-1'), waitOfMs('1e99')]).toEqual([
      1500,
      1,
      null,
      null,
    ])
  })
})

import { assert, integer, property } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { scaledInteger } from './decimal.ts'

describe('scaledInteger', () => {
  it.each([
    [0.075, 6, 75_000],
    [0.15, 6, 150_000],
    [0.1 + 0.2, 6, null],
    ['0.30', 6, 300_000],
    [1e-7, 6, null],
    [1e-6, 6, 1],
    [1.5e-6, 7, 15],
    [50, 9, 50_000_000_000],
    [0, 9, 0],
    [-1, 6, null],
    [Number.NaN, 6, null],
    [Number.POSITIVE_INFINITY, 6, null],
    [1e21, 0, null],
    ['9007199.254740991', 9, 9_007_199_254_740_991],
    ['1e400', 0, null],
  ])('%d at scale %d is %j', (value, scale, expected) => {
    expect(scaledInteger(value, scale)).toBe(expected)
  })

  it('gives back every price of six decimals exactly', () => {
    assert(
      property(integer({ min: 0, max: 2_000_000_000 }), (pico) => {
        expect(scaledInteger(pico / 1_000_000, 6)).toBe(pico)
      }),
      { numRuns: 5_000 },
    )
  })
})

import { array, assert, double, integer, property } from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  addToSketch,
  bucketOf,
  mergeSketch,
  newMergedSketch,
  newSketch,
  quantileMs,
} from './quantile-sketch.ts'

describe('quantile sketch', () => {
  it('is within 2.6 % of the true quantile, however the values are spread over sketches', () => {
    assert(
      property(
        array(double({ min: 0.01, max: 9_000_000, noNaN: true }), {
          minLength: 1,
          maxLength: 300,
        }),
        integer({ min: 1, max: 5 }),
        (values, parts) => {
          const sketches = Array.from({ length: parts }, newSketch)
          values.forEach((value, i) => {
            const sketch = sketches[i % parts]
            if (sketch !== undefined) addToSketch(sketch, bucketOf(value))
          })
          const merged = newMergedSketch()
          for (const sketch of sketches) mergeSketch(merged, sketch)
          expect(merged.total).toBe(values.length)
          const sorted = values.toSorted((a, b) => a - b)
          for (const fraction of [0.5, 0.95, 0.99]) {
            const exact = sorted[Math.ceil(fraction * sorted.length) - 1] ?? 0
            const estimate = quantileMs(merged, fraction) ?? 0
            expect(Math.abs(estimate - exact) / exact).toBeLessThan(0.026)
          }
        },
      ),
    )
  })

  it('has no quantile without values', () => {
    expect(quantileMs(newMergedSketch(), 0.5)).toBeNull()
  })

  it('holds zero, negative, huge and NaN durations in its range', () => {
    const sketch = newSketch()
    for (const value of [0, -5, 1e300, Infinity, Number.NaN]) addToSketch(sketch, bucketOf(value))
    const merged = newMergedSketch()
    mergeSketch(merged, sketch)
    expect(merged.total).toBe(5)
    expect(sketch.counts.length).toBeLessThan(1000)
  })
})

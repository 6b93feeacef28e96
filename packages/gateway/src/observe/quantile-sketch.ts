/** Buckets grow by 5 %, so an estimate is off by at most 2.5 %. */
const GROWTH = 1.05
const LOG_GROWTH = Math.log(GROWTH)
/** Values are held between 10 µs and about three hours, in ms. */
const LEAST_MS = 0.01
const MOST_MS = 10_000_000
const LOWEST = Math.ceil(Math.log(LEAST_MS) / LOG_GROWTH)
const BUCKETS = Math.ceil(Math.log(MOST_MS) / LOG_GROWTH) - LOWEST + 1
/** Room made around a new value. Most slots see values within one order of magnitude. */
const MARGIN = 8

/**
 * Counts of durations in logarithmic buckets. Mergeable by addition. Only the occupied range is kept: `counts[0]` is
 * bucket `low`.
 */
export type Sketch = { low: number; counts: number[] }

/** Counts over all buckets, to merge sketches into. */
export type MergedSketch = { readonly counts: Float64Array; total: number }

export function newSketch(): Sketch {
  return { low: 0, counts: [] }
}

/** Which bucket a duration falls into. Computed once per record and used for every sketch. */
export function bucketOf(durationMs: number): number {
  const held = Math.min(Math.max(durationMs, LEAST_MS), MOST_MS)
  const bucket = Math.ceil(Math.log(held) / LOG_GROWTH) - LOWEST
  return Number.isNaN(bucket) ? 0 : bucket
}

/** Hot: several times per request. */
export function addToSketch(sketch: Sketch, bucket: number): void {
  const at = bucket - sketch.low
  if (at >= 0 && at < sketch.counts.length) {
    sketch.counts[at] = (sketch.counts[at] ?? 0) + 1
    return
  }
  widen(sketch, bucket)
  sketch.counts[bucket - sketch.low] = (sketch.counts[bucket - sketch.low] ?? 0) + 1
}

function widen(sketch: Sketch, bucket: number): void {
  const { low, counts } = sketch
  const empty = counts.length === 0
  const from = Math.max(0, Math.min(empty ? bucket : low, bucket - MARGIN))
  const to = Math.min(BUCKETS, Math.max(empty ? 0 : low + counts.length, bucket + MARGIN))
  const wider = Array.from({ length: to - from }, () => 0)
  for (let i = 0; i < counts.length; i++) wider[low - from + i] = counts[i] ?? 0
  sketch.low = from
  sketch.counts = wider
}

export function newMergedSketch(): MergedSketch {
  return { counts: new Float64Array(BUCKETS), total: 0 }
}

export function mergeSketch(into: MergedSketch, sketch: Sketch): void {
  for (let i = 0; i < sketch.counts.length; i++) {
    const count = sketch.counts[i] ?? 0
    const bucket = sketch.low + i
    into.counts[bucket] = (into.counts[bucket] ?? 0) + count
    into.total += count
  }
}

/** The duration below which a `fraction` of the values lies, in ms; null without values. */
export function quantileMs(merged: MergedSketch, fraction: number): number | null {
  if (merged.total === 0) return null
  const rank = Math.max(1, Math.ceil(fraction * merged.total))
  let seen = 0
  for (let bucket = 0; bucket < merged.counts.length; bucket++) {
    seen += merged.counts[bucket] ?? 0
    if (seen >= rank) return middleMs(bucket)
  }
  return null
}

/** The value whose relative distance to both ends of the bucket is equal. */
function middleMs(bucket: number): number {
  const value = (2 * GROWTH ** (bucket + LOWEST)) / (1 + GROWTH)
  return Number(value.toPrecision(4))
}

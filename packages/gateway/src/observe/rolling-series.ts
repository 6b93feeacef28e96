import type { CountedRecord } from '../contracts/record-facts.ts'
import {
  addToSketch,
  bucketOf,
  mergeSketch,
  newMergedSketch,
  newSketch,
  quantileMs,
  type Sketch,
} from './quantile-sketch.ts'

/** A window is a ring of slots; it covers its span up to one slot's width. */
const WINDOWS = [
  { name: '1m', slotMs: 2000, slots: 30 },
  { name: '5m', slotMs: 10_000, slots: 30 },
  { name: '1h', slotMs: 120_000, slots: 30 },
  { name: '24h', slotMs: 1_800_000, slots: 48 },
] as const
export type WindowName = (typeof WINDOWS)[number]['name']
export const LONGEST_WINDOW_MS: number = 24 * 3_600_000

type UsageStats = {
  readonly input: number
  readonly output: number
  readonly cache_read: number
  readonly cache_write_5m: number
  readonly cache_write_1h: number
  readonly reasoning: number
}

/** Null: nothing measured. */
type DurationStats = {
  readonly p50: number | null
  readonly p95: number | null
  readonly p99: number | null
}

export type WindowStats = {
  readonly requests: number
  readonly errors: number
  readonly usage: UsageStats
  readonly cost_nanousd: number
  readonly saved_nanousd: number
  readonly latency_ms: DurationStats
  readonly ttft_ms: DurationStats
}

/** What one record adds, worked out once for all series. */
export type Sample = {
  readonly error: number
  readonly input: number
  readonly output: number
  readonly cacheRead: number
  readonly cacheWrite5m: number
  readonly cacheWrite1h: number
  readonly reasoning: number
  readonly cost: number
  readonly saved: number
  readonly latencyBucket: number
  /** -1: no first token. */
  readonly ttftBucket: number
}

type Slot = {
  /** Which stretch of time: ms divided by the slot's width. */
  index: number
  requests: number
  errors: number
  input: number
  output: number
  cacheRead: number
  cacheWrite5m: number
  cacheWrite1h: number
  reasoning: number
  cost: number
  saved: number
  latency: Sketch
  ttft: Sketch
}

/** The windows of one label. Slots are made when first used. */
export type Series = { lastAtMs: number; readonly rings: readonly (Slot | undefined)[][] }

export function newSeries(): Series {
  return {
    lastAtMs: 0,
    rings: WINDOWS.map(({ slots }) => Array.from<Slot | undefined>({ length: slots })),
  }
}

export function toSample(record: CountedRecord): Sample {
  const { usage } = record
  return {
    error: record.errorClass === null ? 0 : 1,
    input: usage.inputTokens ?? 0,
    output: usage.outputTokens ?? 0,
    cacheRead: usage.cacheReadTokens ?? 0,
    cacheWrite5m: usage.cacheWrite5mTokens ?? 0,
    cacheWrite1h: usage.cacheWrite1hTokens ?? 0,
    reasoning: usage.reasoningTokens ?? 0,
    cost: record.costNanoUsd ?? 0,
    saved: record.savedNanoUsd,
    latencyBucket: bucketOf(record.latencyMs),
    ttftBucket: record.ttftMs === null ? -1 : bucketOf(record.ttftMs),
  }
}

/** Hot: four times per request. A sample older than a window's ring is left out of that window. */
export function addSample(series: Series, sample: Sample, atMs: number): void {
  if (atMs > series.lastAtMs) series.lastAtMs = atMs
  for (let i = 0; i < WINDOWS.length; i++) {
    const window = WINDOWS[i]
    const ring = series.rings[i]
    if (window === undefined || ring === undefined) continue
    const index = Math.floor(atMs / window.slotMs)
    const place = index % window.slots
    let slot = ring[place]
    if (slot === undefined || slot.index < index) {
      slot = newSlot(index)
      ring[place] = slot
    }
    if (slot.index === index) addToSlot(slot, sample)
  }
}

function addToSlot(slot: Slot, sample: Sample): void {
  slot.requests += 1
  slot.errors += sample.error
  slot.input += sample.input
  slot.output += sample.output
  slot.cacheRead += sample.cacheRead
  slot.cacheWrite5m += sample.cacheWrite5m
  slot.cacheWrite1h += sample.cacheWrite1h
  slot.reasoning += sample.reasoning
  slot.cost += sample.cost
  slot.saved += sample.saved
  addToSketch(slot.latency, sample.latencyBucket)
  if (sample.ttftBucket >= 0) addToSketch(slot.ttft, sample.ttftBucket)
}

export function readSeries(series: Series, nowMs: number): Record<WindowName, WindowStats> {
  return {
    '1m': readWindow(series, 0, nowMs),
    '5m': readWindow(series, 1, nowMs),
    '1h': readWindow(series, 2, nowMs),
    '24h': readWindow(series, 3, nowMs),
  }
}

function readWindow(series: Series, which: 0 | 1 | 2 | 3, nowMs: number): WindowStats {
  const { slotMs, slots } = WINDOWS[which]
  const nowIndex = Math.floor(nowMs / slotMs)
  const sum = newSlot(0)
  const latency = newMergedSketch()
  const ttft = newMergedSketch()
  for (const slot of series.rings[which] ?? []) {
    if (slot === undefined || slot.index <= nowIndex - slots || slot.index > nowIndex) continue
    sum.requests += slot.requests
    sum.errors += slot.errors
    sum.input += slot.input
    sum.output += slot.output
    sum.cacheRead += slot.cacheRead
    sum.cacheWrite5m += slot.cacheWrite5m
    sum.cacheWrite1h += slot.cacheWrite1h
    sum.reasoning += slot.reasoning
    sum.cost += slot.cost
    sum.saved += slot.saved
    mergeSketch(latency, slot.latency)
    mergeSketch(ttft, slot.ttft)
  }
  return {
    requests: sum.requests,
    errors: sum.errors,
    usage: {
      input: sum.input,
      output: sum.output,
      cache_read: sum.cacheRead,
      cache_write_5m: sum.cacheWrite5m,
      cache_write_1h: sum.cacheWrite1h,
      reasoning: sum.reasoning,
    },
    cost_nanousd: sum.cost,
    saved_nanousd: sum.saved,
    latency_ms: durations(latency),
    ttft_ms: durations(ttft),
  }
}

function durations(merged: ReturnType<typeof newMergedSketch>): DurationStats {
  return {
    p50: quantileMs(merged, 0.5),
    p95: quantileMs(merged, 0.95),
    p99: quantileMs(merged, 0.99),
  }
}

function newSlot(index: number): Slot {
  return {
    index,
    requests: 0,
    errors: 0,
    input: 0,
    output: 0,
    cacheRead: 0,
    cacheWrite5m: 0,
    cacheWrite1h: 0,
    reasoning: 0,
    cost: 0,
    saved: 0,
    latency: newSketch(),
    ttft: newSketch(),
  }
}

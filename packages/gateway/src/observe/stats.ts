import type { CountingSink } from '../contracts/recorder.ts'
import type { CountedRecord } from '../contracts/record-facts.ts'
import type { RecordStore } from '../contracts/store.ts'
import type { UsageRecord } from '../contracts/usage-record.ts'
import type { Clock } from '../lib/clock.ts'
import {
  addSample,
  LONGEST_WINDOW_MS,
  newSeries,
  readSeries,
  type Sample,
  type Series,
  toSample,
  type WindowName,
  type WindowStats,
} from './rolling-series.ts'

type Windows = Readonly<Record<WindowName, WindowStats>>

/** As `/admin/v1/stats` answers it. Names that did not fit are together under `other`. */
type StatsView = {
  readonly windows: Windows
  readonly by_model: Readonly<Record<string, Windows>>
  /** By key id. */
  readonly by_key: Readonly<Record<string, Windows>>
  readonly by_provider: Readonly<Record<string, Windows>>
}

export type Stats = {
  /** Counts a request that has just ended. */
  readonly sink: CountingSink
  /** Counts a request of the past, by when it ended. */
  add(record: UsageRecord): void
  view(): StatsView
}

export type StatsOptions = {
  readonly clock: Clock
  /** Distinct models, keys and providers that get series of their own. Default 64 each. */
  readonly mostLabels?: number
}

const OTHER = 'other'
const NONE = 'none'
const SWEEP_EVERY_MS = 60_000

/** Rolling counts in bounded memory. Lives on a time axis that never goes back: start of the wall clock plus elapsed time. */
export function createStats({ clock, mostLabels = 64 }: StatsOptions): Stats {
  const offsetMs = clock.wallMs() - clock.monotonicMs()
  const all = newSeries()
  const models = newLabels(mostLabels)
  const keys = newLabels(mostLabels)
  const providers = newLabels(mostLabels)

  function count(record: CountedRecord, atMs: number): void {
    const sample: Sample = toSample(record)
    addSample(all, sample, atMs)
    addSample(seriesOf(models, record.model ?? NONE, atMs), sample, atMs)
    addSample(seriesOf(keys, record.keyId ?? NONE, atMs), sample, atMs)
    addSample(seriesOf(providers, record.provider ?? NONE, atMs), sample, atMs)
  }

  return {
    sink: (record) => count(record, clock.monotonicMs() + offsetMs),
    add(record) {
      const nowMs = clock.monotonicMs() + offsetMs
      count(record, Math.min(nowMs, record.startedAtMs + record.latencyMs))
    },
    view() {
      const nowMs = clock.monotonicMs() + offsetMs
      return {
        windows: readSeries(all, nowMs),
        by_model: readLabels(models, nowMs),
        by_key: readLabels(keys, nowMs),
        by_provider: readLabels(providers, nowMs),
      }
    },
  }
}

/**
 * Counts what the store holds of the last 24 hours before `untilMs`, the last hour first, so that short windows are
 * right early. Meant to run in the background: live requests are counted meanwhile.
 */
export async function restoreStats(
  stats: Stats,
  records: RecordStore,
  untilMs: number,
): Promise<void> {
  const hourAgoMs = untilMs - 3_600_000
  for await (const record of records.iterate({ sinceMs: hourAgoMs, untilMs })) stats.add(record)
  const dayAgoMs = untilMs - LONGEST_WINDOW_MS
  for await (const record of records.iterate({ sinceMs: dayAgoMs, untilMs: hourAgoMs })) {
    stats.add(record)
  }
}

type Labels = { readonly most: number; readonly series: Map<string, Series>; sweptAtMs: number }

function newLabels(most: number): Labels {
  return { most, series: new Map(), sweptAtMs: 0 }
}

function seriesOf(labels: Labels, name: string, nowMs: number): Series {
  const found = labels.series.get(name)
  if (found !== undefined) return found
  if (labels.series.size >= labels.most) sweep(labels, nowMs)
  const fits = labels.series.size < labels.most
  const made = fits ? undefined : labels.series.get(OTHER)
  if (made !== undefined) return made
  const series = newSeries()
  labels.series.set(fits ? name : OTHER, series)
  return series
}

/** Forgets names that no window mentions any more. Not at every overflow: it looks at all of them. */
function sweep(labels: Labels, nowMs: number): void {
  if (nowMs - labels.sweptAtMs < SWEEP_EVERY_MS) return
  labels.sweptAtMs = nowMs
  for (const [name, series] of labels.series) {
    if (series.lastAtMs < nowMs - LONGEST_WINDOW_MS) labels.series.delete(name)
  }
}

function readLabels(labels: Labels, nowMs: number): Readonly<Record<string, Windows>> {
  // Without a prototype: names come from clients, and `__proto__` is one.
  const view: Record<string, Windows> = Object.create(null)
  for (const [name, series] of labels.series) view[name] = readSeries(series, nowMs)
  return view
}

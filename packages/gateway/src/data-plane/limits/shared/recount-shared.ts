import type { ChargeSum } from '../../../contracts/ledger-proof.ts'
import type { CounterState, LimitAlgorithm } from '../../../contracts/limit.ts'
import type { SharedCounter, SharedReading } from '../../../contracts/shared-counters.ts'
import { isRecord } from '../../../lib/is-record.ts'
import { longestMs } from '../calendar.ts'
import { newMeter } from '../counter.ts'
import { HOUR_MS, readCounterState, type ReadCounterState } from '../counter-state.ts'
import { savedNumber } from '../meter.ts'
import { chargedSince, NO_ERA, NOT_A_SUM, type Recount, sumSince } from '../recount.ts'
import { settledParts } from '../settled-parts.ts'

/** Of a sliding window, as gate.lua has it. */
const SLOTS = 60
/** A reset counter that nobody uses is gone after so long. */
const RESET_KEPT_MS = 30 * 24 * HOUR_MS

export type SharedRecount = {
  /** Read before the records. What it has counted, they say. */
  readonly before: SharedReading
  /** Read after the records. What they say, it has counted. */
  readonly after: SharedReading
  /** What the store last heard of the counters. */
  readonly stored: readonly CounterState[]
  readonly charged: readonly ChargeSum[]
}

/**
 * Counts every shared counter again. Calls go on meanwhile: the records may say anything between the two readings. Throws an
 * `Error` that names a state that cannot be read.
 */
export function recountShared({
  before,
  after,
  stored,
  charged,
}: SharedRecount): readonly Recount[] {
  const byCounter = Map.groupBy(charged, ({ counter }) => counter)
  const [first, last] = [byKey(before), byKey(after)]
  const recounts: Recount[] = []
  for (const counter of after.counters) {
    const later = readShared(counter)
    if (newMeter(later.limit.algorithm, 0).windowMs() < HOUR_MS) continue
    const earlier = first.get(counter.counterKey)
    const given: Given = {
      earlier: earlier === undefined ? null : readShared(earlier),
      later,
      charged: byCounter.get(counter.counterKey) ?? [],
      nowMs: after.nowMs,
      others: counter.ledgers.filter((ledger) => ledger !== after.ledger).length,
    }
    recounts.push(recountOne(given))
  }
  const gone = new Map([...stored, ...before.counters].map((one) => [one.counterKey, one]))
  for (const [key, state] of gone) {
    if (last.has(key)) continue
    const lost = recountGone(state, byCounter.get(key) ?? [], after)
    if (lost !== null) recounts.push(lost)
  }
  return recounts
}

function byKey({ counters }: SharedReading): ReadonlyMap<string, SharedCounter> {
  return new Map(counters.map((counter) => [counter.counterKey, counter]))
}

type Given = {
  readonly earlier: ReadShared | null
  readonly later: ReadShared
  readonly charged: readonly ChargeSum[]
  readonly nowMs: number
  /** Ledgers besides ours that have records of it. */
  readonly others: number
}

function recountOne({ earlier, later, charged, nowMs, others }: Given): Recount {
  const { algorithm } = later.limit
  const parts = settledParts(algorithm.kind, later.meter)
  if (parts === null) return { ...factsOf(later, 0), recounted: null, reason: NOT_A_SUM }
  const oldest = oldestOf(later, nowMs)
  const counted = settledSince(later, oldest)
  const facts = factsOf(later, counted)
  const { era } = later
  if (era === null) return { ...facts, recounted: null, reason: NO_ERA }
  const said = chargedSince(charged, era.id, oldest)
  const base = sumSince(era.base, oldest)
  const least = earlier?.era?.id === era.id ? earlier : null
  const counted0 = least === null ? 0 : settledSince(least, oldest)
  const base0 = least?.era ? sumSince(least.era.base, oldest) : 0
  if (said > counted - base) return { ...facts, recounted: base + said, reason: null }
  if (others > 0) return { ...facts, recounted: null, reason: otherLedgers(others) }
  if (said >= counted0 - base0) return { ...facts, recounted: counted, reason: null }
  return { ...facts, counted: counted0, recounted: base0 + said, reason: null }
}

/** A counter that records speak of, and that the server has not. Null: it is over, or has counted nothing. */
function recountGone(
  state: CounterState,
  charged: readonly ChargeSum[],
  { generation, nowMs }: SharedReading,
): Recount | null {
  const read = readShared(state)
  const { era, limit, meter } = read
  const { kind } = limit.algorithm
  if (era === null || read.generation !== generation) return null
  if (kind === 'fixed' && savedNumber(meter, 'end_ms') <= nowMs) return null
  if (kind === 'lifetime' && nowMs - read.savedAtMs >= RESET_KEPT_MS) return null
  const oldest = oldestOf(read, nowMs)
  const recounted = sumSince(era.base, oldest) + chargedSince(charged, era.id, oldest)
  return recounted === 0 ? null : { ...factsOf(read, 0), recounted, reason: null }
}

/** Of the whole that the gate reckons with, less what is over since. */
function settledSince({ limit, meter, settled }: ReadShared, oldest: number): number {
  const parts = settledParts(limit.algorithm.kind, meter) ?? []
  if (settled === null) return sumSince(parts, oldest)
  return settled - sumSince(parts, -Infinity) + sumSince(parts, oldest)
}

/** The oldest window that still counts. */
function oldestOf({ limit, meter }: ReadCounterState, nowMs: number): number {
  const { algorithm } = limit
  if (algorithm.kind === 'fixed') return savedNumber(meter, 'start_ms')
  return algorithm.kind === 'sliding' ? slotAt(algorithm, nowMs) - SLOTS : 0
}

function slotAt({ window }: LimitAlgorithm & { kind: 'sliding' }, nowMs: number): number {
  return Math.floor((nowMs * SLOTS) / longestMs(window))
}

function factsOf(
  { limit, value, meter }: ReadCounterState,
  counted: number,
): Omit<Recount, 'recounted' | 'reason'> {
  const { id, scope, unit, algorithm } = limit
  const { kind } = algorithm
  const windowStartMs = kind === 'fixed' ? savedNumber(meter, 'start_ms') : null
  return { id, scope, value, unit, algorithm: kind, windowStartMs, counted }
}

function otherLedgers(others: number): string {
  const whose = others === 1 ? 'another ledger has' : `${others} other ledgers have`
  return `${whose} records of it too: gateways that share Redis can prove their counters where they share a Postgres store`
}

type ReadShared = ReadCounterState & {
  readonly generation: string
  readonly savedAtMs: number
  /** Null: it is the sum of the windows. */
  readonly settled: number | null
}

function readShared(stored: CounterState): ReadShared {
  const parsed: unknown = JSON.parse(stored.state)
  const { generation, saved_at_ms: savedAtMs, settled } = isRecord(parsed) ? parsed : {}
  return {
    ...readCounterState(stored),
    generation: typeof generation === 'string' ? generation : '',
    savedAtMs: typeof savedAtMs === 'number' ? savedAtMs : 0,
    settled: typeof settled === 'number' ? settled : null,
  }
}

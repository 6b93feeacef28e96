import {
  type CounterState,
  LIMIT_SCOPES,
  LIMIT_UNITS,
  type LimitAlgorithm,
  type LimitPlan,
  type LimitScope,
  type LimitUnit,
  type Window,
} from '../../contracts/limit.ts'
import { isRecord } from '../../lib/is-record.ts'
import { bareLimit } from './bare-limit.ts'
import { BucketMeter } from './bucket.ts'
import { ConcurrentMeter } from './concurrent.ts'
import { Counter, type Era } from './counter.ts'
import { FixedMeter } from './fixed.ts'
import { LifetimeMeter } from './lifetime.ts'
import { type SettledParts, settledParts } from './settled-parts.ts'
import { type Meter, type SavedMeter, savedNumber } from './meter.ts'
import { SlidingMeter } from './sliding.ts'

const FORMAT = 1
export const HOUR_MS = 3_600_000

type State = Readonly<Record<string, unknown>>

/** Counters of shorter windows start anew with the process: what they forget is over soon. */
export function isDurable(counter: Counter): boolean {
  return counter.meter.windowMs() >= HOUR_MS
}

/** The counter as JSON: what it counted, and enough of its limit to list it before the limit is charged again. */
export function saveCounter(counter: Counter, nowMs: number): CounterState {
  const { id, scope, unit, algorithm } = counter.limit
  const state = {
    format: FORMAT,
    id,
    scope,
    value: counter.value,
    unit,
    algorithm,
    era: counter.era.id,
    base: counter.era.base,
    meter: counter.meter.save(nowMs),
  }
  return { counterKey: counter.key, state: JSON.stringify(state) }
}

/**
 * The opposite of `saveCounter`. Throws an `Error` that names the counter when the state cannot be read: an unreadable
 * budget must not become a fresh one.
 */
export function restoreCounter(
  stored: CounterState,
  options: { readonly nowMs: number; readonly chargeOpen: boolean },
): Counter {
  const { limit, value, era, meter, isShared } = readCounterState(stored)
  const { kind } = limit.algorithm
  return named(stored, () => {
    const saved = { ...options, state: meter }
    return new Counter(limit, {
      key: stored.counterKey,
      value,
      meter: restoreMeter(limit.algorithm, saved),
      restored: true,
      // Records of shared counters may be in other ledgers too: here begins what this one says.
      era: (isShared ? null : era) ?? { id: options.nowMs, base: settledParts(kind, meter) ?? [] },
    })
  })
}

export type ReadCounterState = {
  readonly limit: LimitPlan
  readonly value: string
  /** Null: the state is of a version that did not say which charges make it up. */
  readonly era: Era | null
  readonly meter: State
  /** Of a counter that other processes count too. */
  readonly isShared: boolean
}

/** What a stored state says. Throws an `Error` that names the counter. */
export function readCounterState(stored: CounterState): ReadCounterState {
  return named(stored, () => {
    const state: unknown = JSON.parse(stored.state)
    if (!isRecord(state) || state['format'] !== FORMAT) throw new TypeError('Unknown format.')
    return {
      limit: readLimit(state),
      value: readText(state, 'value'),
      era: readEra(state),
      meter: readRecord(state, 'meter'),
      isShared: typeof state['generation'] === 'string',
    }
  })
}

function named<T>({ counterKey }: CounterState, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new Error(`The stored state of the counter "${counterKey}" cannot be read.`, { cause })
  }
}

function readEra(state: State): Era | null {
  const { era, base } = state
  return typeof era === 'number' && Array.isArray(base)
    ? { id: era, base: base.filter(isPart) }
    : null
}

function isPart(part: unknown): part is SettledParts[number] {
  if (!Array.isArray(part)) return false
  return part.length === 2 && part.every((one) => typeof one === 'number')
}

/**
 * The counter as it stands, to try things on. `endsFirst`: what is open has ended by then, and used all that it holds;
 * else it stays open, and counts as taken now.
 */
export function copyCounter(
  counter: Counter,
  { nowMs, endsFirst }: { readonly nowMs: number; readonly endsFirst: boolean },
): Counter {
  const { algorithm } = counter.limit
  const state = counter.meter.save(nowMs)
  const meter = restoreMeter(algorithm, { state, chargeOpen: false, nowMs })
  // An allowance of a concurrency limit is not part of what is saved.
  const allowance = counter.meter.amountAt(nowMs) - meter.amountAt(nowMs)
  if (allowance > 0) meter.grant(allowance, nowMs)
  const amount = counter.meter.reservedAt(nowMs)
  if (amount > 0) {
    const ticket = meter.take(amount, nowMs)
    if (endsFirst) meter.close({ ticket, amount }, amount, nowMs)
  }
  return counter.copyWith(meter)
}

function restoreMeter(algorithm: LimitAlgorithm, saved: SavedMeter): Meter {
  switch (algorithm.kind) {
    case 'bucket':
      return BucketMeter.restore(algorithm, saved)
    case 'sliding':
      return SlidingMeter.restore(algorithm, saved)
    case 'fixed':
      return FixedMeter.restore(algorithm, saved)
    case 'lifetime':
      return LifetimeMeter.restore(algorithm, saved)
    case 'concurrent':
      return new ConcurrentMeter(algorithm)
  }
}

/** Enough for listing; the first charge brings the limit as it is configured now. */
function readLimit(state: State): LimitPlan {
  return bareLimit({
    id: readText(state, 'id'),
    scope: readScope(readText(state, 'scope')),
    unit: readUnit(readText(state, 'unit')),
    algorithm: readAlgorithm(readRecord(state, 'algorithm')),
  })
}

function readAlgorithm(state: State): LimitAlgorithm {
  const kind = readText(state, 'kind')
  switch (kind) {
    case 'bucket':
      return {
        kind,
        capacity: savedNumber(state, 'capacity'),
        refillPerSec: savedNumber(state, 'refillPerSec'),
      }
    case 'sliding':
      return { kind, amount: savedNumber(state, 'amount'), window: readWindow(state) }
    case 'fixed':
      return {
        kind,
        amount: savedNumber(state, 'amount'),
        window: readWindow(state),
        align: readText(state, 'align') === 'clock' ? 'clock' : 'first_use',
      }
    case 'lifetime':
    case 'concurrent':
      return { kind, amount: savedNumber(state, 'amount') }
    default:
      throw new TypeError(`"${kind}" is not an algorithm.`)
  }
}

function readWindow(algorithm: State): Window {
  const window = readRecord(algorithm, 'window')
  const text = readText(window, 'text')
  return window['kind'] === 'months'
    ? { kind: 'months', months: savedNumber(window, 'months'), text }
    : { kind: 'duration', ms: savedNumber(window, 'ms'), text }
}

function readScope(text: string): LimitScope {
  if (text.startsWith('tag:')) return `tag:${text.slice('tag:'.length)}`
  const scope = LIMIT_SCOPES.find((known) => known === text)
  if (scope === undefined) throw new TypeError(`"${text}" is not a scope.`)
  return scope
}

function readUnit(text: string): LimitUnit {
  const unit = LIMIT_UNITS.find((known) => known === text)
  if (unit === undefined) throw new TypeError(`"${text}" is not a unit.`)
  return unit
}

function readText(state: State, name: string): string {
  const value = state[name]
  if (typeof value === 'string') return value
  throw new TypeError(`"${name}" is not a text.`)
}

function readRecord(state: State, name: string): State {
  const value = state[name]
  if (isRecord(value)) return value
  throw new TypeError(`"${name}" is not an object.`)
}
